// Command-line flags from a table: parsing, ranges, --help. No command parses by hand.
#ifndef WORKER_COMMANDS_FLAGS_H
#define WORKER_COMMANDS_FLAGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol/base/error.h"

enum flag_kind {
    FLAG_TEXT,    // const char *
    FLAG_LIST,    // struct flag_list, once for each time the flag is given
    FLAG_INT,     // int, low to high
    FLAG_UINT64,  // uint64_t
    FLAG_FLOAT,   // float, low to high
    FLAG_SIZE,    // uint64_t bytes; K, M and G are powers of 1024
    FLAG_SWITCH,  // bool, takes no value
    FLAG_HEADING, // not a flag: a line between groups of them in --help
};

struct flag_list {
    const char **values; // (n), owned
    int n;
};

struct flag {
    enum flag_kind kind;
    const char *name;  // with the dashes: "--top-p"
    const char *value; // what --help calls the value: "P", "SIZE"; NULL for a switch
    const char *help;  // one line: meaning, unit, default, range
    void *target;      // what the kind says; keeps its default when the flag is absent
    double low, high;  // allowed range of FLAG_INT and FLAG_FLOAT
};

// Parses argv[1..]; "--flag value" and "--flag=value" are both understood. Stops at --help with
// *help set. Positional arguments go to `rest` (may be NULL: then they are refused). An error is
// ERROR_USAGE and names the flag, the value and what was expected.
int flags_parse(const struct flag *flags, int n_flags, int argc, char **argv,
                struct flag_list *rest, bool *help, struct error *err);

void flags_print_help(FILE *out, const char *usage, const struct flag *flags, int n_flags);

void flag_list_free(struct flag_list *list);

#endif

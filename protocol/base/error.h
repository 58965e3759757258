// One way to report failure in the whole tree.
//
// A function that can fail takes `struct error *err` last and returns 0 or -1. On -1 the error
// holds a code and one full sentence: what was wrong, where, what was expected. Only main.c
// turns a code into an exit status.
#ifndef PROTOCOL_BASE_ERROR_H
#define PROTOCOL_BASE_ERROR_H

#include <stdarg.h>

enum error_code {
    ERROR_NONE = 0,
    ERROR_USAGE,       // a flag or argument is wrong
    ERROR_CONFIG,      // a checkpoint, tokenizer or configuration is wrong
    ERROR_INPUT,       // an input line or message is wrong; others go on
    ERROR_SPEC,        // a reward spec is wrong: bad_spec, before anything is generated
    ERROR_IO,          // a file, socket or device failed
    ERROR_MEMORY,      // memory or an address range could not be had
    ERROR_UNAVAILABLE, // a peer did not answer in time
    ERROR_INTERNAL,    // an invariant of ours is broken
};

struct error {
    enum error_code code;
    char text[1024]; // UTF-8, no newline, ends with a full stop or a quoted value
};

// Fills `err` (which may be NULL) from a printf format and returns -1, so that a caller writes
// `return error_set(err, ERROR_CONFIG, "...", ...)`. Line breaks and indents of quoted input become
// a space, other control characters '?'.
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "`context`: " in front of the sentence, for callers that know the file or the line.
// Keeps the code. Returns -1.
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

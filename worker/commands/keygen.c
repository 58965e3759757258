#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/keys.h"
#include "protocol/socket.h"
#include "worker/commands/commands.h"
#include "worker/commands/setup.h"

struct flags {
    const char *name;
};

static const char usage[] =
    "stampede keygen DIR [--name NAME]\n"
    "Makes a pair of keys: DIR/NAME.key is secret (mode 0400) and stays with its owner, "
    "DIR/NAME.pub\n"
    "goes into the --allow-keys folder, or is the --server-key, of those that it talks to.\n"
    "Exit status: 0 done, 2 usage, 74 a file could not be written.";

static int make_keys(const char *dir, const char *name, struct error *err) {
    char public[KEYS_TEXT], secret[KEYS_TEXT];
    if (socket_make_keys(public, secret, err)) return -1;
    int failed = keys_write(dir, name, secret, public, err);
    explicit_bzero(secret, sizeof secret);
    if (!failed) printf("%s/%s.key\n%s/%s.pub\n", dir, name, dir, name);
    return failed;
}

int command_keygen(int argc, char **argv) {
    struct flags f = {.name = "stampede"};
    struct flag_list rest = {0};
    struct error err = {0};
    bool help;
    const struct flag table[] = {{FLAG_TEXT, "--name", "NAME",
                                  "whose keys they are: the user id of the peer (stampede)",
                                  &f.name, 0, 0}};
    int failed = flags_parse(table, 1, argc, argv, &rest, &help, &err);
    if (!failed && help) {
        flags_print_help(stdout, usage, table, 1);
        return flag_list_free(&rest), 0;
    }
    if (!failed && rest.n != 1)
        failed = error_set(&err, ERROR_USAGE, "%d folders are given; expected one, DIR.", rest.n);
    if (!failed) failed = make_keys(rest.values[0], f.name, &err);
    flag_list_free(&rest);
    if (!failed) return 0;
    fprintf(stderr, "stampede keygen: %s\n", err.text);
    return exit_status(&err);
}

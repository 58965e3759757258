#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verifiers/verify.h"
#include "worker/commands/commands.h"
#include "worker/version.h"

static int verify_child(int argc, char **argv) {
    return verifier_child_main(argc - 1, argv + 1);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; // NULL: not for users
} commands[] = {
    {"generate", command_generate, "samples for a file of prompts, graded"},
    {"serve", command_serve, "rollouts for a trainer over ZeroMQ"},
    {"score", command_score, "grades stored completions"},
    {"bench", command_bench, "prefill and decode speed"},
    {"inspect", command_inspect, "what a checkpoint holds"},
    {"keygen", command_keygen, "a pair of keys for the wire"},
    {"verify-child", verify_child, NULL},
    {"score-worker", command_score_worker, NULL},
};

static void print_help(FILE *out) {
    fprintf(out, "stampede COMMAND [flags]   (stampede COMMAND --help)\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (commands[i].help) fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of the write that meets it
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) return puts(version_text()) < 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return print_help(stdout), 0;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0) return commands[i].run(argc - 1, argv + 1);
    if (argc > 1)
        fprintf(stderr, "stampede: The command '%s' is not known; expected one of these:\n", name);
    print_help(stderr);
    return 2;
}

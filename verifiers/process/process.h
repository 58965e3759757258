// One child process: its pipes, its life, and bytes in and out. Nothing here blocks, but for a reap
// that is asked to wait.
#ifndef VERIFIERS_PROCESS_PROCESS_H
#define VERIFIERS_PROCESS_PROCESS_H

#include <sys/types.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

enum {
    PROCESS_FIRST_FD = 3, // where the child finds the first descriptor that it is given
    PROCESS_MAX_FDS = 3,
};

struct process {
    pid_t pid;          // 0: not running
    int in, out;        // our ends of its stdin and stdout, -1 when closed
    struct buffer to;   // bytes for its stdin
    size_t to_done;     // of these, written
    struct buffer from; // bytes of its stdout
    size_t from_done;   // of these, taken
    pid_t dying;        // killed and not reaped yet, or 0
};

struct process_command {
    const char *program; // NULL: this executable
    char *const *argv;   // behind the program, NULL-terminated
    const int *fds;      // (n_fds) for the child, from PROCESS_FIRST_FD on
    int n_fds;
    size_t pipe_bytes; // what each pipe should hold
    bool has_path;     // PATH is its environment; else it has none
};

// Starts it with two new pipes, the parent's stderr, what it is given and no other descriptor,
// signals as a program expects them, in a process group of its own. Of the parent's environment,
// where credentials may lie, it gets PATH at most, and what its own libraries are found by.
// ERROR_IO.
int process_start(struct process *p, const struct process_command *command, struct error *err);

// SIGKILL to the process and its group; closes the pipes and drops what was buffered.
void process_kill(struct process *p);

// Collects a killed process if it is gone. With `wait` it waits for it (it was killed).
void process_reap(struct process *p, bool wait);

void process_free(struct process *p); // kills it, waits for it, and frees the buffers

// Writes what fits of `to`; true while there is a rest. A broken pipe is no failure: the end of its
// stdout tells.
bool process_flush(struct process *p);

// Reads what is there, a megabyte at most. Returns -1 when the process closed its stdout, which the
// error says.
int process_read(struct process *p, struct error *err);

// What was read and is not taken yet.
struct slice process_unread(const struct process *p);

#endif

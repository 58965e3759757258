// What a child process that grades may still do: a completion is written by a model, and a grader's
// bug must not be a way out.
//
// Both kinds: no new privileges, no core file, few descriptors, bounded memory, nothing that opens
// a socket, traces, mounts, or changes namespaces or the kernel. A call that is not allowed fails
// with EPERM.
#ifndef VERIFIERS_PROCESS_SANDBOX_H
#define VERIFIERS_PROCESS_SANDBOX_H

#include "protocol/base/error.h"

enum sandbox {
    SANDBOX_GRADER,  // our own graders: the descriptors that are open, memory, time; nothing else
    SANDBOX_PROGRAM, // a program of --verifier: files, processes and threads too
    SANDBOX_NETWORK, // the same with sockets
};

// For the rest of this process and all that it starts. On a machine without a filter for its
// instruction set, or with a kernel without filters: ERROR_UNAVAILABLE, and the rest holds.
int sandbox_enter(enum sandbox kind, struct error *err);

#endif

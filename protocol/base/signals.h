// The signals that ask a process to end.
#ifndef PROTOCOL_BASE_SIGNALS_H
#define PROTOCOL_BASE_SIGNALS_H

#include <signal.h>
#include <stddef.h>

// SIGTERM, SIGINT, and SIGHUP where it is not ignored, as nohup has it: a blocked signal that is
// ignored comes to a signalfd all the same.
static inline void signals_that_end(sigset_t *set) {
    struct sigaction now;
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    if (sigaction(SIGHUP, NULL, &now) != 0 || now.sa_handler != SIG_IGN) sigaddset(set, SIGHUP);
}

#endif

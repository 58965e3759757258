// A look at the id of --weights-dir from a thread of its own: a network file system that hangs may
// hold whoever opens something of it for ever, and that must not be a thread that others wait for.
#ifndef WORKER_WEIGHTS_LOOK_H
#define WORKER_WEIGHTS_LOOK_H

#include "worker/weights/directory.h"

struct look;

// Begins to read the id of the directory at `path`, which is copied. wake(self) is called on the
// other thread when it is done, unless look_drop came first. NULL where no thread is to be had.
struct look *look_begin(const char *path, void (*wake)(void *self), void *self);

// Whether it is done: then *id is what directory_id reads, or empty with its sentence in `err`.
bool look_is_done(struct look *l, char id[DIRECTORY_ID_CHARS + 1], struct error *err);

// Nobody waits any more. A thread that hangs is left to itself, and takes nothing of ours with it.
void look_drop(struct look **l);

#endif

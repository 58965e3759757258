// An update that lies in a file, read on a thread of its own: a network file system that hangs may
// hold whoever reads it for ever, and that must not be the thread of weights, which others wait
// for.
#ifndef WORKER_WEIGHTS_READING_H
#define WORKER_WEIGHTS_READING_H

#include <stdatomic.h>

#include "worker/weights/directory.h"
#include "worker/weights/update.h"

struct reading;

// Brings the whole file into the staging memory, on the caller's thread but for the reading, and
// proves what arrives. Fails the update where directory_read does. Leaves off, within some
// milliseconds, where nobody wants the update any more, or is_closing is set. *left (NULL at first)
// is then what still hangs: while it does, no other file is read, and updates fail.
void reading_run(struct reading **left, const char *path, const struct directory_file *f,
                 struct update *u, struct backend *b, const atomic_bool *is_closing);

// Nobody waits any more. A thread that hangs is left to itself, and takes nothing of ours with it.
void reading_drop(struct reading **left);

#endif

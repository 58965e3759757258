// The thread of weight updates: chunks go into the backend's staging memory, and tensors are proved
// there, while the I/O thread hears the trainer and the engine's thread decodes. It touches staging
// alone.
#ifndef WORKER_WEIGHTS_STAGER_H
#define WORKER_WEIGHTS_STAGER_H

#include "worker/weights/directory.h"
#include "worker/weights/receiver.h"

struct stager;

// `wake` is called on the stager's thread after each chunk. NULL when no thread is to be had.
struct stager *stager_open(struct backend *b, void (*wake)(void *self), void *self,
                           struct error *err);
// Communicators of NCCL that were left with an update unfinished. From any thread.
uint64_t stager_n_aborts(struct stager *s);
// Waits for the chunk under way, and for no file system; what is queued is not staged.
void stager_close(struct stager **s);

// Queues a chunk that update_take accepted. The message is taken over. From one thread.
void stager_put(struct stager *s, struct update *u, struct message *chunk);

// Queues an update that comes by NCCL; join: the communicator, NULL: that of the update before.
void stager_receive(struct stager *s, struct update *u, const struct receiver_join *join);

// Queues an update that lies in a file of the directory at `path`, which is borrowed.
void stager_read(struct stager *s, struct update *u, const char *path,
                 const struct directory_file *file);

#endif

// The bytes of an update by a shared directory (--weights-dir): the trainer writes them once, as a
// file in the safetensors format whose data is the stream of the update, byte for byte. The header
// is for other tools: WEIGHTS_BEGIN says what it says, and its hash, so nothing of it is parsed
// here. What is read is proved like what comes by any other way.
#ifndef WORKER_WEIGHTS_DIRECTORY_H
#define WORKER_WEIGHTS_DIRECTORY_H

#include <stdbool.h>

#include "protocol/messages.h"

// The file by whose contents trainer and worker see that they share a directory: DIRECTORY_ID_CHARS
// digits of base 16.
#define DIRECTORY_ID_FILE "stampede-directory"
enum { DIRECTORY_ID_CHARS = 32 };

// A file as WEIGHTS_BEGIN announced it.
struct directory_file {
    char name[MESSAGE_MAX_FILE + 1];
    uint32_t header_bytes; // before the stream
    uint64_t header_hash;  // xxh3-64 of them
};

// Reads the id of the directory at `path`; -1 with a sentence where it has none that can be read.
int directory_id(const char *path, char id[DIRECTORY_ID_CHARS + 1], struct error *err);

// The file of an offer by TRANSPORT_DIRECTORY.
struct directory_file directory_file(const struct message_weights_begin *m);

// Reads the whole file, a header and `total` bytes: take(self, at, piece, n) is given bytes at ..
// at + n - 1 of these, one piece after the other, and says whether more are wanted. -1 with a
// sentence where there is no such regular file in the directory itself, or another one than was
// announced. May hang as long as its file system does: reading.h is for threads that must not.
typedef bool directory_take(void *self, uint64_t at, const char *piece, size_t n);
int directory_read(const char *path, const struct directory_file *f, uint64_t total,
                   directory_take *take, void *self, struct error *err);

#endif

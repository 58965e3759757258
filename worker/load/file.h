// Files of a checkpoint: read whole, or mapped. Only regular files are touched, so that a pipe or a
// device in a checkpoint directory cannot block the program.
#ifndef WORKER_LOAD_FILE_H
#define WORKER_LOAD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

bool file_exists(const char *path); // as a regular file, through symbolic links

// Appends the file's bytes to `out`. -1 with ERROR_CONFIG when there is no such file, when it is
// no regular file or has more than `max_bytes`, and ERROR_IO when it cannot be read.
int file_read(const char *path, size_t max_bytes, struct buffer *out, struct error *err);

// Maps the file read-only; errors as file_read, an empty file is ERROR_CONFIG. The length is that
// of the moment: reading behind the end of a file that was cut short since raises SIGBUS.
// With `stamp`, *stamp becomes a hash of its former value and of which file it is: inode, size and
// the times of its last change, so that a file that took the place of another one, even with its
// size and time, gives another stamp.
int file_map(const char *path, struct slice *out, uint64_t *stamp, struct error *err);
void file_unmap(struct slice *bytes);

// `directory`/`name` in memory of the caller's, to free().
char *file_join(const char *directory, struct slice name);

#endif

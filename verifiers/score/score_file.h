// Files as the scorer writes them.
#ifndef VERIFIERS_SCORE_SCORE_FILE_H
#define VERIFIERS_SCORE_SCORE_FILE_H

#include "protocol/base/slice.h"

// A path that is written as it is: "-", a pipe, a device, one of this process's descriptors.
bool score_file_is_stream(const char *path);

// The whole of `bytes`. -1: errno says why.
int score_file_write(int fd, struct slice bytes);

// Returns how much was read: less than `len` at the end of the file, or where it fails.
size_t score_file_read(int fd, void *to, size_t len);

// For the whole process: a closed pipe, and a file that may not grow, are writes that fail.
void score_file_ignore_signals(void);

// Makes what was renamed in the folder of `path` last; what cannot be synced is not.
void score_file_sync_folder(const char *path);

#endif

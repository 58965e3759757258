// model.safetensors.index.json: which of several safetensors files holds which tensor.
#ifndef WORKER_LOAD_SHARDS_H
#define WORKER_LOAD_SHARDS_H

#include "protocol/base/error.h"
#include "protocol/base/memory.h"
#include "protocol/base/slice.h"
#include "worker/load/safetensors.h"

#define SHARDS_INDEX "model.safetensors.index.json"

enum { SHARDS_MAX_FILES = 4096, SHARDS_MAX_INDEX_BYTES = 256 << 20 };

struct shard_entry {
    struct slice tensor;
    int file; // index into files
};

struct shards {
    struct slice *files; // (n_files) names without a directory, each once, owned as an array
    int n_files;
    struct shard_entry *entries; // (n) in the file's order
    int n;
};

// Reads an index file; names live in `arena`. -1 with ERROR_CONFIG or ERROR_IO: the sentence names
// the file. A file name that leads out of the directory is refused.
int shards_read(const char *path, struct arena *arena, struct shards *out, struct error *err);
void shards_free(struct shards *s);

// Whether the opened files (in the order of s->files) hold what the index says and nothing else.
int shards_check(const struct shards *s, const struct safetensors *opened, struct error *err);

#endif

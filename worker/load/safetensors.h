// Files in the safetensors format (https://github.com/huggingface/safetensors, "Format"), mapped
// read-only: 8 bytes length of the header (little-endian), the header (a JSON object from tensor
// name to dtype, shape and data_offsets), then the data, which the tensors cover without holes.
//
// All of it is checked against the file's size when it is opened: lengths, offsets, products,
// overlaps, holes, names that come twice. A file that is cut short by someone else after that
// raises SIGBUS where it is read, as any mapped file does: checkpoints must not be rewritten in
// place while a worker loads them (writing a new file and renaming it is safe).
#ifndef WORKER_LOAD_SAFETENSORS_H
#define WORKER_LOAD_SAFETENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/tensor.h"
#include "protocol/base/error.h"
#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

enum {
    SAFETENSORS_MAX_DIMS = 8,
    SAFETENSORS_MAX_HEADER_BYTES = 100000000, // the format's own limit
};

// One tensor of a file, whatever its type.
struct safetensor {
    struct slice name;       // UTF-8
    struct slice dtype_name; // as written: "BF16", "F32", "I64", ...
    bool is_float;           // F32, BF16 or F16: then `dtype` holds
    enum dtype dtype;
    int n_dims;
    int64_t dims[SAFETENSORS_MAX_DIMS]; // (n_dims)
    int64_t n_bytes;
    const void *data; // (n_bytes) in the mapping, in any alignment
    int file;         // index of the file that holds it
};

struct safetensors_file {
    char *path;
    struct slice bytes; // the mapping
};

// All tensors of one checkpoint, sorted by name, each name once.
struct safetensors {
    struct safetensors_file *files; // (n_files)
    int n_files;
    struct safetensor *items; // (n)
    int n;
    struct arena arena; // names
    uint64_t stamp;     // of file_map, of all files
};

// Whether the directory has weights in this format: model.safetensors or its index.
bool safetensors_present(const char *directory);

// Opens model.safetensors, or else every file that model.safetensors.index.json names. -1 with
// ERROR_CONFIG (malformed, inconsistent, missing) or ERROR_IO; the sentence names the file and,
// where there is one, the tensor. With an index, every tensor must be in the file that the index
// gives for it, and no file may hold a tensor that the index does not give to it.
int safetensors_open(const char *directory, struct safetensors **out, struct error *err);
void safetensors_free(struct safetensors **s); // unmaps

// The tensor of this name, or NULL.
const struct safetensor *safetensors_find(const struct safetensors *s, struct slice name);

// Checks one file's bytes. *out: its tensors, sorted by name; names live in `arena` or in `file`,
// data points into `file`; *out is the caller's, to free(). Returns their number or -1.
int safetensors_parse(struct slice file, struct arena *arena, struct safetensor **out,
                      struct error *err);

#endif

// GGUF files (version 3, little-endian), as llama.cpp writes and reads them.
//
// A file is "GGUF", the version (uint32), the numbers of tensors and of keys (uint64), the keys
// with their values, the descriptions of the tensors, and, from the next multiple of
// general.alignment (32 where it is not given) on, the data. A string is its length (uint64) and
// its bytes; an array its type (uint32), its length (uint64) and its elements. A tensor is
// described by its name, the number of its dimensions (uint32), these (uint64, the fastest first),
// its type (uint32) and its place in the data (uint64, a multiple of the alignment).
//
// A model may be split over files NAME-00001-of-0000N.gguf; each has split.no and split.count, and
// the first has the model's keys.
//
// All of it is checked when it is opened: lengths, counts, types, places, overlaps, names that come
// twice. What worker/load/safetensors.h says of files that are cut short later holds here too.
#ifndef WORKER_LOAD_GGUF_H
#define WORKER_LOAD_GGUF_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/tensor.h"
#include "protocol/base/error.h"
#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

enum { GGUF_MAX_DIMS = 4, GGUF_MAX_FILES = 1000, GGUF_MAX_KEYS = 4096 };

enum gguf_kind {
    GGUF_UINT8,
    GGUF_INT8,
    GGUF_UINT16,
    GGUF_INT16,
    GGUF_UINT32,
    GGUF_INT32,
    GGUF_FLOAT32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_UINT64,
    GGUF_INT64,
    GGUF_FLOAT64,
    GGUF_N_KINDS,
};

// A key and its value, which lies in the file.
struct gguf_key {
    struct slice name;
    enum gguf_kind kind;
    enum gguf_kind element; // of an array: no array
    uint64_t n;             // elements of an array
    struct slice bytes;     // the value; of an array its elements, of a string its text
};

struct gguf_tensor {
    struct slice name;
    enum dtype dtype;
    int n_dims;
    int64_t dims[GGUF_MAX_DIMS]; // the fastest first
    int64_t n_bytes;
    const void *data; // (n_bytes) in the mapping
};

// One file's keys and tensors, or a model's.
struct gguf {
    struct slice *files; // (n_files) mappings
    int n_files, n_keys, n_tensors;
    uint64_t stamp;              // of file_map, of all files
    struct gguf_key *keys;       // (n_keys) sorted by name, each once
    struct gguf_tensor *tensors; // (n_tensors) sorted by name, each once
};

// Whether the path is a file that begins as one of this format does.
bool gguf_is_file(const char *path);

// Opens a file, or all of a split model by its first. -1 with ERROR_CONFIG (malformed, missing) or
// ERROR_IO; the sentence names the file and, where there is one, the key or the tensor.
int gguf_open(const char *path, struct gguf **out, struct error *err);
void gguf_free(struct gguf **g); // unmaps

// Checks one file's bytes; names and data point into them. *out is filled but for files; its arrays
// are the caller's, to free().
int gguf_parse(struct slice file, struct gguf *out, struct error *err);

// The number of a type in files.
uint32_t gguf_type_number(enum dtype t);

const struct gguf_key *gguf_find(const struct gguf *g, const char *name); // NULL: no such key
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name);

// A hash of all keys and values: the shape, the text <-> ids mapping and more.
uint64_t gguf_fingerprint(const struct gguf *g);

// Values of keys, and of the elements of arrays of numbers: -1 where it is of another kind.
int gguf_int(const struct gguf_key *k, uint64_t i, int64_t *out); // whole numbers up to 2^63 - 1
int gguf_float(const struct gguf_key *k, double *out);            // floats and whole numbers
int gguf_bool(const struct gguf_key *k, bool *out);

// The next string of an array of strings; *rest begins as k->bytes.
struct slice gguf_next_string(struct slice *rest);

#endif

// Checkpoints for tests: temporary directories, and safetensors files with any mistake in them.
#ifndef TESTS_LOAD_MADE_H
#define TESTS_LOAD_MADE_H

#include <stdint.h>

#include "kernels/tensor.h"
#include "protocol/base/buffer.h"
#include "worker/load/names.h"

// A new directory; made_remove deletes the files in it and the directory.
char *made_directory(void);
void made_remove(char **directory);
void made_write(const char *directory, const char *name, const void *bytes, size_t len);
void made_write_text(const char *directory, const char *name, const char *text);

// A safetensors file in the making: members of the header, and the data.
struct made {
    struct buffer header, data;
};

// Adds a tensor with data of its own. dims: (n_dims).
void made_add(struct made *m, const char *name, const char *dtype, int n_dims, const int64_t *dims,
              const void *data, size_t n_bytes);
// Adds any text as a member of the header, and nothing to the data.
void made_add_raw(struct made *m, const char *member);
// The file's bytes; the caller's, to buffer_free.
struct buffer made_file(const struct made *m);
void made_write_file(const struct made *m, const char *directory, const char *name);
void made_clear(struct made *m);

// Random values for one weight: the same for the same name and seed, all exact in bf16.
struct buffer made_values(const struct weight *w, enum dtype dtype, uint64_t seed);
const char *made_dtype_name(enum dtype t); // as safetensors spells it

#endif

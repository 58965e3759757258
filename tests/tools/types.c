// Block types for tests in other languages: from standard input to standard output.
//
//   types pack TYPE     floats (float32, whole blocks) to blocks
//   types unpack TYPE   blocks to floats
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/types/types.h"
#include "protocol/base/buffer.h"

static int write_out(const void *bytes, size_t n) {
    return fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    enum dtype t = DTYPE_F32;
    bool packs = argc == 3 && strcmp(argv[1], "pack") == 0;
    if (argc != 3 || type_parse(argv[2], &t) || !dtype_is_block(t)) {
        fputs("usage: types pack|unpack TYPE\n", stderr);
        return 2;
    }
    struct buffer in = {0};
    char chunk[1 << 16];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, stdin)) > 0;) buffer_add(&in, chunk, n);
    int64_t block = (int64_t)type_size(t, type_elements(t));
    int64_t n =
        packs ? (int64_t)(in.len / sizeof(float)) : (int64_t)in.len / block * type_elements(t);
    size_t bytes = packs ? type_size(t, n) : (size_t)n * sizeof(float);
    void *out = malloc(bytes + 1);
    if (!out) return 1;
    if (packs)
        type_pack(t, (const float *)(const void *)in.ptr, n, out);
    else
        type_unpack(t, in.ptr, n, out);
    int failed = write_out(out, bytes);
    free(out);
    buffer_free(&in);
    return failed;
}

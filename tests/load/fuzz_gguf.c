// A GGUF file from an enemy: whatever is accepted lies in the file, without overlaps; and what its
// metadata says is a model, or a sentence.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/load/gguf_config.h"
#include "worker/load/gguf_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gguf *g, struct slice file) {
    for (int i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        const char *at = t->data;
        if (t->n_bytes <= 0 || at < file.ptr) abort();
        if ((uint64_t)t->n_bytes > (uint64_t)(file.ptr + file.len - at)) abort();
        if (i && slice_equal(t->name, g->tensors[i - 1].name)) abort();
        volatile char touched = at[t->n_bytes - 1];
        (void)touched;
    }
    for (int i = 0; i < g->n_keys; i++) {
        const struct gguf_key *k = &g->keys[i];
        struct slice rest = k->bytes;
        int64_t v;
        for (uint64_t n = 0; k->element == GGUF_STRING && k->kind == GGUF_ARRAY && n < k->n; n++)
            gguf_next_string(&rest);
        for (uint64_t n = 0; n < k->n && n < 100; n++) gguf_int(k, n, &v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice file = {(const char *)data, size};
    struct error err = {0};
    struct gguf g;
    struct model_config config;
    if (gguf_parse(file, &g, &err)) {
        if (err.code != ERROR_CONFIG) abort();
        return 0;
    }
    check(&g, file);
    if (gguf_config(&g, &config, &err) && err.code != ERROR_CONFIG) abort();
    struct tokenizer *t = gguf_has_tokenizer(&g) ? gguf_tokenizer(&g, &err) : NULL;
    struct chat *chat = t ? gguf_chat(&g, t) : NULL;
    chat_free(&chat);
    tokenizer_free(&t);
    free(g.keys);
    free(g.tensors);
    return 0;
}

// A tokenizer as the keys of a GGUF file.
#include <stdio.h>
#include <stdlib.h>

#include "worker/load/gguf_write.h"
#include "worker/load/tokenizer_parts.h"

enum { NORMAL = 1, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5 };

// Ids that the vocabulary lacks get a text of their own, which nothing draws.
static void write_tokens(const struct tokenizer *t, int vocab, struct buffer *out) {
    gguf_add_array(out, "tokenizer.ggml.tokens", GGUF_STRING, (uint64_t)vocab);
    for (int id = 0; id < vocab; id++) {
        char pad[24];
        snprintf(pad, sizeof pad, "[PAD%d]", id);
        bool is_there = vocab_has_id(&t->vocab, id);
        gguf_add_string(out, is_there ? t->vocab.pieces[id].text : slice_of(pad));
    }
    gguf_add_array(out, "tokenizer.ggml.token_type", GGUF_INT32, (uint64_t)vocab);
    for (int id = 0; id < vocab; id++) {
        int32_t type = UNUSED;
        const struct vocab_piece *p = vocab_has_id(&t->vocab, id) ? &t->vocab.pieces[id] : NULL;
        if (p) type = !p->added ? NORMAL : p->special ? CONTROL : USER_DEFINED;
        buffer_add(out, &type, sizeof type);
    }
}

static int compare_ranks(const void *a, const void *b) {
    int32_t x = ((const struct bpe_merge *)a)->rank, y = ((const struct bpe_merge *)b)->rank;
    return (x > y) - (x < y);
}

static void write_merges(const struct tokenizer *t, struct buffer *out) {
    struct bpe_merge *merges = memory_new(t->bpe.n_slots, sizeof *merges);
    size_t n = 0;
    for (size_t i = 0; i < t->bpe.n_slots; i++)
        if (t->bpe.merges[i].left >= 0) merges[n++] = t->bpe.merges[i];
    qsort(merges, n, sizeof *merges, compare_ranks);
    gguf_add_array(out, "tokenizer.ggml.merges", GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) {
        struct slice left = t->vocab.pieces[merges[i].left].text;
        struct slice right = t->vocab.pieces[merges[i].right].text;
        uint64_t len = left.len + 1 + right.len;
        buffer_add(out, &len, sizeof len);
        buffer_add_slice(out, left);
        buffer_add_text(out, " ");
        buffer_add_slice(out, right);
    }
    free(merges);
}

uint64_t gguf_write_tokenizer(const struct tokenizer *t, int vocab, struct slice chat_template,
                              struct buffer *out) {
    uint64_t n = 8;
    int32_t pad = tokenizer_find(t, slice_of("<|pad|>"));
    gguf_add_text(out, "tokenizer.ggml.model", slice_of("gpt2"));
    gguf_add_text(out, "tokenizer.ggml.pre", slice_of("lfm2"));
    write_tokens(t, vocab, out);
    write_merges(t, out);
    gguf_add_flag(out, "tokenizer.ggml.add_bos_token", tokenizer_adds_bos(t));
    gguf_add_flag(out, "tokenizer.ggml.add_eos_token", t->back.n > 0);
    gguf_add_flag(out, "tokenizer.ggml.add_sep_token", false);
    if (t->bos >= 0) gguf_add_u32(out, "tokenizer.ggml.bos_token_id", (uint32_t)t->bos), n++;
    if (t->n_end_ids)
        gguf_add_u32(out, "tokenizer.ggml.eos_token_id", (uint32_t)t->end_ids[0]), n++;
    if (pad >= 0) gguf_add_u32(out, "tokenizer.ggml.padding_token_id", (uint32_t)pad), n++;
    if (chat_template.len) gguf_add_text(out, "tokenizer.chat_template", chat_template), n++;
    return n;
}

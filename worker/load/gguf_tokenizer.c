#include "worker/load/gguf_tokenizer.h"

#include "worker/load/chat_parts.h"
#include "worker/load/tokenizer_parts.h"

enum token_type { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

static const char tokens_key[] = "tokenizer.ggml.tokens", types_key[] = "tokenizer.ggml.token_type";
static const char merges_key[] = "tokenizer.ggml.merges", model_key[] = "tokenizer.ggml.model";

static bool is_text(const struct gguf_key *k, const char *text) {
    return k && k->kind == GGUF_STRING && slice_is(k->bytes, text);
}

bool gguf_has_tokenizer(const struct gguf *g) {
    const struct gguf_key *model = gguf_find(g, model_key);
    return model && !is_text(model, "none") && !is_text(model, "no_vocab");
}

static int refuse(struct error *err, const char *key, const char *expected) {
    return error_set(err, ERROR_CONFIG,
                     "Key \"%s\" is missing or of another kind; %s was expected.", key, expected);
}

static int check_model(const struct gguf *g, struct error *err) {
    static const char *const known[] = {"lfm2", "llama3", "llama-v3", "llama-bpe"};
    const struct gguf_key *pre = gguf_find(g, "tokenizer.ggml.pre");
    if (!is_text(gguf_find(g, model_key), "gpt2")) return refuse(err, model_key, "\"gpt2\"");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_text(pre, known[i])) return 0;
    return refuse(err, "tokenizer.ggml.pre", "\"lfm2\"");
}

static int read_token(struct tokenizer *t, struct slice text, int32_t id, int64_t type,
                      struct error *err) {
    if (type == UNUSED) return 0;
    if (type < NORMAL || type > BYTE)
        return error_set(err, ERROR_CONFIG, "Token %d has type %lld; %d to %d was expected.", id,
                         (long long)type, NORMAL, BYTE);
    bool is_added = (type == CONTROL || type == USER_DEFINED) && text.len > 0;
    if (vocab_add(&t->vocab, text, id, is_added, err)) return -1;
    t->vocab.pieces[id].special = type == CONTROL;
    if (is_added) added_put(&t->added[0], text, id);
    return 0;
}

static int read_tokens(struct tokenizer *t, const struct gguf *g, struct error *err) {
    const struct gguf_key *tokens = gguf_find(g, tokens_key), *types = gguf_find(g, types_key);
    if (!tokens || tokens->kind != GGUF_ARRAY || tokens->element != GGUF_STRING || !tokens->n ||
        tokens->n > TOKENIZER_MAX_IDS)
        return refuse(err, tokens_key, "an array of texts");
    if (types && (types->kind != GGUF_ARRAY || types->n != tokens->n))
        return refuse(err, types_key, "an array with a type for each token");
    vocab_init(&t->vocab, (int32_t)tokens->n);
    struct slice rest = tokens->bytes;
    for (int32_t id = 0; id < (int32_t)tokens->n; id++) {
        int64_t type = NORMAL;
        struct slice text = gguf_next_string(&rest);
        if (types && gguf_int(types, (uint64_t)id, &type))
            return refuse(err, types_key, "an array of whole numbers");
        if (read_token(t, text, id, type, err)) return -1;
    }
    return 0;
}

static int read_merges(struct tokenizer *t, const struct gguf *g, struct error *err) {
    const struct gguf_key *merges = gguf_find(g, merges_key);
    if (!merges || merges->kind != GGUF_ARRAY || merges->element != GGUF_STRING ||
        merges->n > TOKENIZER_MAX_IDS)
        return refuse(err, merges_key, "an array of texts");
    bpe_init(&t->bpe, (size_t)merges->n);
    t->bpe.ignore_merges = true;
    if (tokenizer_read_bytes(t, err)) return -1;
    struct slice rest = merges->bytes;
    for (int32_t rank = 0; rank < (int32_t)merges->n; rank++) {
        struct slice text = gguf_next_string(&rest), parts[2];
        if (tokenizer_split_merge(text, parts) || tokenizer_join(t, parts, rank))
            return error_set(err, ERROR_CONFIG,
                             "Merge %d is \"%.*s\"; two tokens and a space between, and their "
                             "whole among the tokens, were expected.",
                             rank, SLICE_ARG(text));
    }
    return 0;
}

static int read_id(const struct gguf *g, const struct tokenizer *t, const char *key, int32_t *out,
                   struct error *err) {
    const struct gguf_key *k = gguf_find(g, key);
    int64_t id;
    *out = -1;
    if (!k) return 0;
    if (gguf_int(k, 0, &id) || !vocab_has_id(&t->vocab, id))
        return refuse(err, key, "an id of a token");
    *out = (int32_t)id;
    return 0;
}

static int read_flag(const struct gguf *g, const char *key, bool *out, struct error *err) {
    const struct gguf_key *k = gguf_find(g, key);
    return k && gguf_bool(k, out) ? refuse(err, key, "true or false") : 0;
}

static int read_specials(struct tokenizer *t, const struct gguf *g, struct error *err) {
    bool adds_bos = true, adds_eos = false; // llama.cpp's defaults for this pre-tokenizer
    int32_t eos;
    if (read_id(g, t, "tokenizer.ggml.bos_token_id", &t->bos, err) ||
        read_id(g, t, "tokenizer.ggml.eos_token_id", &eos, err) ||
        read_flag(g, "tokenizer.ggml.add_bos_token", &adds_bos, err) ||
        read_flag(g, "tokenizer.ggml.add_eos_token", &adds_eos, err))
        return -1;
    int32_t end_of_text = tokenizer_find(t, slice_of("<|endoftext|>"));
    if (eos >= 0) t->end_ids[t->n_end_ids++] = eos;
    if (end_of_text >= 0 && end_of_text != eos) t->end_ids[t->n_end_ids++] = end_of_text;
    if (adds_bos && t->bos >= 0) token_list_add(&t->front, t->bos);
    if (adds_eos && eos >= 0) token_list_add(&t->back, eos);
    return 0;
}

struct tokenizer *gguf_tokenizer(const struct gguf *g, struct error *err) {
    struct tokenizer *t = memory_new(1, sizeof *t);
    t->bos = -1;
    if (check_model(g, err) || read_tokens(t, g, err) || read_merges(t, g, err) ||
        read_specials(t, g, err))
        tokenizer_free(&t);
    return t;
}

static void add_token(struct chat *chat, const struct tokenizer *t, const char *name, int32_t id) {
    if (id >= 0) chat_add_token(chat, slice_of(name), tokenizer_token_bytes(t, id));
}

struct chat *gguf_chat(const struct gguf *g, const struct tokenizer *t) {
    struct chat *chat = memory_new(1, sizeof *chat);
    const struct gguf_key *k = gguf_find(g, "tokenizer.chat_template");
    bool is_there = k && k->kind == GGUF_STRING;
    chat_add_template(chat, "default", is_there ? k->bytes : slice_of(chat_default_template),
                      is_there ? "tokenizer.chat_template" : "LFM2's template");
    add_token(chat, t, "bos_token", t->bos);
    add_token(chat, t, "eos_token", t->n_end_ids ? t->end_ids[0] : -1);
    return chat;
}

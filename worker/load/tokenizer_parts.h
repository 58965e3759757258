// The inside of struct tokenizer, for the files tokenizer*.c only.
#ifndef WORKER_LOAD_TOKENIZER_PARTS_H
#define WORKER_LOAD_TOKENIZER_PARTS_H

#include "protocol/base/json.h"
#include "worker/load/added.h"
#include "worker/load/bpe.h"
#include "worker/load/tokenizer.h"
#include "worker/load/vocab.h"

struct tokenizer {
    struct vocab vocab;
    struct bpe bpe;
    // [0]: tokens with normalized false, found first; [1]: normalized true, found in what is left.
    // There is no normalizer, so that this order is all that normalized means.
    struct added added[2];
    struct token_list front, back; // what add_special puts around a text
    int32_t bos;                   // or -1
    int32_t end_ids[2];
    int n_end_ids;
};

// tokenizer_parse.c, in the order in which they run. `root` is the parsed tokenizer.json.
int tokenizer_read_model(struct tokenizer *t, const struct json *root, struct error *err);
int tokenizer_read_added(struct tokenizer *t, const struct json *root, struct error *err);

// Also there, of vocabularies in any format. The piece of each byte; -1 with ERROR_CONFIG where one
// is missing.
int tokenizer_read_bytes(struct tokenizer *t, struct error *err);
// "a b" cut at its one space; -1: it has none or more.
int tokenizer_split_merge(struct slice text, struct slice parts[2]);
// Adds the rule for two pieces; -1 where one of them or their whole is no piece.
int tokenizer_join(struct tokenizer *t, const struct slice parts[2], int32_t rank);

// tokenizer_steps.c
int tokenizer_check_steps(const struct json *root, struct error *err);
int tokenizer_read_template(struct tokenizer *t, const struct json *root, struct error *err);

// tokenizer_load.c: bos_token and eos_token. `config` may be NULL.
int tokenizer_read_config(struct tokenizer *t, const struct json *config, struct error *err);

// Whether `value` is a string and this one.
bool tokenizer_is_text(const struct json *value, const char *text);

static inline bool tokenizer_is_null(const struct json *value) { // or absent
    return !value || value->type == JSON_NULL;
}

#endif

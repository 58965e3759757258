// The completions of a record, whatever their shape: texts, chat messages, lists of either, token
// ids, and what each format makes of them.
#ifndef VERIFIERS_SCORE_SCORE_COMPLETION_H
#define VERIFIERS_SCORE_SCORE_COMPLETION_H

#include "verifiers/score/score_format.h"

enum { SCORE_MAX_SAMPLES = 4096 };

struct score_completions {
    int n;
    struct slice *texts;         // (n) UTF-8; ptr NULL: null stood in the list
    const char **finish_reasons; // (n), NULL where not known; or NULL
    int64_t n_tokens;            // of the only one; -1: not known
};

// A text; a chat, of which the last assistant turn counts; or a list of texts or of chats, nested
// as deep as may be. `what` names the value in sentences.
int score_completions_read(const struct json *value, const char *what, struct arena *arena,
                           struct score_completions *out, struct error *err);

// lm-eval's `resps`: of the record's requests and repetitions. Log-likelihoods are refused.
int score_completions_of_lm_eval(const struct json *root, const struct json *resps,
                                 struct arena *arena, struct score_completions *out,
                                 struct error *err);

// AReaL's `completion`: with the tokens that ended it, and of several turns, whose last one counts.
int score_completions_of_areal(const struct json *root, const struct json *completion,
                               struct arena *arena, struct score_completions *out,
                               struct error *err);

// OpenAI's batch output: {"custom_id", "response": {"status_code", "body"}, "error"}.
int score_completions_of_batch(const struct json *root, struct arena *arena,
                               struct score_completions *out, struct error *err);

// open-instruct's `response_tokens`.
int score_completions_of_tokens(const struct json *root, const struct score_map *map,
                                struct arena *arena, struct score_completions *out,
                                struct error *err);

// Whether a value is a list of numbers, and not of texts.
bool score_is_token_ids(const struct json *value);
// Its ids as text, in `arena`. *n_tokens: how many there were.
int score_decode(const struct score_map *map, const struct json *value, struct arena *arena,
                 struct slice *out, int64_t *n_tokens, struct error *err);

#endif

// libstampede_verify.so for other languages: plain pointers and lengths, no structures of ours.
//
// C programs use verify.h, which the library exports too. These few functions are what a binding
// needs, such as the Python package's. All are thread-safe; nothing is kept between calls.
#ifndef VERIFIERS_LIBRARY_H
#define VERIFIERS_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

enum { STAMPEDE_MESSAGE_BYTES = 1024 };

// Grades (n) completions, UTF-8 of lens[i] bytes. `rewards`: JSON of one reward for all (n_rewards
// 1) or of one for each (n_rewards n). `n_tokens`: (n), -1 where not known; or NULL. Returns a JSON
// array of (n) objects {"value", "status", "terms"}, *out_len bytes and a 0 behind them; a reward
// that is wrong comes out with status bad_spec and the sentence as "error". Freed with
// stampede_free.
char *stampede_score(const char *const *completions, const size_t *lens, size_t n,
                     const char *const *rewards, const size_t *reward_lens, size_t n_rewards,
                     const int64_t *n_tokens, size_t *out_len);

// Whether a mathematical answer equals a gold: 1 equal, 0 not, or not decided. `policy`: "value",
// "literal" or "simplified". -1: the gold or the policy is not understood, and `message`, of
// STAMPEDE_MESSAGE_BYTES, says why.
int stampede_equal(const char *gold, size_t gold_len, const char *answer, size_t answer_len,
                   const char *policy, char *message);

// The part of a completion that is its mathematical answer, *out_len bytes and a 0 behind them;
// adjacent boxes are joined by ", ". NULL: it has none. Freed with stampede_free.
char *stampede_extract(const char *text, size_t len, size_t *out_len);

void stampede_free(void *memory);

#endif

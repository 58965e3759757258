// What has followed what: the memory of texts that guesses come from. A source of drafts (draft.h).
//
// Of a token of a text facts are kept, "behind these 2 (4, 8, 16) tokens of this prompt's texts
// came that one", with how often and when last; while that of 16 is known it is counted alone.
// Where many tokens come at a time it is at first for 2 and 4, and for a longer context once the
// next shorter one has been seen with this continuation: that costs half, and guesses pay less
// there. A text is a prompt, and what rows of that prompt have drawn: this row, its siblings, and
// samples of earlier calls, under any weights. Prompts are told apart by a hash of their ids, which
// is part of every fact's key; so texts of equal prompts meet, whoever sent them and whenever, and
// no list of prompts is kept.
//
// A guess is a continuation of the longest context that is known. A draw is the id of the largest
// log-probability plus noise, and the noise is a function of (seed, position, sample): it is known
// before the draw (D5). So each fact keeps how likely its token was when it was drawn last, and the
// guess is the continuation that wins with the noise of the draw that is guessed: where the context
// names the place and the weights are the same, it is wrong only where a token that never came
// here wins. Without noise (temperature 0) it is the most frequent continuation, the last one
// where two are equally frequent. The next guess follows from the context with the first one at
// its end. A step of this costs four look-ups at most, each in one line of the processor's cache,
// whatever is stored. (A suffix automaton would find lengths between the four, at the price of
// memory that grows while rows decode and of a walk from state to state; what is lost by them
// comes to little, since a context of 16 tokens of the same prompt nearly names the place.)
//
// The facts lie in one table of fixed size, in buckets of one cache line. A new fact takes the
// place of the least recently used one of its bucket. So nothing is taken or freed while rows
// decode, and old texts fade fact by fact. A false match (32 bits of a hash are compared) costs a
// wrong guess and nothing else.
#ifndef WORKER_ENGINE_HISTORY_H
#define WORKER_ENGINE_HISTORY_H

#include <stddef.h>
#include <stdint.h>

// Lengths of contexts; kinds of evidence, which tell apart how likely a guess is to be right:
// length (the longest first), and how sure the continuation is: with noise the chance that it wins
// by the probabilities that are kept, without it the share of what followed that it had.
enum { HISTORY_LENGTHS = 4, HISTORY_LONGEST = 16, HISTORY_SHARES = 6 };
enum { HISTORY_KINDS = HISTORY_LENGTHS * HISTORY_SHARES };

struct history;

// The noise of draws.
struct history_noise {
    uint64_t seed;
    uint32_t position, sample; // position: of the next token
};

// Takes `bytes` of memory for the table (rounded down; 64 at least), and room for texts of
// `n_texts` rows that grow, by up to `max_tokens` tokens all together between two calls of
// history_settle.
struct history *history_open(size_t bytes, int n_texts, int max_tokens);
void history_free(struct history **history);

// The key of a prompt.
uint64_t history_key(const int32_t *prompt_ids, int n_prompt);

// Text `text` (0 to n_texts - 1) begins anew: with a prompt, and nothing behind it. `is_new`: the
// prompt itself is to be remembered; its ids are read until the next history_settle.
void history_begin(struct history *h, int text, uint64_t key, const int32_t *prompt_ids,
                   int n_prompt, int is_new);

// One more token of the text, drawn with log-probability `lp`; it can be found after the next
// history_settle.
void history_add(struct history *h, int text, int32_t id, float lp);

// One more token of the text, of one that has been filed before: what follows stands behind it.
void history_skip(struct history *h, int text, int32_t id);

// Files what has come since the last call. The rest of this file costs little before that, so that
// it can be done while a device computes.
void history_settle(struct history *h);

// Guesses up to n tokens behind what the text has now: ids[i], of kind kinds[i] (0 to
// HISTORY_KINDS - 1), for as long as the product of their kinds' chances (HISTORY_KINDS) is `least`
// or more. Returns how many. `noise`: of the draws; NULL: they have none.
int history_guess(const struct history *h, int text, int n, const struct history_noise *noise,
                  const float *chances, float least, int32_t *ids, uint8_t *kinds);

// history_guess will be asked for this text soon: fetches what it will look at first from memory.
void history_expect(const struct history *h, int text);

#endif

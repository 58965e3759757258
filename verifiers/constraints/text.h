// A response prepared for checks: its lines, words and so on, each made on first use and then kept
// (sentences and tokens: text_sentences.h). Everything handed out is UTF-8 within the text's arena
// and lives as long as the text.
//
// Words and white space are Python's: str.split(), str.strip(), \w, str.lower() on code points.
//
// Budgets: a text longer than TEXT_MAX_BYTES or a check that spends more than its steps sets
// `over`; from then on everything is empty, and the caller reports a limit.
#ifndef VERIFIERS_CONSTRAINTS_TEXT_H
#define VERIFIERS_CONSTRAINTS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

enum {
    TEXT_MAX_BYTES = 1 << 20,
    TEXT_BASE_STEPS = 1 << 20, // a step is some nanoseconds: a byte looked at, a token made
    TEXT_STEPS_PER_BYTE = 64,
    TEXT_SIGMA_CHARS =
        64, // around a sigma that are looked at for whether it is a word's last letter
};

// A growing list of slices, in a text's arena.
struct slices {
    struct slice *items; // (n)
    size_t n, capacity;
};

// A list in up to three runs, one behind the other. The middle one is of another list, that of the
// text of which this one is a part.
struct runs {
    struct slices run[3];
    size_t n;                 // of all
    bool is_shared;           // the middle one is
    struct slices skipped[2]; // then: what that list has in front of it and behind it
};

static inline struct slice runs_at(const struct runs *list, size_t i) {
    int k = 0;
    while (k < 2 && i >= list->run[k].n) i -= list->run[k++].n;
    return list->run[k].items[i];
}

struct constraint_text {
    struct slice raw; // valid UTF-8: ill-formed parts of the response became U+FFFD
    bool over;
    uint64_t steps_left;
    struct arena *arena; // owned by text_open's caller
    struct text_cache *cache;
    const struct runs *sentences, *tokens; // kept by text_sentences.c; NULL: not made yet
    const uint32_t *tokens_at;             // (tokens->n) where they stand in `raw`
    const struct treebank_states *token_states;
    // The text of which this one is a part: what is kept of it may be used. NULL: none.
    struct constraint_text *within;
    struct constraint_text *inner; // kept by text_inner
    // What a check that said no has said of others (text_no_part, text_blame).
    bool no_part;
    struct slice blamed;
    // What a check leaves for those of the other variants, in the whole's arena.
    void *kept;
};

// Prepares `response` (copied where it has to be mended, else borrowed). `arena` holds everything
// that is made of it and is cleared by the caller.
void text_open(struct constraint_text *text, struct slice response, struct arena *arena);

// Prepares a part of a text: what is left when it loses whole lines at its ends, and then any white
// space there. Both may have arenas of their own; `whole` has to live as long.
void text_open_part(struct constraint_text *text, struct slice part, struct constraint_text *whole,
                    struct arena *arena);

// A text of its own that is a slice of `text`, or of what was made of it. Of a part it is one of
// the last one that was made for the whole, where it lies in that.
struct constraint_text *text_inner(struct constraint_text *text, struct slice s);

// The text, or (`lower`) what it is in lower case, with spaces for a mark, as a text of its own.
// That of a part is a part of the whole's. Uses text->kept.
struct constraint_text *text_spaced(struct constraint_text *text, bool lower, char mark);

// What a check that says no knows of the text's parts, and of those that it is a part of: they need
// no check then. Both return false.
// No part of the text follows.
bool text_no_part(struct constraint_text *text);
// No text with these bytes follows: text->raw, or some of it.
bool text_blame(struct constraint_text *text, struct slice bytes);

// Whether the bytes do not occur in text->raw; where they do, those are to blame.
bool text_lacks(struct constraint_text *text, struct slice bytes);

// Gives the whole budget of steps again, for the next check of the same text.
void text_refill(struct constraint_text *text);

// Charges `steps`; false, and `over` set, when the budget is used up.
static inline bool text_spend(struct constraint_text *text, uint64_t steps) {
    if (steps > text->steps_left) {
        text->over = true;
        text->steps_left = 0;
    } else {
        text->steps_left -= steps;
    }
    return !text->over;
}

// ---- Kept views of the whole text -------------------------------------------------------------
struct slice text_stripped(struct constraint_text *text);       // str.strip()
struct slice text_lower(struct constraint_text *text);          // str.lower()
struct slice text_fold(struct constraint_text *text);           // by char_fold
const struct slices *text_lines(struct constraint_text *text);  // str.split("\n")
const struct slices *text_fields(struct constraint_text *text); // str.split(): white space
const struct slices *text_words(struct constraint_text *text);  // runs of \w

// ---- The same for any slice, made anew at each call -------------------------------------------
struct slice text_lower_of(struct constraint_text *text, struct slice s);
struct slice text_fold_of(struct constraint_text *text, struct slice s);
// Whether `s` in lower case is `lower`. Much longer ones are not looked at.
bool text_lower_is(struct constraint_text *text, struct slice s, struct slice lower);
// Whether two slices are the same in lower case.
bool text_lower_same(struct constraint_text *text, struct slice a, struct slice b);
struct slices text_split_of(struct constraint_text *text, struct slice s, struct slice separator);
struct slices text_fields_of(struct constraint_text *text, struct slice s);
struct slices text_words_of(struct constraint_text *text, struct slice s);
// `s` without Python's string.punctuation, the 32 ASCII marks (str.translate that deletes them).
struct slice text_without_punctuation_of(struct constraint_text *text, struct slice s);
// `s` with every `from` (not empty) replaced by `to`, as str.replace.
struct slice text_replace_of(struct constraint_text *text, struct slice s, struct slice from,
                             struct slice to);
// NFKD, then only the ASCII that is left: unicodedata.normalize and encode("ascii", "ignore").
struct slice text_ascii_of(struct constraint_text *text, struct slice s);
// The code points of `s`; *n of them.
const uint32_t *text_codes_of(struct constraint_text *text, struct slice s, size_t *n);

// Makes room for more items; false when the budget is used up.
bool slices_grow(struct constraint_text *text, struct slices *list);

static inline void slices_add(struct constraint_text *text, struct slices *list,
                              struct slice item) {
    if (list->n == list->capacity && !slices_grow(text, list)) return;
    list->items[list->n++] = item;
}

// The items from `from` to before `to`: a list that is not added to.
static inline struct slices slices_part(const struct slices *list, size_t from, size_t to) {
    return (struct slices){.items = list->items + from, .n = to - from, .capacity = to - from};
}

// Of items in the order of a text, one behind the other: how many start in front of `at`, or end
// there or in front of it.
size_t slices_n_starting(const struct slices *list, const char *at);
size_t slices_n_ending(const struct slices *list, const char *at);

// Makes room for at most `max` items of an empty list, where these are many: memory that is not
// written costs nothing, and a list that grows is written twice.
void slices_expect(struct constraint_text *text, struct slices *list, size_t max);

#endif

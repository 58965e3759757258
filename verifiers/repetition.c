// `repetition`: a penalty on n-grams of words that come again, as long chain-of-thought training
// uses it (arXiv 2502.03373, appendix C.2, in the form of a share that open-r1 gives it):
//
//     value = -max_penalty * (1 - distinct n-grams / n-grams)
//
// A text without n-grams has 0. Words are lower-cased runs between white space. So that text
// without spaces is no way around it, a character of a script that writes none (Chinese, Japanese,
// Thai, ...) is a word, and a longer run is cut after every MAX_WORD characters.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/hash.h"
#include "protocol/base/utf8.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/verifier.h"

enum {
    MAX_NGRAM = 64,
    MAX_BYTES = 1 << 20,
    MAX_WORD = 24,        // characters
    PROBES_PER_GRAM = 32, // of the table of n-grams, on the average
};

struct repetition {
    int64_t ngram;
    double max_penalty;
};

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    struct repetition r = {3, 1};
    const struct json *ngram = json_get(term, "ngram"), *most = json_get(term, "max_penalty");
    (void)arena;
    if (ngram && (ngram->type != JSON_NUMBER || json_int64(ngram, &r.ngram) || r.ngram < 1 ||
                  r.ngram > MAX_NGRAM)) {
        error_set(err, ERROR_INPUT, "\"ngram\" is %.*s; a number of words, 1 to %d, was expected.",
                  SLICE_ARG(ngram->text), MAX_NGRAM);
        return NULL;
    }
    if (most && (most->type != JSON_NUMBER || json_double(most, &r.max_penalty) ||
                 !isfinite(r.max_penalty) || r.max_penalty <= 0)) {
        error_set(err, ERROR_INPUT,
                  "\"max_penalty\" is %.*s; a finite number above 0 was expected (the value lies "
                  "between minus that and 0).",
                  SLICE_ARG(most->text));
        return NULL;
    }
    struct repetition *state = memory_new(1, sizeof *state);
    *state = r;
    return state;
}

static bool stands_alone(uint32_t c) {
    return (c >= 0x0E00 && c < 0x1100 && !(c >= 0x10A0)) || (c >= 0x1780 && c < 0x1800) ||
           (c >= 0x2E80 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) ||
           (c >= 0x20000 && c < 0x40000);
}

// The hashes of the words of `text`. A byte that is no UTF-8 counts as a character.
static size_t hash_words(struct slice text, uint64_t *out) {
    char word[MAX_WORD * 4];
    size_t n = 0, len = 0;
    int n_chars = 0;
    while (text.len) {
        uint32_t code;
        int size = utf8_next(text, &code);
        if (size == 0) {
            code = 0xFFFD;
            size = 1;
        }
        text = (struct slice){text.ptr + size, text.len - (size_t)size};
        const bool space = char_classes(code) & CHAR_SPACE, alone = !space && stands_alone(code);
        if (len && (space || alone || n_chars == MAX_WORD)) {
            out[n++] = hash_bytes(word, len);
            len = 0;
            n_chars = 0;
        }
        if (space) continue;
        len += (size_t)utf8_write(char_lower(code), word + len);
        n_chars++;
        if (alone) n_chars = MAX_WORD;
    }
    if (len) out[n++] = hash_bytes(word, len);
    return n;
}

// A set of hashes: open addressing, at most half full. A text made to collide runs out of probes.
struct set {
    uint64_t *slots; // (mask + 1); 0: free
    uint64_t mask, probes_left;
    size_t n;
};

static bool set_add(struct set *set, uint64_t hash) {
    if (hash == 0) hash = 1;
    for (uint64_t at = hash >> 7 & set->mask;; at = (at + 1) & set->mask) {
        if (set->probes_left-- == 0) return false;
        if (set->slots[at] == hash) return true;
        if (set->slots[at]) continue;
        set->slots[at] = hash;
        set->n++;
        return true;
    }
}

// Counts n-grams and distinct ones; false: over the budget. An n-gram's hash is a polynomial in the
// hashes of its words, which rolls on from one to the next.
static bool count_grams(const uint64_t *words, size_t n_words, size_t ngram, struct arena *arena,
                        size_t *n_grams, size_t *n_distinct) {
    const uint64_t base = 0x9E3779B97F4A7C15u;
    uint64_t rolled = 0, first = 1; // what the oldest word is multiplied with
    *n_grams = *n_distinct = 0;
    if (n_words < ngram) return true;
    *n_grams = n_words - ngram + 1;
    struct set set = {.mask = 63, .probes_left = 1024 + *n_grams * PROBES_PER_GRAM};
    while (set.mask < 2 * *n_grams) set.mask = 2 * set.mask + 1;
    set.slots = arena_take(arena, set.mask + 1, sizeof *set.slots);
    for (size_t i = 1; i < ngram; i++) first *= base;
    for (size_t i = 0; i < n_words; i++) {
        if (i >= ngram) rolled -= words[i - ngram] * first;
        rolled = rolled * base + words[i];
        if (i + 1 < ngram) continue;
        uint64_t mixed = rolled ^ rolled >> 32;
        mixed *= 0xD6E8FEB86659FD93u;
        if (!set_add(&set, mixed ^ mixed >> 32)) return false;
    }
    *n_distinct = set.n;
    return true;
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct repetition *r = state;
    const struct slice text = sample->completion;
    struct arena arena = {0};
    size_t n_grams = 0, n_distinct = 0;
    bool ok = text.len <= MAX_BYTES;
    if (ok) {
        uint64_t *words = arena_take(&arena, text.len + 1, sizeof *words);
        const size_t n = hash_words(text, words);
        ok = count_grams(words, n, (size_t)r->ngram, &arena, &n_grams, &n_distinct);
    }
    arena_clear(&arena);
    if (!ok) {
        out->status = REWARD_LIMIT;
        snprintf(out->detail, sizeof out->detail, "The text used up the budget of bytes or steps.");
    } else if (n_distinct < n_grams) {
        out->value = -r->max_penalty * (double)(n_grams - n_distinct) / (double)n_grams;
    }
}

static const char *const KEYS[] = {"ngram", "max_penalty", NULL};

const struct verifier repetition_verifier = {.name = "repetition",
                                             .no_gate = true,
                                             .keys = KEYS,
                                             .parse = parse,
                                             .grade = grade,
                                             .free = free};

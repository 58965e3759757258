#include "verifiers/constraints/text_sentences.h"

#include <assert.h>
#include <string.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/punkt.h"
#include "verifiers/constraints/treebank.h"

enum { MAX_EDGE = 64, LEAST_SHARED = 8 };

static const struct slices *keep(struct constraint_text *text, struct slices list) {
    struct slices *kept = arena_take(text->arena, 1, sizeof *kept);
    *kept = list;
    return kept;
}

struct slices text_sentences_of(struct constraint_text *text, struct slice s) {
    struct slices out = {0};
    slices_expect(text, &out, s.len / 2 + 1);
    punkt_sentences(text, s, &out);
    return out;
}

size_t text_n_sentences_of(struct constraint_text *text, struct slice s) {
    return punkt_sentences(text, s, NULL);
}

struct slices text_tokens_of(struct constraint_text *text, struct slice s) {
    const struct slices sentences = text_sentences_of(text, s);
    return treebank_words(text, &sentences, NULL);
}

// ---- A part of a text that is split already ----------------------------------------------------

// Where a sentence starts behind ASCII white space, what is in front of it decides nothing behind:
// a candidate's word starts behind such white space at the latest. Between two such places that
// are well within a part its sentences are those of the whole.
struct shared {
    struct slices before, behind; // sentences of the part in front of the shared ones, and behind
    size_t from, to;              // the shared ones, of the whole
};

static bool is_anchor(const struct slices *sentences, size_t i) {
    const char *start = sentences->items[i].ptr;
    return i > 0 && (start[-1] == ' ' || (start[-1] >= '\t' && start[-1] <= '\r'));
}

// The first sentence that starts behind `at`.
static size_t first_behind(const struct slices *sentences, const char *at) {
    size_t low = 0, high = sentences->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sentences->items[middle].ptr > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// An anchor from sentence `i` on, near it; SIZE_MAX where there is none.
static size_t next_anchor(const struct slices *sentences, size_t i) {
    for (size_t k = i; k < sentences->n && k < i + MAX_EDGE; k++)
        if (is_anchor(sentences, k)) return k;
    return SIZE_MAX;
}

static struct slice between(const char *from, const char *to) {
    return (struct slice){from, (size_t)(to - from)};
}

static bool share(struct constraint_text *text, struct shared *out) {
    const struct slices *all = text->within ? text->within->sentences : NULL;
    const char *start = text->raw.ptr, *end = start + text->raw.len;
    if (!all || text->raw.len == 0) return false;
    // Without its stars a part may have white space at its ends.
    if (slice_strip(text->raw, CHAR_SPACE).len < text->raw.len) return false;
    const size_t first = first_behind(all, start), last = first_behind(all, end - 1);
    if (last < first + 2 * MAX_EDGE + LEAST_SHARED) return false;
    const size_t from = next_anchor(all, first + 1);
    const size_t limit = from == SIZE_MAX ? from : next_anchor(all, from + 2);
    size_t to = last - 3; // a whole sentence and the start of the next one are behind it
    while (to > last - MAX_EDGE && !is_anchor(all, to)) to--;
    if (limit == SIZE_MAX || limit >= to || !is_anchor(all, to)) return false;
    *out = (struct shared){.from = from, .to = to};
    out->before = text_sentences_of(text, between(start, all->items[limit].ptr));
    size_t n = 0;
    while (n < out->before.n && out->before.items[n].ptr != all->items[from].ptr) n++;
    if (n == out->before.n) return false;
    out->before.n = n;
    out->behind = text_sentences_of(text, between(all->items[to].ptr, end));
    return !text->over;
}

static void append(struct constraint_text *text, struct slices *out, const struct slice *items,
                   size_t n) {
    if (!text_spend(text, n)) return;
    assert(out->capacity - out->n >= n);
    if (n) memcpy(out->items + out->n, items, n * sizeof *items);
    out->n += n;
}

static struct slices room_for(struct constraint_text *text, size_t n) {
    return (struct slices){.items = arena_take(text->arena, n + 1, sizeof(struct slice)),
                           .capacity = n + 1};
}

static struct slices shared_sentences(struct constraint_text *text, const struct shared *s) {
    const struct slices *all = text->within->sentences;
    struct slices out = room_for(text, s->before.n + (s->to - s->from) + s->behind.n);
    append(text, &out, s->before.items, s->before.n);
    append(text, &out, all->items + s->from, s->to - s->from);
    append(text, &out, s->behind.items, s->behind.n);
    return out;
}

static struct slices shared_tokens(struct constraint_text *text, const struct shared *s) {
    const size_t *starts = text->within->token_starts;
    const struct slices before = treebank_words(text, &s->before, NULL);
    const struct slices behind = treebank_words(text, &s->behind, NULL);
    const size_t from = starts[s->from], n = starts[s->to] - from;
    struct slices out = room_for(text, before.n + n + behind.n);
    append(text, &out, before.items, before.n);
    append(text, &out, text->within->tokens->items + from, n);
    append(text, &out, behind.items, behind.n);
    return out;
}

// ---- Kept --------------------------------------------------------------------------------------

const struct slices *text_sentences(struct constraint_text *text) {
    struct shared shared;
    if (text->sentences) return text->sentences;
    text->sentences = keep(text, share(text, &shared) ? shared_sentences(text, &shared)
                                                      : text_sentences_of(text, text->raw));
    return text->sentences;
}

const struct slices *text_tokens(struct constraint_text *text) {
    struct shared shared;
    if (text->tokens) return text->tokens;
    if (text->within && text->within->tokens && share(text, &shared)) {
        text->tokens = keep(text, shared_tokens(text, &shared));
        return text->tokens;
    }
    const struct slices *sentences = text_sentences(text);
    size_t *starts = arena_take(text->arena, sentences->n + 1, sizeof *starts);
    text->tokens = keep(text, treebank_words(text, sentences, starts));
    text->token_starts = starts;
    return text->tokens;
}

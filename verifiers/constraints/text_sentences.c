#include "verifiers/constraints/text_sentences.h"

#include <assert.h>
#include <string.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/punkt.h"
#include "verifiers/constraints/treebank.h"

static struct slices make_sentences(struct constraint_text *text, struct slice s) {
    struct slices out = {0};
    slices_expect(text, &out, s.len / 2 + 1);
    punkt_sentences(text, s, &out);
    return out;
}

struct slices text_tokens_of(struct constraint_text *text, struct slice s) {
    const struct slices sentences = make_sentences(text, s);
    return treebank_words(text, &sentences);
}

// ---- Runs --------------------------------------------------------------------------------------

static struct runs *keep(struct constraint_text *text, struct slices list) {
    struct runs *kept = arena_take(text->arena, 1, sizeof *kept);
    *kept = (struct runs){.run = {list}, .n = list.n};
    return kept;
}

// `before`, the items from `from` to `to` of a list, and `behind`.
static struct runs *share(struct constraint_text *text, struct slices before,
                          const struct slices *list, size_t from, size_t to, struct slices behind) {
    struct runs *kept = arena_take(text->arena, 1, sizeof *kept);
    *kept = (struct runs){.run = {before, slices_part(list, from, to), behind},
                          .n = before.n + (to - from) + behind.n,
                          .is_shared = true,
                          .skipped = {slices_part(list, 0, from), slices_part(list, to, list->n)}};
    return kept;
}

// ---- Sentences of a part -----------------------------------------------------------------------

// The list of the text of which this one is a part; NULL: none, or one that is of no use.
static const struct slices *sentences_of_whole(const struct constraint_text *text) {
    struct constraint_text *whole = text->within;
    if (!whole || whole->over || text->raw.len == 0) return NULL;
    if (!punkt_may_cut(whole->raw, text->raw)) return NULL;
    text_refill(whole);
    const struct runs *sentences = text_sentences(whole);
    return whole->over ? NULL : &sentences->run[0];
}

// The sentence that ends the first sentence of a part which starts at `at`.
static size_t find_first(const struct slices *all, const char *at) {
    const size_t n = slices_n_starting(all, at + 1);
    if (n == 0) return 0;
    // Behind its mark there is only what closes it.
    return n < all->n && at > punkt_mark(all->items[n - 1]) ? n : n - 1;
}

// Whether the whole goes on behind the part.
static bool goes_on(const struct constraint_text *text) {
    const struct slice raw = text->within->raw;
    const char *end = text->raw.ptr + text->raw.len;
    return !slice_is_blank(slice_from(raw, (size_t)(end - raw.ptr)));
}

// What is decided about a mark depends on the text between white space in front of it and behind
// the word that follows. So a part has the whole's sentences, but that it cuts the first and the
// last one.
static struct runs *share_sentences(struct constraint_text *text, const struct slices *all) {
    const struct slice part = text->raw;
    const char *end = part.ptr + part.len;
    const size_t first = find_first(all, part.ptr), n = slices_n_starting(all, end);
    struct slices before = {0}, behind = {0};
    const bool is_one = n <= first + 1;
    const size_t last = is_one ? first : n - 1;
    const char *start = is_one ? part.ptr : all->items[last].ptr;
    if (!is_one) {
        const struct slice s = slice_span((struct slice){part.ptr, 0}, all->items[first]);
        slices_add(text, &before, s);
    }
    if (goes_on(text))
        punkt_cut_sentence(text, part, (size_t)(start - part.ptr), &behind);
    else
        slices_add(text, &behind, slice_strip_right(slice_behind(part, start), CHAR_SPACE));
    return share(text, before, all, is_one ? first : first + 1, last, behind);
}

const struct runs *text_sentences(struct constraint_text *text) {
    if (text->sentences) return text->sentences;
    const struct slices *all = sentences_of_whole(text);
    text->sentences =
        all ? share_sentences(text, all) : keep(text, make_sentences(text, text->raw));
    return text->sentences;
}

// ---- Tokens of a part --------------------------------------------------------------------------

static size_t n_tokens_in_front(const struct constraint_text *whole, const char *at) {
    const size_t offset = (size_t)(at - whole->raw.ptr);
    size_t low = 0, high = whole->tokens->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (whole->tokens_at[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The sentence of the whole with which `s`, one of the part, ends.
static struct slice sentence_of_whole(const struct constraint_text *text, struct slice s) {
    const struct slices *all = &text->within->sentences->run[0];
    const size_t n = slices_n_starting(all, s.ptr + s.len);
    return all->items[n ? n - 1 : 0];
}

// What of `s` stands in that one. In front of it there may be what closes another one.
static struct slice common_of(struct slice s, struct slice own) {
    return own.ptr > s.ptr ? slice_behind(s, own.ptr) : s;
}

// How many states are at or in front of `at`.
static size_t n_states(const struct treebank_states *states, const char *at) {
    size_t low = 0, high = states->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (states->items[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// A place from which on, or up to which, the tokens of a part are those of the whole.
struct place {
    const char *at;
    size_t n_words;                     // of the whole in front of it
    const struct treebank_state *state; // of the reader there; NULL: no word goes on over it
};

static struct place place_at(const struct constraint_text *text, const char *at) {
    return (struct place){at, n_tokens_in_front(text->within, at), NULL};
}

static struct place place_of(const struct treebank_state *state) {
    return (struct place){state->at, state->n_words, state};
}

// Adds the part's words in front of the place in its first sentence. States are the same up to
// `to`.
static struct place find_from(struct constraint_text *text, struct slice first, const char *to,
                              struct slices *before) {
    const struct slice start = common_of(first, sentence_of_whole(text, first));
    const struct treebank_states *states = text->within->token_states;
    const char *at = start.ptr + treebank_start(start);
    // A full stop at the very start is another one.
    if (at == start.ptr + start.len && *start.ptr != '.' && *first.ptr != '.') {
        enum { N_TRIES = 8 };
        const size_t i = n_states(states, start.ptr), n = states->n - i;
        const struct treebank_state *state =
            treebank_meet(text, before, first, to, states->items + i, n < N_TRIES ? n : N_TRIES);
        if (state) return place_of(state);
        before->n = 0;
    }
    if (at > first.ptr) treebank_add(text, before, first, NULL, at);
    return place_at(text, at);
}

static struct runs *share_tokens(struct constraint_text *text) {
    const struct runs *sentences = text->sentences;
    const struct treebank_states *states = text->within->token_states;
    size_t last_index = sentences->n - sentences->run[2].n, same_states;
    const struct slice first = runs_at(sentences, 0), last = runs_at(sentences, last_index);
    const struct slice own = sentence_of_whole(text, last), end = common_of(last, own);
    const char *to_at = end.ptr + treebank_end(end, slice_behind(own, end.ptr), &same_states);
    const char *to_state = last_index ? first.ptr + first.len : end.ptr + same_states;
    struct slices before = {0}, behind = {0};
    const struct place from = find_from(text, first, to_state, &before);
    struct place to = place_at(text, to_at);
    if (to_at < last.ptr + last.len) {
        const size_t n = n_states(states, end.ptr + same_states);
        const char *nearer = to_at > from.at ? to_at : from.at;
        if (nearer < end.ptr) nearer = end.ptr;
        if (n && states->items[n - 1].at > nearer) to = place_of(&states->items[n - 1]);
    }
    if (from.at >= to.at || from.n_words > to.n_words) return NULL;
    if (to.state) treebank_resume(text, &behind, runs_at(sentences, last_index++), to.state);
    for (size_t i = last_index; i < sentences->n; i++)
        treebank_add(text, &behind, runs_at(sentences, i), to.at, NULL);
    const struct slices *all = &text->within->tokens->run[0];
    return share(text, before, all, from.n_words, to.n_words, behind);
}

// Where tokens stand in `text`: those that are no part of it stand for one or two bytes.
static void find_places(const struct constraint_text *text, struct slice sentence,
                        const struct slice *tokens, size_t n, uint32_t *places) {
    struct slice rest = sentence;
    for (size_t i = 0; i < n; i++) {
        const bool is_own = tokens[i].ptr >= rest.ptr && tokens[i].ptr < rest.ptr + rest.len;
        if (is_own)
            rest = slice_behind(rest, tokens[i].ptr);
        else if (*rest.ptr != '"' && *rest.ptr != '\'')
            rest = slice_strip_left(rest, CHAR_SPACE);
        places[i] = (uint32_t)(rest.ptr - text->raw.ptr);
        rest = slice_from(rest, is_own ? tokens[i].len : *rest.ptr == '"' ? 1 : 2);
    }
}

static struct runs *make_tokens(struct constraint_text *text, const struct runs *sentences) {
    struct slices all = {0};
    slices_expect(text, &all, text->raw.len);
    uint32_t *places = arena_take_unset(text->arena, text->raw.len + 1, sizeof *places);
    struct treebank_states *states = arena_take(text->arena, 1, sizeof *states);
    states->items =
        arena_take_unset(text->arena, text->raw.len / TREEBANK_STRIDE + 1, sizeof *states->items);
    for (size_t i = 0; i < sentences->n; i++) {
        const struct slice s = runs_at(sentences, i);
        const size_t n = all.n;
        treebank_read(text, &all, s, states);
        find_places(text, s, all.items + n, all.n - n, places + n);
    }
    text->tokens_at = places;
    text->token_states = states;
    return keep(text, all);
}

const struct runs *text_tokens(struct constraint_text *text) {
    if (text->tokens) return text->tokens;
    const struct runs *sentences = text_sentences(text);
    struct runs *tokens = NULL;
    if (sentences->is_shared && !text->over) {
        text_refill(text->within);
        text_tokens(text->within);
        if (!text->within->over) tokens = share_tokens(text);
    }
    text->tokens = tokens ? tokens : make_tokens(text, sentences);
    return text->tokens;
}

enum { MOST_FIRST_BYTES = 32 << 10, MANY_FIRST = 1 << 12 };

// Appends tokens of the first `n_sentences` until there are `n`, or some more; false when there are
// fewer, or they are not near.
static bool add_first(struct constraint_text *text, struct slices *tokens,
                      const struct runs *sentences, size_t n_sentences, size_t n) {
    for (size_t i = 0; i < n_sentences && tokens->n < n; i++)
        if (!treebank_add_first(text, tokens, runs_at(sentences, i), n, MOST_FIRST_BYTES)) break;
    return tokens->n >= n;
}

// Of the text up to some white space, the sentences but the last two are those of the whole text.
const struct runs *text_first_tokens(struct constraint_text *text, size_t n) {
    enum { BYTES_EACH = 64, FEWEST_BYTES = 1 << 10 };
    size_t cut =
        n < MOST_FIRST_BYTES / BYTES_EACH ? FEWEST_BYTES + BYTES_EACH * n : MOST_FIRST_BYTES;
    struct slices tokens = {0};
    if (text->tokens || n > MANY_FIRST || text->raw.len <= cut) return text_tokens(text);
    while (cut > 0 && text->raw.ptr[cut] != ' ' && text->raw.ptr[cut] != '\n') cut--;
    const struct runs some = {.run = {make_sentences(text, slice_part(text->raw, 0, cut))}};
    const size_t n_sure = some.run[0].n > 2 ? some.run[0].n - 2 : 0;
    if (add_first(text, &tokens, &some, n_sure, n)) return keep(text, tokens);
    const struct runs *all = text_sentences(text);
    tokens.n = 0;
    return add_first(text, &tokens, all, all->n, n) ? keep(text, tokens) : text_tokens(text);
}

const struct runs *text_last_tokens(struct constraint_text *text, size_t n) {
    enum { MOST_BYTES = 4 << 10 };
    const struct runs *sentences = text_sentences(text);
    struct slices tokens = {0};
    size_t from = sentences->n, n_bytes = 0;
    if (text->tokens) return text->tokens;
    while (from > 0 && tokens.n < n) { // counts those of each sentence
        const struct slice s = runs_at(sentences, --from);
        n_bytes += s.len;
        if (n_bytes > MOST_BYTES) return text_tokens(text);
        treebank_add(text, &tokens, s, NULL, NULL);
    }
    tokens.n = 0;
    for (size_t i = from; i < sentences->n; i++)
        treebank_add(text, &tokens, runs_at(sentences, i), NULL, NULL);
    return from ? keep(text, tokens) : text_tokens(text);
}

// ---- Counts ------------------------------------------------------------------------------------

static size_t count(const struct slices *list, bool (*is)(struct slice)) {
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) n += is(list->items[i]);
    return n;
}

size_t text_count_tokens(struct constraint_text *text, bool (*is)(struct slice token)) {
    const struct runs *tokens = text_tokens(text);
    const size_t *of_whole = text->kept;
    size_t n = count(&tokens->run[0], is) + count(&tokens->run[2], is);
    if (tokens->is_shared && of_whole)
        return n + *of_whole - count(&tokens->skipped[0], is) - count(&tokens->skipped[1], is);
    n += count(&tokens->run[1], is);
    if (!text->within) {
        size_t *kept = arena_take(text->arena, 1, sizeof *kept);
        *kept = n;
        text->kept = kept;
    }
    return n;
}

// Sentences and tokens of a part of a text, taken over from the whole, are those of the part alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/text_sentences.h"

enum { N_TEXTS = 400, N_PIECES = 3000 };

static const char *const PIECES[] = {"a",     "A",
                                     "Mr.",   ".",
                                     "?",     "!",
                                     " ",     " ",
                                     "\n",    "\"",
                                     "(",     ")",
                                     "...",   "1",
                                     "e.g.",  "--",
                                     "'",     "*",
                                     ". ",    "? ",
                                     ".\n",   "b ",
                                     "The ",  "He. ",
                                     ",",     "''",
                                     "``",    "\n \"",
                                     "\n ''", "\n.",
                                     "can't", "``",
                                     "3.",    "J.",
                                     " . ",   "]",
                                     "U.S.",  "\xE3\x80\x80",
                                     "!\" "};

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

// Few pieces make chains without white space, many make sentences.
static void make_text(struct buffer *out, uint32_t seed) {
    uint32_t random = seed * 2654435761u + 1;
    const uint32_t n = sizeof PIECES / sizeof *PIECES, range = 4 + next_random(&random) % (n - 4);
    const uint32_t from = next_random(&random) % n;
    buffer_clear(out);
    for (int i = 0; i < N_PIECES; i++)
        buffer_add_text(out, PIECES[(from + next_random(&random) % range) % n]);
    buffer_add_text(out, "\n");
    for (int i = 0; i < 40; i++)
        buffer_add_text(out, PIECES[(from + next_random(&random) % range) % n]);
}

static void assert_same(const struct runs *a, const struct runs *b, uint32_t seed) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) same = slice_equal(runs_at(a, i), runs_at(b, i));
    if (!same) print_error("text %u: %zu and %zu items\n", seed, a->n, b->n);
    for (size_t i = 0; !same && i < a->n && i < b->n; i++) {
        if (slice_equal(runs_at(a, i), runs_at(b, i))) continue;
        print_error("item %zu is <%.*s>, alone <%.*s>\n", i, SLICE_ARG(runs_at(a, i)),
                    SLICE_ARG(runs_at(b, i)));
        break;
    }
    assert_true(same);
}

static void assert_same_list(const struct slices *a, const struct slices *b) {
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) assert_true(slice_equal(a->items[i], b->items[i]));
}

// Returns whether the part was long enough to be of use.
static bool check_part(struct constraint_text *whole, struct slice part, uint32_t seed,
                       struct arena *arena) {
    struct constraint_text shared, alone;
    part = slice_strip(part, CHAR_SPACE);
    if (part.len == 0) return false;
    text_open(&shared, part, arena);
    text_open(&alone, part, arena);
    shared.within = whole;
    const uint64_t before = shared.steps_left;
    assert_same(text_sentences(&shared), text_sentences(&alone), seed);
    const bool cheap = before - shared.steps_left < part.len;
    text_open(&shared, part, arena);
    shared.within = whole;
    assert_same(text_tokens(&shared), text_tokens(&alone), seed);
    assert_same_list(text_fields(&shared), text_fields(&alone));
    assert_same_list(text_words(&shared), text_words(&alone));
    assert_true(slice_equal(text_lower(&shared), text_lower(&alone)));
    return cheap;
}

// Without the first line, the last, and both. Returns how many were of use.
static int check_parts(struct constraint_text *whole, uint32_t seed, struct arena *arena) {
    const struct slice all = whole->raw;
    const char *first = memchr(all.ptr, '\n', all.len);
    const char *last = memrchr(all.ptr, '\n', all.len);
    const size_t from = (size_t)(first + 1 - all.ptr), to = (size_t)(last - all.ptr);
    int n = check_part(whole, slice_from(all, from), seed, arena);
    n += check_part(whole, slice_part(all, 0, to), seed, arena);
    return n + (from < to && check_part(whole, slice_part(all, from, to), seed, arena));
}

static void test_parts(void **state) {
    struct buffer text = {0};
    int n_cheap = 0;
    (void)state;
    for (uint32_t seed = 1; seed <= N_TEXTS; seed++) {
        struct arena arena = {0};
        struct constraint_text whole;
        make_text(&text, seed);
        text_open(&whole, buffer_slice(&text), &arena);
        text_tokens(&whole);
        n_cheap += check_parts(&whole, seed, &arena);
        arena_clear(&arena);
    }
    assert_true(n_cheap > N_TEXTS); // most of them are taken over
    buffer_free(&text);
}

// Long sentences without a place at which nothing depends on what is in front: a part meets the
// whole's reader, and is nearly all of it taken over.
static void test_far(void **state) {
    static const char *const UNITS[] = {"'", "''", "'twas", "a'", "\"'", ".'", "b''c", "`'"};
    static const char *const STARTS[] = {"a\n",   "a \n'", "\n \"",
                                         ".\n.'", "'\n''", "\"'\n \xE3\x80\x80'"};
    static const char *const ENDS[] = {"\nb", "\n.", ".\n'", "'\n\"", ".'' \n.\"", "''\n''"};
    struct buffer text = {0};
    int n_cheap = 0;
    (void)state;
    for (uint32_t seed = 0; seed < 8 * 6 * 6; seed++) {
        struct arena arena = {0};
        struct constraint_text whole, part;
        buffer_clear(&text);
        buffer_add_text(&text, STARTS[seed / 8 % 6]);
        while (text.len < 30000) buffer_add_text(&text, UNITS[seed % 8]);
        buffer_add_text(&text, ENDS[seed / 48]);
        text_open(&whole, buffer_slice(&text), &arena);
        text_tokens(&whole);
        check_parts(&whole, seed, &arena);
        const char *first = memchr(text.ptr, '\n', text.len);
        const char *last = memrchr(text.ptr, '\n', text.len);
        const struct slice inner = {first + 1, (size_t)(last - first - 1)};
        text_open_part(&part, slice_strip(inner, CHAR_SPACE), &whole, &arena);
        const struct runs *tokens = text_tokens(&part);
        n_cheap += tokens->run[1].n > tokens->n / 2;
        arena_clear(&arena);
    }
    assert_true(n_cheap > 200);
    buffer_free(&text);
}

// A sentence as a text of its own has the tokens that it has alone, also within a kept one.
static void test_inner(void **state) {
    struct buffer text = {0};
    (void)state;
    for (uint32_t seed = 1; seed <= N_TEXTS; seed++) {
        struct arena arena = {0};
        struct constraint_text whole, part, alone;
        make_text(&text, seed);
        const struct slice all = buffer_slice(&text);
        const char *newline = memchr(all.ptr, '\n', all.len);
        text_open(&whole, all, &arena);
        text_open_part(&part, slice_strip(slice_behind(all, newline), CHAR_SPACE), &whole, &arena);
        for (size_t i = 0; i < text_sentences(&part)->n; i += 1 + i / 4) {
            const struct slice s = runs_at(text_sentences(&part), i);
            if (i < text_sentences(&whole)->n) // which may have it, or another one
                text_tokens(text_inner(&whole, runs_at(text_sentences(&whole), i)));
            text_open(&alone, s, &arena);
            assert_same(text_tokens(text_inner(&part, s)), text_tokens(&alone), seed);
        }
        arena_clear(&arena);
    }
    buffer_free(&text);
}

// The first tokens are those of all, and so are the last.
static void test_first(void **state) {
    struct buffer text = {0};
    (void)state;
    for (uint32_t seed = 1; seed <= N_TEXTS; seed++) {
        struct arena arena = {0};
        struct constraint_text whole, again;
        make_text(&text, seed);
        text_open(&whole, buffer_slice(&text), &arena);
        const struct runs *all = text_tokens(&whole);
        for (size_t n = 1; n < 4000; n = 3 * n + 1) {
            text_open(&again, buffer_slice(&text), &arena);
            const struct runs *some = text_first_tokens(&again, n);
            assert_true(some->n <= all->n && (some->n >= n || some->n == all->n));
            for (size_t i = 0; i < some->n; i++)
                assert_true(slice_equal(runs_at(some, i), runs_at(all, i)));
            text_open(&again, buffer_slice(&text), &arena);
            const struct runs *last = text_last_tokens(&again, n);
            assert_true(last->n <= all->n && (last->n >= n || last->n == all->n));
            for (size_t i = 1; i <= last->n; i++)
                assert_true(slice_equal(runs_at(last, last->n - i), runs_at(all, all->n - i)));
        }
        arena_clear(&arena);
    }
    buffer_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_far),
                                       cmocka_unit_test(test_inner), cmocka_unit_test(test_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

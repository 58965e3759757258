// rule_sentences against the rules as they are written, each a pass over the whole text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/rule_sentences.h"

// Bytes that UTF-8 does not have.
enum { PROTECTED = 0xFE, STOP = 0xFF, N_PASSES = 24 };

static const char *const TITLES[] = {"Mr", "St", "Mrs", "Ms", "Dr", NULL};
static const char *const SITES[] = {"com", "net", "org", "io", "gov", "edu", "me", NULL};
static const char *const COMPANIES[] = {"Inc", "Ltd", "Jr", "Sr", "Co", NULL};
// Words that start a sentence; one with a space at its end needs white space there.
static const char *const STARTERS[] = {"Mr",     "Mrs",      "Ms",  "Dr",   "Prof",     "Capt",
                                       "Cpt",    "Lt",       "He ", "She ", "It ",      "They ",
                                       "Their ", "Our ",     "We ", "But ", "However ", "That ",
                                       "This ",  "Wherever", NULL};

static char at(struct slice s, size_t i) {
    return i < s.len ? s.ptr[i] : 0;
}

static bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_capital(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The bytes of the white space character at `i`, or 0.
static size_t space_len(struct slice s, size_t i) {
    uint32_t code;
    if (i >= s.len || (unsigned char)s.ptr[i] >= PROTECTED) return 0;
    if ((unsigned char)s.ptr[i] < 128)
        return !!(char_classes((unsigned char)s.ptr[i]) & CHAR_SPACE);
    struct slice rest = slice_from(s, i);
    return chars_next(&rest, &code) && char_classes(code) & CHAR_SPACE ? s.len - i - rest.len : 0;
}

// The length of the word of the list at `i`, or 0.
static size_t word_len(struct slice s, size_t i, const char *const *words) {
    const struct slice rest = slice_part(s, i, s.len);
    for (; *words; words++) {
        struct slice word = slice_of(*words);
        const bool needs_space = word.ptr[word.len - 1] == ' ';
        if (needs_space) word.len--;
        if (!slice_starts(rest, word)) continue;
        const size_t space = needs_space ? space_len(s, i + word.len) : 0;
        if (!needs_space || space) return word.len + space;
    }
    return 0;
}

// The bytes of "A.B." with `n` letters at `i`, or 0.
static size_t initials_len(struct slice s, size_t i, size_t n, bool (*is)(char)) {
    for (size_t k = 0; k < n; k++)
        if (!is(at(s, i + 2 * k)) || at(s, i + 2 * k + 1) != '.') return 0;
    return 2 * n;
}

static void protect(char *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (from[i] == '.') from[i] = (char)PROTECTED;
}

static bool has_title_before(struct slice s, size_t dot) {
    for (int i = 0; TITLES[i]; i++)
        if (slice_ends(slice_part(s, 0, dot), slice_of(TITLES[i]))) return true;
    return false;
}

static void protect_titles_and_sites(char *ptr, struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (ptr[i] == '.' && has_title_before(s, i)) protect(ptr + i, 1);
    for (size_t i = 0; i < s.len; i++)
        if (ptr[i] == '.' && word_len(s, i + 1, SITES)) protect(ptr + i, 1);
    for (size_t i = 0; i < s.len; i++)
        if (is_digit(ptr[i]) && at(s, i + 1) == '.' && is_digit(at(s, i + 2))) {
            protect(ptr + i, 3);
            i += 2;
        }
}

// Copies `s` to `out`; a run of dots is protected as a whole and ends a sentence.
static size_t stop_at_runs(struct slice s, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        size_t end = i;
        while (at(s, end) == '.') end++;
        if (end < i + 2) {
            out[n++] = s.ptr[i++];
            continue;
        }
        for (; i < end; i++) out[n++] = (char)PROTECTED;
        out[n++] = (char)STOP;
    }
    return n;
}

// Returns how long the text is then: white space in front of such a letter becomes one space.
static size_t protect_single_letters(char *ptr, struct slice s) {
    for (ptrdiff_t i = 0; (i = slice_find(s, slice_of("Ph.D."), (size_t)i)) >= 0;)
        protect(ptr + i, 5);
    for (size_t i = 0; i < s.len; i++) {
        const size_t space = space_len(s, i), letter = i + space;
        if (!space || !is_letter(at(s, letter)) || at(s, letter + 1) != '.' ||
            at(s, letter + 2) != ' ')
            continue;
        ptr[i] = ' ';
        memmove(ptr + i + 1, ptr + letter, s.len - letter);
        s.len -= space - 1;
        protect(ptr + i + 1, 2);
        i += 3;
    }
    return s.len;
}

// Copies `s` to `out`; initials end a sentence where a word follows that starts one.
static size_t stop_at_initials(struct slice s, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        size_t len = 0;
        if (!is_capital(s.ptr[i]) || at(s, i + 1) != '.') {
            out[n++] = s.ptr[i++];
            continue;
        }
        for (size_t letters = 3; letters >= 2 && !len; letters--) {
            len = initials_len(s, i, letters, is_capital);
            if (len && (at(s, i + len) != ' ' || !word_len(s, i + len + 1, STARTERS))) len = 0;
        }
        memcpy(out + n, s.ptr + i, len ? len : 1);
        n += len ? len : 1;
        i += len ? len : 1;
        if (len) out[n++] = (char)STOP;
    }
    return n;
}

static void protect_initials(char *ptr, struct slice s) {
    for (size_t letters = 3; letters >= 2; letters--)
        for (size_t i = 0; i < s.len;) {
            const size_t len = initials_len(s, i, letters, is_letter);
            protect(ptr + i, len);
            i += len ? len : 1;
        }
}

static void mark_companies(char *ptr, struct slice s) {
    for (size_t i = 0; i < s.len; i++) {
        const size_t len = ptr[i] == ' ' ? word_len(s, i + 1, COMPANIES) : 0, dot = i + 1 + len;
        if (!len || at(s, dot) != '.' || at(s, dot + 1) != ' ') continue;
        const size_t starter = word_len(s, dot + 2, STARTERS);
        if (!starter) continue;
        ptr[dot] = (char)STOP;
        i = dot + 1 + starter;
    }
    for (size_t i = 0; i < s.len; i++) {
        const size_t len = ptr[i] == ' ' ? word_len(s, i + 1, COMPANIES) : 0;
        if (len) protect(ptr + i + 1 + len, at(s, i + 1 + len) == '.');
    }
    for (size_t i = 0; i < s.len; i++)
        if (ptr[i] == ' ' && is_letter(at(s, i + 1)) && at(s, i + 2) == '.')
            protect(ptr + i + 2, 1);
}

// Takes a mark behind the closing quote that follows it.
static void swap_quote(char *ptr, struct slice s, char mark, struct slice quote) {
    for (size_t i = 0; i + quote.len < s.len; i++)
        if (ptr[i] == mark && slice_starts(slice_from(s, i + 1), quote)) {
            memcpy(ptr + i, quote.ptr, quote.len);
            ptr[i + quote.len] = mark;
            i += quote.len;
        }
}

// Cuts at the marks that are left and at the stops.
static struct slices cut(struct constraint_text *text, char *ptr, size_t len) {
    struct slices out = {0};
    size_t from = 0;
    slices_expect(text, &out, len + 1);
    for (size_t i = 0; i <= len; i++) {
        const bool is_mark = i < len && (ptr[i] == '.' || ptr[i] == '?' || ptr[i] == '!');
        const bool is_stop = i == len || (unsigned char)ptr[i] == STOP;
        if (i < len && (unsigned char)ptr[i] == PROTECTED) ptr[i] = '.';
        if (!is_mark && !is_stop) continue;
        const struct slice s = {ptr + from, i + is_mark - from};
        slices_add(text, &out, slice_strip(s, CHAR_SPACE));
        from = i + 1;
    }
    if (out.n && out.items[out.n - 1].len == 0) out.n--;
    return out;
}

static struct slices slow_sentences(struct constraint_text *text, struct slice s) {
    if (!text_spend(text, N_PASSES * s.len)) return (struct slices){0};
    const size_t capacity = 2 * s.len + 16;
    char *a = arena_take(text->arena, capacity, 1), *b = arena_take(text->arena, capacity, 1);
    size_t n = 0;
    a[n++] = ' ';
    for (size_t i = 0; i < s.len; i++) a[n++] = s.ptr[i] == '\n' ? ' ' : s.ptr[i];
    a[n++] = ' ';
    a[n++] = ' ';
    protect_titles_and_sites(a, (struct slice){a, n});
    n = stop_at_runs((struct slice){a, n}, b);
    n = protect_single_letters(b, (struct slice){b, n});
    n = stop_at_initials((struct slice){b, n}, a);
    protect_initials(a, (struct slice){a, n});
    mark_companies(a, (struct slice){a, n});
    swap_quote(a, (struct slice){a, n}, '.', slice_of("\xE2\x80\x9D"));
    for (const char *mark = ".!?"; *mark; mark++)
        swap_quote(a, (struct slice){a, n}, *mark, slice_of("\""));
    return cut(text, a, n);
}

// ---- Random texts ------------------------------------------------------------------------------

enum { N_TEXTS = 60000 };

static const char *const PIECES[] = {".",         ".",
                                     ".",         ".",
                                     " ",         " ",
                                     " ",         "\n",
                                     "\t",        "\xE3\x80\x80",
                                     "\xC2\xA0",  "a",
                                     "b",         "A",
                                     "B",         "x",
                                     "1",         "2",
                                     "12",        "Mr",
                                     "St",        "Dr",
                                     "Ms.",       "Ph.D.",
                                     "Ph",        "D",
                                     "com",       "org",
                                     "io",        "me",
                                     "Inc",       "Ltd",
                                     "Jr",        "Co",
                                     " Inc. He ", " Sr.",
                                     "He ",       "She ",
                                     "They\t",    "Wherever",
                                     "Mrs",       "But",
                                     "U.S.",      "A.B.C.",
                                     "e.g.",      "..",
                                     "...",       "?",
                                     "!",         "\"",
                                     "\"",        "\xE2\x80\x9D",
                                     ".\"",       "!\"",
                                     "a.com",     "water",
                                     "\xC3\xA9",  ","};

static uint64_t random_state = 88172645463325252u;

static uint32_t below(uint32_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

// Few pieces make chains, many make what looks like text.
static void make_text(struct buffer *out) {
    const uint32_t n_pieces = sizeof PIECES / sizeof *PIECES;
    const uint32_t range = 2 + below(below(2) ? 6 : n_pieces - 2), from = below(n_pieces);
    buffer_clear(out);
    buffer_add_text(out, "");
    for (uint32_t n = below(30); n > 0; n--)
        buffer_add_text(out, below(4) ? PIECES[(from + below(range)) % n_pieces] : ".");
}

static void test_same(void **state) {
    struct buffer text = {0};
    size_t n_sentences = 0;
    (void)state;
    for (int i = 0; i < N_TEXTS; i++) {
        struct arena arena = {0};
        struct constraint_text prepared;
        make_text(&text);
        text_open(&prepared, buffer_slice(&text), &arena);
        const struct slices got = rule_sentences(&prepared, prepared.raw);
        const struct slices expected = slow_sentences(&prepared, prepared.raw);
        bool same = got.n == expected.n;
        for (size_t k = 0; same && k < got.n; k++)
            same = slice_equal(got.items[k], expected.items[k]);
        if (!same) print_error("<%s>: %zu and %zu\n", text.ptr, got.n, expected.n);
        assert_true(same);
        n_sentences += got.n;
        arena_clear(&arena);
    }
    assert_true(n_sentences > 2 * N_TEXTS);
    buffer_free(&text);
}

// The first sentences are those of the whole text.
struct expected {
    const struct slices *all;
    int n_calls;
};

static bool compare(const struct slices *some, void *context) {
    struct expected *e = context;
    bool same = some->n <= e->all->n;
    for (size_t k = 0; same && k < some->n; k++)
        same = slice_equal(some->items[k], e->all->items[k]);
    assert_true(same);
    e->n_calls++;
    return false;
}

static void test_first(void **state) {
    struct buffer text = {0}, part = {0};
    int n_calls = 0;
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct arena arena = {0};
        struct constraint_text prepared;
        buffer_clear(&text);
        while (text.len < 9000) {
            make_text(&part);
            buffer_add_slice(&text, buffer_slice(&part));
        }
        text_open(&prepared, buffer_slice(&text), &arena);
        const struct slices all = rule_sentences(&prepared, prepared.raw);
        struct expected expected = {&all, 0};
        assert_false(rule_sentences_begin(&prepared, prepared.raw, compare, &expected));
        n_calls += expected.n_calls;
        arena_clear(&arena);
    }
    assert_true(n_calls > 200);
    buffer_free(&text);
    buffer_free(&part);
}

// Those of a part are those that it has alone.
static bool check_part(struct constraint_text *whole, struct slice part, struct arena *arena) {
    struct constraint_text text;
    if (slice_is_blank(part)) return false;
    text_open_part(&text, part, whole, arena);
    text.kept = whole->kept;
    const struct runs got = rule_sentence_runs(&text);
    const struct slices expected = rule_sentences(&text, part);
    bool same = got.n == expected.n;
    for (size_t k = 0; same && k < got.n; k++)
        same = slice_equal(runs_at(&got, k), expected.items[k]);
    if (!same)
        print_error("<%.*s> of <%.*s>: %zu and %zu\n", SLICE_ARG(part), SLICE_ARG(whole->raw),
                    got.n, expected.n);
    assert_true(same);
    return got.is_shared;
}

static void test_parts(void **state) {
    struct buffer text = {0}, line = {0};
    int n_shared = 0;
    (void)state;
    for (int i = 0; i < N_TEXTS; i++) {
        struct arena arena = {0};
        struct constraint_text whole;
        buffer_clear(&text);
        for (int k = 0; k < 3; k++) {
            make_text(&line);
            buffer_add_slice(&text, buffer_slice(&line));
            if (k < 2) buffer_add_text(&text, "\n");
        }
        const struct slice all = buffer_slice(&text);
        const char *first = memchr(all.ptr, '\n', all.len);
        const char *last = memrchr(all.ptr, '\n', all.len);
        const size_t from = (size_t)(first + 1 - all.ptr), to = (size_t)(last - all.ptr);
        const bool stripped = below(4);
        text_open(&whole, all, &arena);
        rule_sentence_runs(&whole);
        struct slice parts[] = {slice_from(all, from), slice_part(all, 0, to),
                                from <= to ? slice_part(all, from, to) : slice_of("")};
        for (int k = 0; k < 3; k++)
            n_shared +=
                check_part(&whole, stripped ? slice_strip(parts[k], CHAR_SPACE) : parts[k], &arena);
        arena_clear(&arena);
    }
    assert_true(n_shared > N_TEXTS / 4);
    buffer_free(&text);
    buffer_free(&line);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same), cmocka_unit_test(test_first),
                                       cmocka_unit_test(test_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// `language`: whether the completion is written in a language (constraints/language.c detects it).
//
// What says nothing about the language is left out first: fenced and inline code, mathematics
// between $, \( \) or \[ \], LaTeX commands and tags. What is left is judged in parts, all of which
// must be in the language, so that a text cannot change it behind the first thousand words.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/language.h"
#include "verifiers/verifier.h"

enum {
    MIN_LETTERS = 10, // fewer have no language; an ideograph or syllable counts as WIDE of them
    WIDE = 3,
    MAX_PARTS = 8,
    PART_BYTES = 16 << 10, // of a part; of a longer text, parts spread evenly are looked at
    MAX_FORMULA = 4096,    // bytes between two dollar signs
    READS_PER_BYTE = 2,    // of the search for what closes a span
};

struct language {
    char code[8];
    bool answer; // only what is behind </think>
};

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    static const char *const PLACES[] = {"all", "answer", NULL};
    struct slice code;
    int place;
    if (verifier_string(term, "language", arena, &code, err) ||
        verifier_word(term, "where", PLACES, arena, &place, err))
        return NULL;
    if (!slice_is(code, "zh") && !language_is_known(code)) {
        error_set(err, ERROR_INPUT,
                  "\"language\" is \"%.*s\"; one of the 55 codes of langdetect (\"en\", \"de\", "
                  "\"zh-cn\", ...) or \"zh\" was expected.",
                  SLICE_ARG(code));
        return NULL;
    }
    struct language *state = memory_new(1, sizeof *state);
    memcpy(state->code, code.ptr, code.len);
    state->answer = place == 1;
    return state;
}

static bool starts(struct slice s, size_t at, const char *what) {
    const size_t len = strlen(what);
    return at + len <= s.len && memcmp(s.ptr + at, what, len) == 0;
}

// A span that is no prose: what opens and closes it, its longest length, and whether it stays on
// its line.
struct span {
    const char *open, *close;
    size_t most;
    bool line;
};

// Two prices make no formula: its dollar signs stand at what is no space, and no digit follows.
static bool closes(struct slice s, size_t at, const struct span *span) {
    if (s.ptr[at] != span->close[0] || !starts(s, at, span->close)) return false;
    if (strcmp(span->close, "$") != 0) return true;
    return !isspace((unsigned char)s.ptr[at - 1]) &&
           (at + 1 == s.len || !isdigit((unsigned char)s.ptr[at + 1]));
}

// Behind the span that opens at `at`, or `at` when it is not closed. `*left` bounds the bytes that
// are read in all, as spans that are never closed are read in vain.
static size_t behind(struct slice s, size_t at, const struct span *span, size_t *left) {
    const size_t limit = s.len - at < span->most ? s.len : at + span->most;
    for (size_t i = at + strlen(span->open); i<limit && * left> 0; i++, --*left) {
        if (closes(s, i, span)) return i + strlen(span->close);
        if (span->line && s.ptr[i] == '\n') return at;
    }
    return at;
}

// Behind what starts at `at` and is no prose, or `at`.
static size_t skip(struct slice s, size_t at, size_t *left) {
    static const struct span KINDS[] = {
        {"```", "```", PART_BYTES, false},  {"`", "`", MAX_FORMULA, true},
        {"$$", "$$", MAX_FORMULA, false},   {"$", "$", MAX_FORMULA, true},
        {"\\(", "\\)", MAX_FORMULA, false}, {"\\[", "\\]", MAX_FORMULA, false},
    };
    const char c = s.ptr[at];
    if (c != '`' && c != '$' && c != '\\' && c != '<') return at;
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        if (!starts(s, at, KINDS[k].open)) continue;
        const size_t end = behind(s, at, &KINDS[k], left);
        if (end != at) return end;
    }
    size_t i = at + 1;
    if (c == '\\') {
        while (i < s.len && isalpha((unsigned char)s.ptr[i])) i++;
        return i;
    }
    if (c != '<') return at;
    if (i < s.len && (s.ptr[i] == '/' || s.ptr[i] == '|')) i++;
    while (i < s.len && i - at < 64 &&
           (isalnum((unsigned char)s.ptr[i]) || s.ptr[i] == '_' || s.ptr[i] == '|'))
        i++;
    return i < s.len && s.ptr[i] == '>' && i > at + 1 ? i + 1 : at;
}

// The prose of `s`, in `arena`, with a space for each part that was left out.
static struct slice prose_of(struct constraint_text *text, struct slice s) {
    char *out = arena_take(text->arena, s.len + 1, 1);
    size_t n = 0, left = READS_PER_BYTE * s.len + PART_BYTES;
    for (size_t i = 0; i < s.len;) {
        const size_t end = skip(s, i, &left);
        out[n++] = end == i ? s.ptr[i] : ' ';
        i = end == i ? i + 1 : end;
    }
    return (struct slice){out, n};
}

static size_t count_letters(struct slice s, size_t enough) {
    size_t n = 0;
    for (uint32_t code; n < enough && chars_next(&s, &code);)
        if (char_classes(code) & CHAR_ALPHA) n += code >= 0x2E80 ? WIDE : 1;
    return n;
}

// A part of about `len` bytes at `at`, cut between words where there are some.
static struct slice part_at(struct slice s, size_t at, size_t len) {
    size_t from = at, to = s.len - at < len ? s.len : at + len;
    while (from > 0 && from < to && !isspace((unsigned char)s.ptr[from]) && from - at < 64) from++;
    while (from < s.len && ((unsigned char)s.ptr[from] & 0xC0) == 0x80) from++;
    while (to < s.len && ((unsigned char)s.ptr[to] & 0xC0) == 0x80) to++;
    return (struct slice){s.ptr + from, to > from ? to - from : 0};
}

static bool is_language(const char *code, const char *wanted) {
    if (strcmp(wanted, "zh") == 0) return strncmp(code, "zh-", 3) == 0;
    return strcmp(code, wanted) == 0;
}

static void check(const struct language *language, struct constraint_text *text, struct slice prose,
                  struct verifier_outcome *out) {
    const size_t n =
        prose.len / PART_BYTES + 1 < MAX_PARTS ? prose.len / PART_BYTES + 1 : MAX_PARTS;
    const size_t step = (prose.len + n - 1) / n, len = step < PART_BYTES ? step : PART_BYTES;
    size_t n_judged = 0;
    out->value = 1;
    for (size_t k = 0; k < n && out->value == 1 && !text->over; k++) {
        const struct slice part = part_at(prose, k * step, len);
        if (count_letters(part, MIN_LETTERS) < MIN_LETTERS) continue;
        const char *code = language_detect(text, part);
        if (!code) continue;
        n_judged++;
        if (!is_language(code, language->code)) out->value = 0;
    }
    if (n_judged) return;
    out->value = 0;
    out->status = REWARD_UNKNOWN;
    snprintf(out->detail, sizeof out->detail,
             "The text has too few letters outside code and mathematics to have a language.");
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct language *language = state;
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, sample->completion, &arena);
    struct slice s = text.raw;
    if (language->answer) s = verifier_behind_thinking(s);
    if (!text.over && slice_is_blank(s))
        out->status = REWARD_NO_ANSWER;
    else if (!text.over)
        check(language, &text, prose_of(&text, s), out);
    if (text.over) {
        *out = (struct verifier_outcome){.status = REWARD_LIMIT};
        snprintf(out->detail, sizeof out->detail, "The text used up the budget of bytes or steps.");
    }
    arena_clear(&arena);
}

static const char *const KEYS[] = {"language", "where", NULL};

const struct verifier language_verifier = {
    .name = "language", .keys = KEYS, .parse = parse, .grade = grade, .free = free};

// IFEval: placeholders, postscripts, repeated prompts, two responses, beginnings and ends.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifeval.h"
#include "verifiers/constraints/tally.h"

// "[", anything but a newline, and the next "]".
static bool follows_placeholders(struct constraint_text *text, const struct constraint_args *args) {
    struct slice lines = text->raw, line;
    int64_t n = 0;
    while (slice_next_line(&lines, &line)) {
        const char *open = line.len ? memchr(line.ptr, '[', line.len) : NULL;
        while (open) {
            line = slice_behind(line, open);
            const char *close = memchr(open, ']', line.len);
            if (!close) break;
            n++;
            line = slice_behind(line, close + 1);
            open = line.len ? memchr(line.ptr, '[', line.len) : NULL;
        }
    }
    return n >= args->values[0].integer || text_no_part(text);
}

// Whether the letters of `marks` stand at the start of `s` with at most one white space character
// where `marks` has a space.
static bool starts_loosely(struct slice s, const char *marks) {
    uint32_t code;
    for (; *marks; marks++) {
        struct slice rest = s;
        if (*marks == ' ') {
            if (chars_next(&rest, &code) && char_classes(code) & CHAR_SPACE) s = rest;
        } else {
            if (s.len == 0 || *s.ptr != *marks) return false;
            s = slice_from(s, 1);
        }
    }
    return true;
}

// Of the two markers that the instruction names, as it writes them: what starts_loosely looks for.
static int prepare_postscript(struct constraint_args *args, struct arena *arena,
                              struct error *err) {
    static char two[] = "p. p. s", one[] = "p. s.";
    struct constraint_value *v = &args->values[0];
    const struct slice marker = slice_strip(v->string, CHAR_SPACE);
    v->prepared = slice_is(marker, "P.P.S") ? two : slice_is(marker, "P.S.") ? one : NULL;
    return prepare_lower_stripped(args, arena, err);
}

static bool follows_postscript(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice marker = args->values[0].string, s = text_lower(text);
    const char *marks = args->values[0].prepared;
    if (!marks) return slice_find(s, marker, 0) >= 0 || text_no_part(text);
    for (ptrdiff_t at = 0; (at = slice_find(s, slice_of("p."), (size_t)at)) >= 0; at++)
        if (starts_loosely(slice_from(s, (size_t)at), marks)) return true;
    return text_no_part(text);
}

static int prepare_paragraph(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_text text;
    struct tally *tally = arena_take(arena, 1, sizeof *tally);
    if (args->values[1].integer > args->values[2].integer)
        return error_set(err, ERROR_INPUT, "\"low\" is greater than \"high\".");
    text_open(&text, args->values[0].string, arena);
    const struct slices words = text_words_of(&text, text_lower(&text));
    *tally = tally_open(&text, words.n);
    for (size_t i = 0; i < words.n; i++) tally_add(&text, tally, words.items[i]);
    args->values[0].prepared = tally;
    return 0;
}

// How many words the text shares with the original, repeated words as often as both have them.
static bool follows_paragraph(struct constraint_text *text, const struct constraint_args *args) {
    const struct tally *original = args->values[0].prepared;
    struct tally shared = tally_open(text, original->n);
    struct slice rest = text_lower(text), word;
    size_t n = 0;
    while (n <= (size_t)args->values[2].integer && slice_next_word(&rest, &word)) {
        const int64_t most = tally_count(text, original, word);
        n += most && tally_add(text, &shared, word)->times <= most;
    }
    return range_follows(text, args->values[1].integer, args->values[2].integer, n);
}

static bool follows_two_responses(struct constraint_text *text,
                                  const struct constraint_args *args) {
    const struct slices parts = text_split_of(text, text->raw, slice_of("******"));
    struct slice found[2];
    size_t n = 0;
    (void)args;
    for (size_t i = 0; i < parts.n; i++) {
        const struct slice part = slice_strip(parts.items[i], CHAR_SPACE);
        if (part.len == 0 && i > 0 && i + 1 < parts.n) return false;
        if (part.len == 0) continue;
        if (n == 2) return false;
        found[n++] = part;
    }
    return n == 2 && !slice_equal(found[0], found[1]);
}

static bool follows_repeat(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice wanted = args->values[0].string;
    // What is behind this decides nothing, nor whether a sigma of these is a word's last one.
    const size_t enough = 3 * wanted.len + 4 * TEXT_SIGMA_CHARS;
    const struct slice s = text_stripped(text);
    const struct slice start = s.len > 2 * enough ? slice_chars(s, 0, enough) : s;
    return slice_starts(text_lower_of(text, start), wanted);
}

static bool follows_end(struct constraint_text *text, const struct constraint_args *args) {
    struct slice s = text_stripped(text);
    while (s.len && *s.ptr == '"') s = slice_from(s, 1);
    while (s.len && s.ptr[s.len - 1] == '"') s.len--;
    const struct slice wanted = args->values[0].string;
    size_t from = 3 * wanted.len + 4 * TEXT_SIGMA_CHARS;
    from = s.len > from ? s.len - from : 0;
    while (from > 0 && ((unsigned char)s.ptr[from] & 0xC0) == 0x80)
        from--; // not within a character
    return slice_ends(text_lower_of(text, slice_from(s, from)), wanted);
}

static bool follows_quotation(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text_stripped(text);
    (void)args;
    return s.len > 1 && *s.ptr == '"' && s.ptr[s.len - 1] == '"';
}

// A line that starts with the words, white space in front of them apart. The words themselves may
// go on over the end of the line.
static bool follows_start(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice raw = text->raw, starter = args->values[0].string;
    const ptrdiff_t found = slice_find(raw, starter, 0);
    if (found < 0) return text_no_part(text);
    const char *newline = memrchr(raw.ptr, '\n', (size_t)found);
    struct slice lines = newline ? slice_behind(raw, newline + 1) : raw, line;
    while (slice_next_line(&lines, &line)) {
        line = slice_strip_left(line, CHAR_SPACE);
        if (slice_starts(slice_behind(raw, line.ptr), starter)) return true;
    }
    return text_no_part(text);
}

static const struct constraint ROWS[] = {
    {.id = "detectable_content:number_placeholders",
     .follows = follows_placeholders,
     .params = {{.name = "num_placeholders", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT}}},
    {"detectable_content:postscript",
     follows_postscript,
     {{.name = "postscript_marker", .type = CONSTRAINT_STRING, .min = 1}},
     prepare_postscript},
    {"detectable_content:rephrase_paragraph",
     follows_paragraph,
     {{.name = "original_paragraph", .type = CONSTRAINT_STRING, .min = 1},
      {.name = "low", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT},
      {.name = "high", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT}},
     prepare_paragraph},
    {.id = "combination:two_responses", .follows = follows_two_responses},
    {"combination:repeat_prompt",
     follows_repeat,
     {{.name = "prompt_to_repeat", .type = CONSTRAINT_STRING, .min = 1}},
     prepare_lower_stripped},
    {"startend:end_checker",
     follows_end,
     {{.name = "end_phrase", .type = CONSTRAINT_STRING, .min = 1}},
     prepare_lower_stripped},
    {.id = "startend:quotation", .follows = follows_quotation},
    {"multi-turn:constrained_start",
     follows_start,
     {{.name = "starter", .type = CONSTRAINT_STRING, .min = 1}},
     prepare_stripped},
};

const struct constraint_table ifeval_content_table = CONSTRAINT_TABLE(ROWS);

// IFEval: bullets, highlights, sections, titles, JSON, fixed answers, rephrasing.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifeval.h"
#include "verifiers/constraints/python_json.h"

static size_t line_end(struct slice s, size_t at) {
    const char *newline = at < s.len ? memchr(s.ptr + at, '\n', s.len - at) : NULL;
    return newline ? (size_t)(newline - s.ptr) : s.len;
}

// Whether there is only white space between byte `from` of `s`, where a line starts, and byte `to`,
// or between a newline and that.
static bool starts_line(struct slice s, size_t from, size_t to) {
    uint32_t code;
    for (struct slice before = slice_part(s, from, to); chars_last(&before, &code);) {
        if (code == '\n') return true;
        if (!(char_classes(code) & CHAR_SPACE)) return false;
    }
    return true;
}

// Lines that start, behind any white space (even lines of it), with `mark` and, for a star, with
// one more character that is no star. That character may be a newline; the bullet then goes on to
// the end of the next line.
static int64_t count_bullets(struct slice s, char mark) {
    int64_t n = 0;
    const char *found;
    for (size_t from = 0, at = 0; at < s.len && (found = memchr(s.ptr + at, mark, s.len - at));) {
        at = (size_t)(found - s.ptr);
        const bool is_bullet = mark != '*' || (at + 1 < s.len && s.ptr[at + 1] != '*');
        if (is_bullet && starts_line(s, from, at)) {
            n++;
            from = line_end(s, at + (mark == '*' ? 2 : 1)) + 1;
            at = from;
        } else {
            at++;
        }
    }
    return n;
}

static bool follows_bullets(struct constraint_text *text, const struct constraint_args *args) {
    if (!text_spend(text, 4 * text->raw.len)) return false;
    return count_bullets(text->raw, '*') + count_bullets(text->raw, '-') == args->values[0].integer;
}

static bool follows_answer(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const ANSWERS[] = {"My answer is yes.", "My answer is no.",
                                          "My answer is maybe."};
    (void)args;
    for (int i = 0; i < 3; i++)
        if (slice_find(text->raw, slice_of(ANSWERS[i]), 0) >= 0) return true;
    return text_no_part(text);
}

// Non-blank runs without newline or star between `n_stars` stars on either side.
static int64_t count_highlights(struct slice s, size_t n_stars) {
    int64_t n = 0;
    const struct slice stars = {"**", n_stars};
    for (size_t at = 0; (at = (size_t)slice_find(s, stars, at)) != (size_t)SLICE_NONE;) {
        size_t end = at + n_stars;
        while (end < s.len && s.ptr[end] != '*' && s.ptr[end] != '\n') end++;
        if (slice_starts(slice_from(s, end), stars)) {
            n += !slice_is_blank(slice_part(s, at + n_stars, end));
            at = end + n_stars;
        } else {
            at = n_stars == 1 ? end : at + 1;
        }
    }
    return n;
}

static bool follows_highlights(struct constraint_text *text, const struct constraint_args *args) {
    if (!text_spend(text, 4 * text->raw.len)) return false;
    const int64_t n = count_highlights(text->raw, 1) + count_highlights(text->raw, 2);
    return n >= args->values[0].integer || text_no_part(text);
}

static bool follows_sections(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text->raw, name = args->values[0].string;
    int64_t n = 0;
    uint32_t code;
    for (size_t at = 0; (at = (size_t)slice_find(s, name, at)) != (size_t)SLICE_NONE;) {
        struct slice rest = slice_from(s, at + name.len), number = rest;
        if (chars_next(&rest, &code) && char_classes(code) & CHAR_SPACE) number = rest;
        const struct slice behind = slice_strip_left(number, CHAR_DIGIT);
        const bool found = behind.len < number.len;
        n += found;
        at = found ? s.len - behind.len : at + 1;
        if (!text_spend(text, name.len)) return false;
    }
    return n >= args->values[1].integer || text_no_part(text);
}

static int prepare_sections(struct constraint_args *args, struct arena *arena, struct error *err) {
    if (slice_is_blank(args->values[0].string))
        return error_set(err, ERROR_INPUT, "\"section_spliter\" is blank; a word was expected.");
    return prepare_stripped(args, arena, err);
}

static struct slice without_prefix(struct slice s, const char *prefix) {
    return slice_starts(s, slice_of(prefix)) ? slice_from(s, strlen(prefix)) : s;
}

static bool follows_json(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const FENCES[] = {"```json", "```Json", "```JSON", "```"};
    struct slice s = text_stripped(text);
    (void)args;
    for (int i = 0; i < 4; i++) s = without_prefix(s, FENCES[i]);
    if (slice_ends(s, slice_of("```"))) s.len -= 3;
    return text_spend(text, s.len) && python_json_loads(slice_strip(s, CHAR_SPACE));
}

static struct slice strip_brackets(struct slice s) {
    while (s.len && *s.ptr == '<') s = slice_from(s, 1);
    while (s.len && s.ptr[s.len - 1] == '>') s.len--;
    return s;
}

// In a line: from the first "<<" to the last ">>".
static bool follows_title(struct constraint_text *text, const struct constraint_args *args) {
    struct slice lines = text->raw, line;
    (void)args;
    while (slice_next_line(&lines, &line)) {
        const ptrdiff_t from = slice_find(line, slice_of("<<"), 0);
        if (from < 0) continue;
        size_t to = line.len;
        while (to >= 2 && !(line.ptr[to - 1] == '>' && line.ptr[to - 2] == '>')) to--;
        if (to < (size_t)from + 5) continue;
        if (!slice_is_blank(strip_brackets(slice_part(line, (size_t)from, to)))) return true;
    }
    return text_no_part(text);
}

// ---- Rephrasing: what stands between stars may change, the rest may not ------------------------

// The text without what stands, in each line, between its first and its last star.
static struct slice without_changes(struct constraint_text *text, struct slice s, bool *changed) {
    char *out = arena_take_unset(text->arena, s.len + 1, 1);
    size_t n = 0;
    *changed = false;
    for (size_t at = 0; at < s.len;) {
        const size_t end = line_end(s, at);
        const char *line = s.ptr + at;
        const char *first = memchr(line, '*', end - at), *last = memrchr(line, '*', end - at);
        if (first && first != last) {
            memcpy(out + n, line, (size_t)(first - line));
            n += (size_t)(first - line);
            line = last + 1;
            *changed = true;
        }
        const size_t len = (size_t)(s.ptr + end - line) + (end < s.len);
        memcpy(out + n, line, len);
        n += len;
        at = end + 1;
    }
    return (struct slice){out, n};
}

static int prepare_rephrasing(struct constraint_args *args, struct arena *arena,
                              struct error *err) {
    struct constraint_text text;
    bool changed;
    text_open(&text, args->values[0].string, arena);
    args->values[0].string = without_changes(&text, text.raw, &changed);
    if (changed) return 0;
    return error_set(err, ERROR_INPUT,
                     "\"original_message\" has nothing between stars; *what changes* was "
                     "expected.");
}

static bool follows_rephrasing(struct constraint_text *text, const struct constraint_args *args) {
    struct slice lines = text->raw, line, left = args->values[0].string;
    bool changed = false;
    while (slice_next_line(&lines, &line)) {
        const char *first = memchr(line.ptr, '*', line.len);
        const char *last = memrchr(line.ptr, '*', line.len);
        const bool ends = lines.ptr > line.ptr + line.len; // with a newline
        struct slice kept[2] = {line, {lines.ptr, 0}};
        if (first && first != last) {
            kept[0] = slice_part(line, 0, (size_t)(first - line.ptr));
            kept[1] = slice_behind(line, last + 1);
            changed = true;
        }
        kept[first && first != last].len += ends;
        for (int i = 0; i < 2; i++) {
            if (!slice_starts(left, kept[i])) return false;
            left = slice_from(left, kept[i].len);
        }
    }
    return changed && left.len == 0;
}

static const struct constraint ROWS[] = {
    {.id = "detectable_format:number_bullet_lists",
     .follows = follows_bullets,
     .params = {{.name = "num_bullets", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT}}},
    {.id = "detectable_format:constrained_response", .follows = follows_answer},
    {.id = "detectable_format:number_highlighted_sections",
     .follows = follows_highlights,
     .params = {{.name = "num_highlights", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT}}},
    {"detectable_format:multiple_sections",
     follows_sections,
     {{.name = "section_spliter", .type = CONSTRAINT_STRING, .min = 1},
      {.name = "num_sections", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT}},
     prepare_sections},
    {.id = "detectable_format:json_format", .follows = follows_json},
    {.id = "detectable_format:title", .follows = follows_title},
    {"detectable_format:rephrasing",
     follows_rephrasing,
     {{.name = "original_message", .type = CONSTRAINT_STRING, .min = 1}},
     prepare_rephrasing},
};

const struct constraint_table ifeval_format_table = CONSTRAINT_TABLE(ROWS);

// IFBench: lines, bullets, separators, templates, title case, emoji.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/emoji.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/punkt.h"
#include "verifiers/constraints/tally.h"
#include "verifiers/constraints/text_sentences.h"

// ---- Options -----------------------------------------------------------------------------------

// Whether `options` starts with the letters a, b and c in either case, with nothing but marks and
// white space before and between them: such options are answered to the letter.
static bool are_letters(struct slice options) {
    uint32_t code;
    for (const char *letter = "abc"; *letter;) {
        if (!chars_next(&options, &code)) return false;
        if (code == (uint32_t)*letter || code == (uint32_t)*letter - 32)
            letter++;
        else if (char_classes(code) & CHAR_WORD)
            return false;
    }
    return true;
}

// Stores the choices as items; .at_least tells that they are letters.
static int prepare_options(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_value *v = &args->values[0];
    struct constraint_text text;
    text_open(&text, v->string, arena);
    const char *separator = slice_find(v->string, slice_of("/"), 0) >= 0    ? "/"
                            : slice_find(v->string, slice_of("or"), 0) >= 0 ? "or"
                                                                            : ",";
    struct slices choices = text_split_of(&text, v->string, slice_of(separator));
    v->at_least = are_letters(v->string);
    for (size_t i = 0; i < choices.n; i++) {
        const struct slice choice = slice_strip(choices.items[i], CHAR_SPACE);
        choices.items[i] = v->at_least ? choice : text_lower_of(&text, strip_marks(choice));
    }
    if (text.over) return error_set(err, ERROR_INPUT, "\"options\" is too long.");
    v->items = choices.items;
    v->n_items = (int)choices.n;
    return 0;
}

static bool follows_options(struct constraint_text *text, const struct constraint_args *args) {
    const struct constraint_value *v = &args->values[0];
    const struct slice s = v->at_least ? text->raw : strip_marks(text->raw);
    for (int i = 0; i < v->n_items; i++)
        if (v->at_least ? slice_equal(v->items[i], s) : text_lower_is(text, s, v->items[i]))
            return true;
    return false;
}

// ---- Lines -------------------------------------------------------------------------------------

// As many lines that are not empty as words, without punctuation and without outer white space.
static bool follows_newline(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw;
    size_t n_lines = 0, n_words = 0;
    size_t n_blank = 0; // lines of white space since the last word: they count if one follows
    bool in_word = false, has_word = false, has_space = false; // of the line
    (void)args;
    for (uint32_t code; chars_next(&rest, &code);) {
        const unsigned classes = char_classes(code);
        if (classes & CHAR_PUNCT) continue;
        if (code == '\n') {
            n_blank += n_words && has_space && !has_word;
            in_word = has_word = has_space = false;
        } else if (classes & CHAR_SPACE) {
            has_space = true;
            in_word = false;
        } else {
            n_words += !in_word;
            n_lines += n_blank + !has_word;
            n_blank = 0;
            in_word = has_word = true;
        }
    }
    return n_lines == n_words;
}

// Blank lines that were kept, those of one text in a queue. Positions are those among the lines
// kept; NONE is none.
struct blank_lines {
    struct tally kinds;   // the different texts
    size_t *first, *last; // (kinds.mask + 1) the ends of each queue
    size_t *next;         // by position
};

enum { NONE = INT32_MAX };

static size_t find_kind(struct constraint_text *text, struct blank_lines *blanks,
                        struct slice line) {
    const size_t n = blanks->kinds.n, kind = tally_place(text, &blanks->kinds, line);
    if (blanks->kinds.n > n) blanks->first[kind] = NONE;
    return kind;
}

// Keeps a line, in its queue when it is blank.
static void keep_line(struct constraint_text *text, struct blank_lines *blanks, struct slices *kept,
                      struct slice line) {
    if (slice_is_blank(line)) {
        const size_t kind = find_kind(text, blanks, line);
        if (blanks->first[kind] == NONE)
            blanks->first[kind] = kept->n;
        else
            blanks->next[blanks->last[kind]] = kept->n;
        blanks->last[kind] = kept->n;
        blanks->next[kept->n] = NONE;
    }
    slices_add(text, kept, line);
}

// The lines that the published checker compares: it takes blank lines out of the list that it is
// walking through, so that the line behind each is passed over and, when blank, stays. A line is
// taken out by its value: the first blank one like it that stayed goes instead.
static struct slices lines_left(struct constraint_text *text) {
    const struct slices *lines = text_lines(text);
    struct slices kept = {0}; // a line with ptr NULL was taken out
    struct blank_lines blanks = {.kinds = tally_open(text, lines->n)};
    const size_t n_kinds = blanks.kinds.mask + 1;
    blanks.first = arena_take_unset(text->arena, n_kinds, sizeof(size_t));
    blanks.last = arena_take_unset(text->arena, n_kinds, sizeof(size_t));
    blanks.next = arena_take_unset(text->arena, lines->n + 1, sizeof(size_t));
    slices_expect(text, &kept, lines->n);
    size_t n = 0;
    for (size_t i = 0; i < lines->n && !text->over; i++) {
        const struct slice line = lines->items[i];
        if (!slice_is_blank(line)) {
            keep_line(text, &blanks, &kept, line);
            continue;
        }
        const size_t kind = find_kind(text, &blanks, line), earlier = blanks.first[kind];
        if (text->over) break;
        if (earlier != NONE) {
            kept.items[earlier].ptr = NULL;
            blanks.first[kind] = blanks.next[earlier];
            keep_line(text, &blanks, &kept, line);
        }
        if (i + 1 < lines->n) keep_line(text, &blanks, &kept, lines->items[++i]);
    }
    for (size_t i = 0; i < kept.n; i++)
        if (kept.items[i].ptr) kept.items[n++] = kept.items[i];
    kept.n = n;
    return kept;
}

static size_t count_indent(struct slice line) {
    size_t n = 0;
    while (n < line.len && line.ptr[n] == ' ') n++;
    return n;
}

// Lines that are not blank all stay, in their order: each has to be indented more than the one
// before it, with blank lines between them or not. A part's first line is not indented.
static bool lines_rise(struct constraint_text *text) {
    struct slice lines = text->raw, line, before = {0};
    while (slice_next_line(&lines, &line)) {
        if (slice_is_blank(line)) continue;
        if (before.ptr && count_indent(line) <= count_indent(before)) {
            if (before.ptr > text->raw.ptr) before.ptr--; // the newline too
            return text_blame(text, slice_span(before, line));
        }
        before = line;
    }
    return true;
}

static bool follows_indent(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    if (!lines_rise(text)) return false;
    const struct slices lines = lines_left(text);
    for (size_t i = 1; i < lines.n; i++)
        if (count_indent(lines.items[i]) <= count_indent(lines.items[i - 1])) return false;
    return true;
}

static bool follows_list(struct constraint_text *text, const struct constraint_args *args) {
    return slice_count_to(text->raw, args->values[0].string, 2) == 2 || text_no_part(text);
}

// Every part behind a '*' has a '-'; a text without any '*' follows.
static bool follows_sub_bullets(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text->raw;
    (void)args;
    for (ptrdiff_t at = slice_find(s, slice_of("*"), 0); at >= 0;) {
        const ptrdiff_t next = slice_find(s, slice_of("*"), (size_t)at + 1);
        const struct slice part = slice_part(s, (size_t)at, next < 0 ? s.len : (size_t)next);
        if (!memchr(part.ptr, '-', part.len))
            return next < 0 ? false : text_blame(text, slice_part(s, (size_t)at, (size_t)next + 1));
        at = next;
    }
    return true;
}

// How many sentences lines have, 2 being many, for those that were asked about before.
struct counted_lines {
    struct {
        struct slice line;
        size_t n_sentences;
    } items[8];
    size_t n;
};

static size_t count_sentences(struct constraint_text *text, struct slice line) {
    struct constraint_text *owner = text->within ? text->within : text;
    struct counted_lines *known = text->kept;
    struct slices sentences = {0};
    for (size_t i = 0; known && i < known->n; i++)
        if (known->items[i].line.ptr == line.ptr && known->items[i].line.len == line.len)
            return known->items[i].n_sentences;
    punkt_first(text, line, 2, &sentences);
    if (!known) text->kept = known = arena_take(owner->arena, 1, sizeof *known);
    if (known->n < sizeof known->items / sizeof *known->items) {
        known->items[known->n].line = line;
        known->items[known->n++].n_sentences = sentences.n;
    }
    return sentences.n;
}

// Two sentences or more, then only lines that start with '*', at least two. Behind an empty line
// only bullets may follow.
static bool follows_some_bullets(struct constraint_text *text, const struct constraint_args *args) {
    struct slice lines = text->raw, line;
    size_t n_sentences = 0, n_bullets = 0;
    bool in_sentences = true;
    (void)args;
    while (slice_next_line(&lines, &line)) {
        line = slice_strip(line, CHAR_SPACE);
        if (line.len && *line.ptr == '*') {
            if (n_sentences < 2) return false;
            in_sentences = false;
            n_bullets++;
        } else if (in_sentences) {
            // A line that is not blank has one or more, and two of all are enough.
            in_sentences = line.len > 0;
            if (n_sentences < 2) n_sentences += count_sentences(text, line);
        } else {
            return false;
        }
    }
    // Behind the last newline there is one more line.
    return n_bullets >= 2 && text->raw.ptr[text->raw.len - 1] != '\n';
}

// ---- The rest ----------------------------------------------------------------------------------

// Text in italics, and something behind it. The offsets are those of <i>: with <em> neither part
// can be blank.
static bool follows_thesis(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    ptrdiff_t at = slice_find(text->raw, slice_of("<i>"), 0);
    if (at < 0) at = slice_find(text->raw, slice_of("<em>"), 0);
    if (at < 0) return false;
    const struct slice s = slice_from(text->raw, (size_t)at);
    ptrdiff_t end = slice_find(s, slice_of("</i>"), 0);
    if (end < 0) end = slice_find(s, slice_of("</em>"), 0);
    if (end < 3) return false;
    return !slice_is_blank(slice_part(s, 3, (size_t)end)) &&
           !slice_is_blank(slice_from(s, (size_t)end + 4));
}

static bool is_blank(char c) {
    return c == ' ' || c == '\n';
}

// Blames a token that is a word of letters between white space: it is a token wherever it stands.
static bool blame_token(struct constraint_text *text, struct slice token) {
    const char *start = text->raw.ptr, *end = start + text->raw.len,
               *behind = token.ptr + token.len;
    if (!slice_all(token, CHAR_ALPHA) || token.ptr < start || behind > end) return false;
    if ((token.ptr > start && !is_blank(token.ptr[-1])) || (behind < end && !is_blank(*behind)))
        return false;
    return text_blame(text, token);
}

// Whether a token starts with a small letter and is not of both cases behind that.
static bool is_small(struct slice token) {
    enum { SMALL = CHAR_LOWER | CHAR_ALPHA };
    uint32_t first;
    if (!chars_next(&token, &first) || (char_classes(first) & SMALL) != SMALL) return false;
    return token.len == 0 || slice_is_lower(token) || slice_is_upper(token);
}

static size_t first_small(const struct runs *tokens) {
    size_t i = 0;
    while (i < tokens->n && !is_small(runs_at(tokens, i))) i++;
    return i;
}

static bool follows_title_case(struct constraint_text *text, const struct constraint_args *args) {
    enum { FEW_TOKENS = 64 };
    const struct runs *tokens = text_first_tokens(text, FEW_TOKENS);
    size_t i = first_small(tokens);
    (void)args;
    if (i == tokens->n && tokens != text->tokens) {
        tokens = text_tokens(text);
        i = first_small(tokens);
    }
    return i == tokens->n || blame_token(text, runs_at(tokens, i));
}

static bool follows_template(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const PARTS[] = {"My Answer:", "My Conclusion:", "Future Outlook:"};
    (void)args;
    for (int i = 0; i < 3; i++)
        if (slice_find(text->raw, slice_of(PARTS[i]), 0) < 0) return text_no_part(text);
    return true;
}

static bool follows_no_whitespace(struct constraint_text *text,
                                  const struct constraint_args *args) {
    const struct slice space = slice_first(text->raw, CHAR_SPACE);
    (void)args;
    return !space.len || text_blame(text, space);
}

// Each sentence ends in an emoji, one character behind it apart, or the next one starts with one.
static bool follows_emoji(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    bool is_pending = false;
    (void)args;
    for (size_t i = 0; i < sentences->n; i++) {
        struct slice s =
            slice_strip(text_without_punctuation_of(text, runs_at(sentences, i)), CHAR_SPACE);
        uint32_t last;
        if (s.len == 0 || (is_pending && !emoji_is(first_code(s)))) return false;
        chars_last(&s, &last);
        is_pending = !emoji_is(last) && !(chars_last(&s, &last) && emoji_is(last));
    }
    return !is_pending;
}

static const struct constraint ROWS[] = {
    {"format:options", follows_options, {STRING("options")}, prepare_options},
    {.id = "format:newline", .follows = follows_newline},
    {.id = "format:line_indent", .follows = follows_indent},
    {"format:list", follows_list, {STRING("sep")}, NULL},
    {.id = "format:sub-bullets", .follows = follows_sub_bullets},
    {.id = "format:no_bullets_bullets", .follows = follows_some_bullets},
    {.id = "format:thesis", .follows = follows_thesis},
    {.id = "format:title_case", .follows = follows_title_case},
    {.id = "format:output_template", .follows = follows_template},
    {.id = "format:no_whitespace", .follows = follows_no_whitespace},
    {.id = "format:emoji", .follows = follows_emoji},
};

const struct constraint_table ifbench_format_table = CONSTRAINT_TABLE(ROWS);

// IFBench: nested brackets, nested quotes, quotes and what follows them; repeated requests.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"

enum { MIN_BRACKETS = 5, MIN_QUOTES = 3 };

// Five levels deep or more, and one of them closed behind that. A bracket that closes nothing, or
// another kind, starts all over.
static bool follows_parentheses(struct constraint_text *text, const struct constraint_args *args) {
    static const char OPEN[] = "([{", CLOSE[] = ")]}";
    const struct slice s = text->raw;
    char *levels = arena_take_unset(text->arena, s.len + 1, 1);
    size_t depth = 0, deepest = 0;
    (void)args;
    for (size_t i = 0; i < s.len; i++) {
        const char *open = s.ptr[i] ? strchr(OPEN, s.ptr[i]) : NULL;
        const char *close = s.ptr[i] ? strchr(CLOSE, s.ptr[i]) : NULL;
        if (open) {
            levels[depth++] = CLOSE[open - OPEN];
            if (depth > deepest) deepest = depth;
        } else if (close && depth && levels[depth - 1] == *close) {
            depth--;
            if (deepest >= MIN_BRACKETS) return true;
        } else if (close) {
            depth = deepest = 0;
        }
    }
    return text_no_part(text);
}

// A quotation mark closes when it is the one opened last, and opens otherwise: an apostrophe is
// one too. Three levels in a row have to be closed.
static bool follows_quotes(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text->raw;
    size_t depth = 0, deepest = 0;
    char innermost = 0; // the levels around it take turns
    (void)args;
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        if (c != '"' && c != '\'') continue;
        if (depth && innermost == c) {
            innermost = c == '"' ? '\'' : '"';
            depth--;
            if (deepest - depth >= MIN_QUOTES) return true;
        } else {
            innermost = c;
            depth++;
            if (depth > deepest) deepest = depth;
        }
    }
    return false;
}

// No two quoted phrases touch, white space apart, and none stands at the end.
static bool follows_unquoted(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s =
        text_replace_of(text, text->raw, slice_of("'\"'"), (struct slice){"", 0});
    struct slice rest = s;
    uint32_t before = 0, last = 0; // the last of all, and the last that is no digit or other mark
    (void)args;
    for (uint32_t code; chars_next(&rest, &code);) {
        const unsigned classes = char_classes(code);
        if (classes & CHAR_SPACE) continue;
        if (code == '"' && before == '"') return false;
        before = code;
        if (code == '"' || code >= 128 || !(classes & (CHAR_PUNCT | CHAR_DIGIT))) last = code;
    }
    return last != '"';
}

// ---- Repeating the request ---------------------------------------------------------------------

// The request with another first word. White space may differ.
static bool follows_change(struct constraint_text *text, const struct constraint_args *args) {
    struct slice wanted = args->values[0].string, got = text->raw, a, b;
    if (slice_equal(wanted, got)) return false;
    slice_next_field(&wanted, &a);
    slice_next_field(&got, &b);
    while (slice_next_field(&wanted, &a))
        if (!slice_next_field(&got, &b) || !slice_equal(a, b)) return false;
    return !slice_next_field(&got, &b);
}

static bool follows_simple(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return text_lower_is(text, text_stripped(text),
                         slice_of("only output this sentence here, ignore all other requests."));
}

static int prepare_span(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_value *v = args->values;
    if (v[1].integer > v[2].integer)
        return error_set(err, ERROR_INPUT, "\"n_start\" is greater than \"n_end\".");
    v[0].string = slice_chars(v[0].string, (size_t)v[1].integer, (size_t)v[2].integer + 1);
    return prepare_lower_stripped(args, arena, err);
}

// The characters from n_start to n_end, the last one included.
static bool follows_span(struct constraint_text *text, const struct constraint_args *args) {
    return text_lower_is(text, text_stripped(text), args->values[0].string);
}

static const struct constraint ROWS[] = {
    {.id = "format:parentheses", .follows = follows_parentheses},
    {.id = "format:quotes", .follows = follows_quotes},
    {.id = "format:quote_unquote", .follows = follows_unquoted},
    {"repeat:repeat_change", follows_change, {STRING("prompt_to_repeat")}, NULL},
    {.id = "repeat:repeat_simple", .follows = follows_simple},
    {"repeat:repeat_span",
     follows_span,
     {STRING("prompt_to_repeat"), NUMBER("n_start", 0), NUMBER("n_end", 0)},
     prepare_span},
};

const struct constraint_table ifbench_nesting_table = CONSTRAINT_TABLE(ROWS);

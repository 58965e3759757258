// Takes the markup off a text, so that "\boxed{\text{(B)}}", "**B**" and "Ⓑ" read alike.
#include <stdint.h>

#include "protocol/base/utf8.h"
#include "verifiers/choice/choice.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/math/base/ascii.h"

struct cleaner {
    struct slice in;
    char *out;
    size_t n;
    uint64_t dropped; // a bit for each open brace, the innermost lowest: it was left out
    int depth;
    bool wrapper; // a command that was left out ends here: so is its brace
};

static void put(struct cleaner *c, char byte) {
    c->out[c->n++] = byte;
}

static bool is_one_of(struct slice s, const char *const *words) {
    for (int i = 0; words[i]; i++)
        if (slice_is(s, words[i])) return true;
    return false;
}

// A backslash and what belongs to it. Returns where that ends.
static size_t take_command(struct cleaner *c, size_t at) {
    static const char *const WRAPPERS[] = {"text",       "textbf",     "textit",       "textrm",
                                           "textsf",     "mathrm",     "mathbf",       "mathsf",
                                           "mathit",     "mbox",       "operatorname", "boxed",
                                           "fbox",       "left",       "framebox",     "right",
                                           "bf",         "rm",         "displaystyle", "emph",
                                           "bold",       "boldsymbol", "large",        "Large",
                                           "texttt",     "mathtt",     "mathcal",      "mathbb",
                                           "underline",  "underbrace", "bm",           "LARGE",
                                           "huge",       "Huge",       "mathnormal",   "textup",
                                           "textnormal", "ensuremath", "uline",        "it",
                                           NULL};
    static const char *const COLORS[] = {"textcolor", "color", "colorbox", "fcolorbox", NULL};
    static const char *const SPACES[] = {"quad", "qquad", "newline", NULL};
    const struct slice in = c->in;
    size_t i = at + 1;
    while (i < in.len && ascii_is_alpha(in.ptr[i])) i++;
    const struct slice name = slice_part(in, at + 1, i);
    if (name.len == 0) {
        if (i == in.len) return i;
        if ((unsigned char)in.ptr[i] >= 0x80) return i;
        if (!memchr("()[]", in.ptr[i], 4))
            put(c, memchr(",;:! \\", in.ptr[i], 6) ? ' ' : in.ptr[i]);
        return i + 1;
    }
    if (is_one_of(name, COLORS) && i < in.len && in.ptr[i] == '{') {
        const char *close = memchr(in.ptr + i, '}', in.len - i); // the name of the color
        c->wrapper = true;
        return close ? (size_t)(close - in.ptr) + 1 : i;
    }
    if (is_one_of(name, WRAPPERS)) {
        c->wrapper = true;
    } else if (is_one_of(name, SPACES)) {
        put(c, ' ');
    } else {
        for (size_t k = at; k < i; k++) put(c, in.ptr[k]);
    }
    return i;
}

static void take_brace(struct cleaner *c, char brace, bool drop) {
    enum { MAX_DEPTH = 64 };
    if (brace == '{') {
        c->dropped = c->dropped << 1 | (drop && c->depth < MAX_DEPTH);
        c->depth++;
        if (!(c->dropped & 1)) put(c, brace);
        return;
    }
    const bool was_dropped = c->depth > 0 && (c->dropped & 1);
    c->dropped >>= 1;
    if (c->depth > 0) c->depth--;
    if (!was_dropped) put(c, brace);
}

// A character from 0x80 on.
static void take_wide(struct cleaner *c, uint32_t code, size_t at, size_t size) {
    static const struct {
        uint32_t first;
        char letter; // that the first of 26 stands for
        bool circled;
    } ALPHABETS[] = {
        {0xFF21, 'A', false}, {0xFF41, 'a', false}, {0x24B6, 'A', true},
        {0x24D0, 'a', true},  {0x249C, 'a', true},  {0x1F110, 'A', true},
        {0x1F130, 'A', true}, {0x1F150, 'A', true}, {0x1F170, 'A', true},
    };
    static const struct {
        uint32_t code;
        char byte;
    } MARKS[] = {{0xFF08, '('}, {0xFF09, ')'}, {0xFF0E, '.'}, {0xFF1A, ':'}, {0x3010, '['},
                 {0x3011, ']'}, {0xFF0C, ','}, {0x3001, ','}, {0xFF1D, '='}, {0xFF3B, '['},
                 {0xFF3D, ']'}, {0x300C, '"'}, {0x300D, '"'}, {0x300E, '"'}, {0x300F, '"'},
                 {0x3014, '['}, {0x3015, ']'}, {0x27E8, '('}, {0x27E9, ')'}, {0x3008, '('},
                 {0x3009, ')'}};
    for (size_t i = 0; i < sizeof ALPHABETS / sizeof *ALPHABETS; i++) {
        if (code - ALPHABETS[i].first >= 26) continue;
        const char letter = (char)(ALPHABETS[i].letter + (int)(code - ALPHABETS[i].first));
        if (ALPHABETS[i].circled) put(c, '(');
        put(c, letter);
        if (ALPHABETS[i].circled) put(c, ')');
        return;
    }
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
        if (code == MARKS[i].code) {
            put(c, MARKS[i].byte);
            return;
        }
    if (code >= 0x1D400 && code < 0x1D6A4) { // mathematical alphabets, each of two cases
        const int k = (int)((code - 0x1D400) % 52);
        put(c, (char)(k < 26 ? 'A' + k : 'a' + k - 26));
    } else if (char_classes(code) & CHAR_SPACE) {
        put(c, code == 0x2028 || code == 0x2029 || code == 0x85 ? '\n' : ' ');
    } else {
        for (size_t k = at; k < at + size; k++) put(c, c->in.ptr[k]);
    }
}

// '*' and '_' as emphasis: not between two letters or digits, or doubled.
static bool is_emphasis(struct slice s, size_t at) {
    const char mark = s.ptr[at];
    const char before = at > 0 ? s.ptr[at - 1] : ' ', after = at + 1 < s.len ? s.ptr[at + 1] : ' ';
    if (before == mark || after == mark) return true;
    return !ascii_is_alnum(before) || !(ascii_is_alnum(after) || after == '{');
}

// The length of a tag of HTML that only says how a text looks, else 0.
static size_t tag_length(struct slice s) {
    static const char *const NAMES[] = {"b",    "strong", "i", "em", "u",
                                        "mark", "code",   "p", "h2", "h3"};
    const size_t from = s.len > 1 && s.ptr[1] == '/' ? 2 : 1;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const size_t len = strlen(NAMES[i]);
        if (s.len > from + len && memcmp(s.ptr + from, NAMES[i], len) == 0 &&
            s.ptr[from + len] == '>')
            return from + len + 1;
    }
    return 0;
}

// The length of a tag that ends a line, else 0.
static size_t break_length(struct slice s) {
    static const char *const TAGS[] = {"<br>", "<br/>", "<br />"};
    for (size_t i = 0; i < sizeof TAGS / sizeof *TAGS; i++)
        if (slice_starts(s, slice_of(TAGS[i]))) return strlen(TAGS[i]);
    return 0;
}

// Takes what stands at `at` and returns where that ends.
static size_t take(struct cleaner *c, size_t at) {
    const struct slice in = c->in;
    const char byte = in.ptr[at];
    const bool wrapper = c->wrapper;
    c->wrapper = false;
    if (byte == '\\') return take_command(c, at);
    if (byte == '~' && at + 1 < in.len && in.ptr[at + 1] == '~') { // ~~struck out~~
        for (size_t i = at + 2; i + 1 < in.len && in.ptr[i] != '\n'; i++)
            if (in.ptr[i] == '~' && in.ptr[i + 1] == '~') return i + 2;
    }
    const size_t line = byte == '<' ? break_length(slice_from(in, at)) : 0;
    if (line) {
        put(c, '\n');
        return at + line;
    }
    const size_t tag = byte == '<' ? tag_length(slice_from(in, at)) : 0;
    if (tag) return at + tag;
    if (byte == '{' || byte == '}') {
        take_brace(c, byte, wrapper);
    } else if (byte == '$' || byte == '`' ||
               ((byte == '*' || byte == '_') && is_emphasis(in, at))) {
        return at + 1;
    } else if ((unsigned char)byte >= 0x80) {
        uint32_t code;
        const int size = utf8_next(slice_from(in, at), &code);
        if (size == 0) {
            put(c, '?');
            return at + 1;
        }
        take_wide(c, code, at, (size_t)size);
        return at + (size_t)size;
    } else {
        const bool negates = byte == '~' && at > 0 && in.ptr[at - 1] == ' ' && at + 1 < in.len &&
                             in.ptr[at + 1] >= 'A' && in.ptr[at + 1] <= 'Z'; // " ~B", but no "x~B"
        put(c, (byte == '~' && !negates) || byte == '\t' || byte == '\r' || byte == 0 ? ' ' : byte);
        c->wrapper = wrapper && byte == ' '; // "\text {B}"
    }
    return at + 1;
}

struct slice choice_clean(struct slice text, struct arena *arena, size_t *marks, int n_marks) {
    struct cleaner c = {.in = text, .out = arena_take(arena, text.len + 1, 1)};
    bool done[8] = {false};
    for (size_t i = 0; i < text.len;) {
        const size_t at = i, start = c.n;
        i = take(&c, at);
        for (int k = 0; k < n_marks; k++)
            if (!done[k] && marks[k] < i) {
                marks[k] = start;
                done[k] = true;
            }
    }
    return (struct slice){c.out, c.n};
}

struct slice choice_collapse(struct slice text, struct arena *arena) {
    char *out = arena_take(arena, text.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const bool space = ascii_is_space(text.ptr[i]);
        if (!space || (n > 0 && out[n - 1] != ' ')) out[n++] = space ? ' ' : text.ptr[i];
    }
    while (n > 0 && (out[n - 1] == ' ' || (out[n - 1] == '.' && n > 1))) n--;
    return (struct slice){out, n};
}

struct slice choice_fold(struct slice text, struct arena *arena) {
    char *out = arena_take(arena, text.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        char lower[4];
        uint32_t code;
        if ((unsigned char)text.ptr[i] < 0x80) {
            out[n++] = ascii_lower(text.ptr[i++]);
            continue;
        }
        const int size = utf8_next(slice_from(text, i), &code);
        const int len = size > 0 ? utf8_write(char_lower(code), lower) : 0;
        if (size == 0) {
            out[n++] = text.ptr[i++];
        } else { // offsets stay: a letter whose lower case has another length is kept
            memcpy(out + n, len == size ? lower : text.ptr + i, (size_t)size);
            n += (size_t)size;
            i += (size_t)size;
        }
    }
    return (struct slice){out, n};
}

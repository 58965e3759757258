// Braces and fonts: what stands in a group, as it is written or as a value.

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/read/parse.h"

int parse_group_end(const struct parser *p, int at) {
    int depth = 0;
    if (p->t[at].kind != TOKEN_CHAR || p->t[at].c != '{') return -1;
    for (; p->t[at].kind != TOKEN_END; at++) {
        if (p->t[at].kind != TOKEN_CHAR) continue;
        if (p->t[at].c == '{') depth++;
        if (p->t[at].c == '}' && --depth == 0) return at;
    }
    return -1;
}

bool parse_skip_group(struct parser *p, struct slice *inside) {
    const int end = parse_group_end(p, p->at);
    if (end < 0) return false;
    const size_t from = parse_peek(p)->at + 1;
    *inside = (struct slice){p->text.ptr + from, p->t[end].at - from};
    while (p->at <= end) parse_next(p);
    return true;
}

// Commands and braces dropped, lower case, single spaces, no marks at the ends.
struct slice parse_plain(struct parser *p, struct slice raw) {
    char *out = arena_take(p->arena, raw.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '\\') {
            size_t len = 1;
            while (i + len < raw.len && ascii_is_alpha(raw.ptr[i + len])) len++;
            i += len > 1 ? len - 1 : 1;
            c = ' ';
            if (len > 1 && i + 1 < raw.len && raw.ptr[i + 1] == '{') continue; // \text{
        } else if (c == '{' || c == '}' || c == '$' || c == '*') {
            continue;
        }
        if (ascii_is_space(c) || c == '~') {
            if (n && out[n - 1] != ' ') out[n++] = ' ';
        } else {
            out[n++] = ascii_lower(c);
        }
    }
    size_t from = 0;
    while (n > 0 && strchr(" .,;:!?\"'", out[n - 1])) n--;
    while (from < n && strchr(" \"'", out[from])) from++;
    static const char *const ARTICLES[] = {"the ", "a ", "an "};
    for (size_t i = 0; i < sizeof ARTICLES / sizeof *ARTICLES; i++) {
        const size_t len = strlen(ARTICLES[i]);
        if (n - from > len && memcmp(out + from, ARTICLES[i], len) == 0) {
            from += len;
            break;
        }
    }
    return (struct slice){out + from, n - from};
}

static bool has_words(const struct parser *p, int from, int to) {
    for (int i = from; i < to; i++)
        if (p->t[i].kind == TOKEN_WORD && p->t[i].text.len > 1 && !parse_is_word(&p->t[i], "and") &&
            !parse_is_word(&p->t[i], "or"))
            return true;
    return false;
}

struct math_node *parse_font(struct parser *p) {
    const struct token *t = parse_peek(p);
    const int end = parse_group_end(p, p->at + 1);
    if (end < 0) return NULL;
    const int start = p->at;
    if (end == start + 2) { // \text{}
        p->at = end;
        parse_next(p);
        return parse_starts_atom(p) ? parse_power(p) : NULL;
    }
    if (end == start + 3 && t[2].kind == TOKEN_FUNCTION) {
        p->at = end;
        parse_next(p);
        return parse_call(p, t[2].op);
    }
    if (end == start + 3 && t[2].kind == TOKEN_WORD && t[2].text.len == 1) {
        p->at = end;
        parse_next(p);
        return parse_symbol(p, t[2].text, 0);
    }
    if (!has_words(p, start + 2, end)) {
        parse_next(p);
        return parse_group(p);
    }
    const size_t from = t[1].at + 1;
    const struct slice raw = {p->text.ptr + from, p->t[end].at - from};
    p->at = end;
    parse_next(p);
    return parse_symbol(p, parse_plain(p, raw), TREE_FROM_TEXT);
}

// The next token that is not a font's command or a brace, from `at`.
int parse_skip_fonts(const struct parser *p, int at) {
    while (p->t[at].kind == TOKEN_FONT ||
           (p->t[at].kind == TOKEN_COMMAND && slice_is(p->t[at].text, "boxed")) ||
           (p->t[at].kind == TOKEN_CHAR && (p->t[at].c == '{' || p->t[at].c == '}')))
        at++;
    return at;
}

// \boxed{...}, \fbox{...}, \boxed 5 and \begin{boxed}...\end{boxed}.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

enum {
    MAX_UNCLOSED = 16, // boxes that are never closed: each costs a walk to the end
    MAX_RECENT = 64,   // boxes that are looked at, the last ones
    MAX_BETWEEN = 64,  // bytes between two boxes of one list
};

struct box {
    size_t start, from, to, end; // \boxed at start, content from..to, end behind the brace
};

// "\boxed 5" and "\boxed x$" are boxes; "\boxed as asked" and "\boxed." talk about them.
static bool is_bare_box(struct slice text, size_t at) {
    if (answer_is_digit(text, at)) return true;
    const char c = text.ptr[at], next = at + 1 < text.len ? text.ptr[at + 1] : ' ';
    if (answer_is_one_of("+-.", c)) return ascii_is_digit(next) || next == '\\';
    if (c == '\\') return ascii_is_alpha(next);
    return ascii_is_alpha(c) && next == '$';
}

static const char BEGIN[] = "\\begin{boxed}", END[] = "\\end{boxed}";

bool answer_is_box(struct slice text, size_t at) {
    static const char *const NAMES[] = {"\\boxed", "\\fbox", "\\framebox"};
    size_t end = 0;
    if (answer_starts(text, at, BEGIN)) return true;
    if (text.ptr[at] != '\\' || at + 4 >= text.len ||
        !answer_is_one_of("bf", text.ptr[at + 1] | 32))
        return false;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES && !end; i++)
        if (answer_is_word(text, at, NAMES[i])) end = at + strlen(NAMES[i]);
    if (!end) return false;
    while (end < text.len && answer_is_space(text.ptr[end])) end++;
    return end == text.len || text.ptr[end] == '{' || is_bare_box(text, end);
}

// \begin{boxed} at `at`, to its end.
static bool read_environment(struct slice text, size_t at, struct box *out) {
    const size_t from = at + strlen(BEGIN);
    const char *end = memmem(text.ptr + from, text.len - from, END, strlen(END));
    if (!end) return false;
    const size_t to = (size_t)(end - text.ptr);
    *out = (struct box){at, from, to, to + strlen(END)};
    return true;
}

// Reads the box whose command starts at `at`. Returns false when it is unclosed.
static bool read_box(struct slice text, size_t at, struct box *out) {
    if (answer_starts(text, at, BEGIN)) return read_environment(text, at, out);
    size_t i = at + 1;
    while (i < text.len && ascii_is_alpha(text.ptr[i])) i++;
    while (i < text.len && answer_is_space(text.ptr[i])) i++;
    *out = (struct box){at, i, i, i};
    if (i == text.len) return false;
    if (text.ptr[i] != '{') { // "\boxed 5"
        while (i < text.len && !answer_is_space(text.ptr[i]) && text.ptr[i] != '$') i++;
        out->to = out->end = i;
        return true;
    }
    int depth = 0;
    for (out->from = i + 1; i < text.len; i++) {
        if (text.ptr[i] == '\\') {
            i++; // \{ and \} do not count
            continue;
        }
        depth += (text.ptr[i] == '{') - (text.ptr[i] == '}');
        if (depth == 0) {
            out->to = i;
            out->end = i + 1;
            return true;
        }
    }
    return false;
}

// "Case 2:", "(b)", "2)" at the start of a line: where it ends, or `at`.
static size_t label_end(struct slice s, size_t at) {
    static const char *const WORDS[] = {"case", "part", "option", "answer", "possibility"};
    size_t i = at;
    if (at == 0 || s.ptr[at - 1] != '\n') return at;
    for (size_t k = 0; k < sizeof WORDS / sizeof *WORDS && i == at; k++)
        if (answer_is_word(s, at, WORDS[k])) i = at + strlen(WORDS[k]);
    while (i < s.len && s.ptr[i] == ' ') i++;
    const bool bracket = i < s.len && s.ptr[i] == '(';
    const size_t mark = bracket ? i + 1 : i;
    size_t end = mark;
    while (end < s.len && end < mark + 3 && ascii_is_alnum(s.ptr[end])) end++;
    const bool numbered = end > mark && (end == mark + 1 || ascii_is_digit(s.ptr[mark]));
    if (!numbered || end == s.len || !answer_is_one_of(bracket ? ")" : ":).", s.ptr[end]))
        return at;
    end++;
    return end < s.len && s.ptr[end] == ':' ? end + 1 : end;
}

// The length of what may stand between two boxes of one list at `at`, or 0.
static size_t joint(struct slice s, size_t at) {
    enum { N_WORDS = 5 };
    static const char *const JOINTS[] = {"also",          "and",    "or",      "vs",
                                         "alternatively", "\\text", "\\mbox",  "\\textrm",
                                         "\\mathrm",      "\\quad", "\\qquad", "\\hspace"};
    const size_t label = label_end(s, at);
    if (label != at) return label - at;
    if (answer_is_one_of(" \t\r\n,;.$\\()[]{}&*_~", s.ptr[at]) && !ascii_is_alpha(s.ptr[at]))
        for (size_t i = N_WORDS; i < sizeof JOINTS / sizeof *JOINTS; i++)
            if (answer_is_word(s, at, JOINTS[i])) return strlen(JOINTS[i]);
    for (size_t i = 0; i < N_WORDS; i++)
        if (answer_is_word(s, at, JOINTS[i])) return strlen(JOINTS[i]);
    if (answer_is_one_of(" \t\r\n,;:.$()[]{}&*_~/|+", s.ptr[at])) return 1;
    if (s.ptr[at] == '-' && at > 0 && s.ptr[at - 1] == '\n') return 1; // a list's bullet
    if (s.ptr[at] != '\\') return 0;
    if (at + 1 == s.len) return 1;
    return ascii_is_alpha(s.ptr[at + 1]) ? 0 : 2; // \) \] \, \; and line breaks
}

// Nothing between two boxes but white space, punctuation, delimiters, "and", "or".
static bool is_joint(struct slice between) {
    if (between.len >= MAX_BETWEEN) return false;
    for (size_t i = 0; i < between.len;) {
        const size_t len = joint(between, i);
        if (len == 0) return false;
        i += len;
    }
    return true;
}

// "\boxed{12} if x > 0, \boxed{13} otherwise": both are said, each for a case.
static bool is_other_case(struct slice text, const struct box *last, const struct box *box) {
    static const char *const WORDS[] = {"if", "when", "unless", "otherwise", "else", "in case"};
    const size_t end = answer_sentence_end(text, box->end);
    bool found = false;
    if (box->start - last->end >= MAX_BETWEEN) return false;
    for (size_t i = last->end; i < end && i < box->end + MAX_BETWEEN; i++) {
        if (i < box->start && (text.ptr[i] == '\n' || answer_ends_sentence(text, i))) return false;
        if (i >= box->start && i < box->end) continue;
        for (size_t k = 0; k < sizeof WORDS / sizeof *WORDS; k++)
            found |= !ascii_is_alpha(text.ptr[i - 1]) && answer_is_word(text, i, WORDS[k]);
    }
    return found;
}

// "put your answer in \boxed{}", "\boxed{answer}": the box as such is talked about.
static bool is_mention(struct slice text, const struct box *box) {
    static const char *const BLANKS[] = {"...",
                                         "…",
                                         "\\ldots",
                                         "\\dots",
                                         "answer",
                                         "your answer",
                                         "final answer",
                                         "your final answer",
                                         "\\text{answer}",
                                         "\\text{your answer}",
                                         "\\cdot",
                                         "\\cdots",
                                         "\\",
                                         "~",
                                         "\\quad",
                                         "\\text{final answer}",
                                         "\\text{your final answer}",
                                         "\\text{ANSWER}",
                                         "result",
                                         "\\text{result}",
                                         "value",
                                         "number",
                                         "letter",
                                         "_",
                                         "__",
                                         "\\_",
                                         "?"};
    struct slice content = answer_trim(answer_cut(text, box->from, box->to));
    bool blank = content.len == 0;
    for (size_t i = 0; i < sizeof BLANKS / sizeof *BLANKS; i++)
        blank |= content.len == strlen(BLANKS[i]) && answer_starts(content, 0, BLANKS[i]);
    if (!blank) return false;
    if (content.len > 1) return true;
    // An empty box says nothing where a value should stand: "x = \boxed{}", "it is \boxed{}".
    size_t end = box->start;
    while (end > 0 && answer_is_one_of(" $`\"'\\(\n[", text.ptr[end - 1])) end--;
    if (end == 0 || answer_is_one_of("=:", text.ptr[end - 1])) return false;
    return !(end >= 3 && answer_starts(text, end - 3, " is")) &&
           !(end >= 4 && answer_starts(text, end - 4, " are"));
}

// "\boxed{12} or maybe 13": what is named beside the last box, len 0 where nothing is.
struct slice answer_hedge(struct slice text, size_t at) {
    static const char *const WORDS[] = {"maybe", "perhaps",     "possibly",   "even",
                                        "it is", "it could be", "it might be"};
    static const char *const STARTS[] = {"or",
                                         "/",
                                         "alternatively",
                                         "unless",
                                         "but it could also be",
                                         "but it could be",
                                         "but it might also be",
                                         "but it might be",
                                         "but it may be",
                                         "but maybe",
                                         "but perhaps",
                                         "but possibly",
                                         "though it could be",
                                         "though it might be",
                                         "though it could also be"};
    bool guess = false;
    size_t from = 0;
    while (at < text.len && answer_is_one_of(" $\\)*,(", text.ptr[at])) at++;
    const bool font = answer_starts(text, at, "text{"); // \text{ or } 13
    if (font) at += strlen("text{");
    while (at < text.len && text.ptr[at] == ' ') at++;
    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS && from == 0; i++)
        if (answer_is_word(text, at, STARTS[i])) from = at + strlen(STARTS[i]), guess = i > 1;
    if (answer_is_word(text, at, "if")) { // "\boxed{12} if x > 0, 13 otherwise"
        const struct slice behind = answer_cut(text, at, answer_sentence_end(text, at));
        if (memmem(behind.ptr, behind.len, " otherwise", strlen(" otherwise")) ||
            memmem(behind.ptr, behind.len, " else", strlen(" else")))
            return behind;
    }
    if (from == 0) return answer_cut(text, 0, 0);
    while (font && from < text.len && answer_is_one_of(" }", text.ptr[from])) from++;
    struct slice rest = answer_trim(answer_cut(text, from, answer_sentence_end(text, at)));
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (!answer_is_word(rest, 0, WORDS[i])) continue;
        rest = answer_trim(answer_cut(rest, strlen(WORDS[i]), rest.len));
        guess = true;
    }
    const bool letter = rest.len && ascii_is_upper(rest.ptr[0]) &&
                        (rest.len == 1 || !ascii_is_alnum(rest.ptr[1])) && rest.len < 4;
    if (answer_starts(text, at, "/") && !(rest.len && (ascii_is_digit(rest.ptr[0]) || letter)))
        rest.len = 0; // "\boxed{12}$ / day"
    if (!guess && !letter && !answer_looks_like_value(rest)) rest.len = 0;
    return rest;
}

static bool same_content(struct slice text, const struct box *a, const struct box *b) {
    return slice_equal(answer_trim(answer_cut(text, a->from, a->to)),
                       answer_trim(answer_cut(text, b->from, b->to)));
}

// The last boxes of the text that are closed, oldest first. Returns their number.
static int recent_boxes(struct slice text, struct box out[MAX_RECENT], size_t *unclosed) {
    struct box ring[MAX_RECENT];
    int n = 0, n_unclosed = 0;
    *unclosed = SIZE_MAX;
    for (size_t i = 0; i < text.len && n_unclosed < MAX_UNCLOSED; i++) {
        const char *command = memchr(text.ptr + i, '\\', text.len - i);
        if (!command) break;
        i = (size_t)(command - text.ptr);
        if (!answer_is_box(text, i)) continue;
        if (!read_box(text, i, &ring[n % MAX_RECENT])) {
            *unclosed = i; // boxes behind it may be closed
            n_unclosed++;
            continue;
        }
        *unclosed = SIZE_MAX;
        i = ring[n++ % MAX_RECENT].end - 1;
    }
    const int kept = n < MAX_RECENT ? n : MAX_RECENT;
    for (int i = 0; i < kept; i++) out[i] = ring[(n - kept + i) % MAX_RECENT];
    return kept;
}

// "\boxed{12} = \boxed{13}": two values, of which each is said to be the other.
static bool is_equated(struct slice text, const struct box *a, const struct box *b) {
    struct slice between = answer_trim(answer_cut(text, a->end, b->start));
    if (between.len && between.ptr[0] == '$') between = answer_cut(between, 1, between.len);
    if (between.len && between.ptr[between.len - 1] == '$') between.len--;
    const struct slice first = answer_trim(answer_cut(text, a->from, a->to));
    return slice_is(answer_trim(between), "=") && answer_looks_like_value(first);
}

// The last list of boxes that state something. Returns their number. `*alone`: the text has no
// other box.
static int last_list(struct slice text, struct box list[ANSWER_MAX_BOXES], bool *overflow,
                     bool *alone, size_t *unclosed) {
    struct box boxes[MAX_RECENT];
    const int n_boxes = recent_boxes(text, boxes, unclosed);
    int n = 0;
    *overflow = false;
    *alone = n_boxes == 1;
    for (int i = 0; i < n_boxes; i++) {
        const struct box box = boxes[i];
        if (answer_is_denied(text, box.start, box.end, false) || is_mention(text, &box) ||
            answer_is_of_others(text, box.start, box.end) ||
            answer_is_made_other(text, box.start, box.end))
            continue;
        if (n > 0 && !is_joint(answer_cut(text, list[n - 1].end, box.start)) &&
            !is_other_case(text, &list[n - 1], &box) && !is_equated(text, &list[n - 1], &box))
            n = 0, *overflow = false;
        if (n < ANSWER_MAX_BOXES)
            list[n++] = box;
        else if (same_content(text, &list[n - 1], &box))
            list[n - 1].end = box.end; // said again and again
        else
            *overflow = true;
    }
    return n;
}

size_t answer_find_box(struct slice text, struct answer *out, size_t *unclosed) {
    struct box list[ANSWER_MAX_BOXES];
    bool overflow, alone;
    const int n = last_list(text, list, &overflow, &alone, unclosed);
    if (n == 0) return SIZE_MAX;
    *out = (struct answer){.n_parts = n, .rule = "box"};
    for (int i = 0; i < n; i++)
        out->parts[i] = answer_trim(answer_cut(text, list[i].from, list[i].to));
    const struct slice more = answer_hedge(text, list[n - 1].end);
    if (more.len && n < ANSWER_MAX_BOXES) out->parts[out->n_parts++] = more;
    // A longer list than any gold reads as nothing, and so does a part of a value.
    bool operand = false;
    for (int i = 0; i < n; i++) operand |= answer_is_operand(text, list[i].start, list[i].end);
    if (overflow || operand) out->parts[0].len = 0;
    if (n == 1 && alone) answer_sides(text, list[0].start, list[0].end, out);
    return list[0].start;
}

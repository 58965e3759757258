#include "verifiers/math/answer.h"

#include <ctype.h>
#include <stdint.h>
#include <strings.h>

enum {
    MAX_CONTEXT = 200,   // bytes around a statement that may negate, question or quote it
    MAX_QUESTION = 60,   // bytes behind it within which a question mark makes it a question
    MAX_SENTENCE = 1024, // bytes of a statement that is a phrase
};

static bool starts(struct slice text, size_t at, const char *word) {
    const size_t len = strlen(word);
    return at + len <= text.len && strncasecmp(text.ptr + at, word, len) == 0;
}

// strchr() finds the 0 behind a string too, and completions may hold NUL bytes.
static bool is_one_of(const char *set, char c) {
    return c != 0 && strchr(set, c);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice cut(struct slice text, size_t from, size_t to) {
    return (struct slice){text.ptr + from, to - from};
}

static struct slice trim(struct slice s) {
    while (s.len && is_space(s.ptr[0])) s = (struct slice){s.ptr + 1, s.len - 1};
    while (s.len && is_space(s.ptr[s.len - 1])) s.len--;
    return s;
}

static bool is_blank(struct slice s) {
    return trim(s).len == 0;
}

// Where the last `word` starts, or SIZE_MAX. Case counts.
static size_t find_last(struct slice text, const char *word) {
    const size_t len = strlen(word);
    for (size_t i = text.len >= len ? text.len - len + 1 : 0; i-- > 0;)
        if (memcmp(text.ptr + i, word, len) == 0) return i;
    return SIZE_MAX;
}

// What is behind the last </think>; nothing when thinking was opened and never closed.
static struct slice after_thinking(struct slice text) {
    const size_t close = find_last(text, "</think>");
    const size_t open = find_last(text, "<think>");
    if (open != SIZE_MAX && (close == SIZE_MAX || open > close)) return cut(text, 0, 0);
    return close == SIZE_MAX ? text : cut(text, close + 8, text.len);
}

static size_t line_start(struct slice text, size_t at) {
    while (at > 0 && text.ptr[at - 1] != '\n') at--;
    return at;
}

static size_t line_end(struct slice text, size_t at) {
    while (at < text.len && text.ptr[at] != '\n') at++;
    return at;
}

// Whether a sentence ends at `at`: one of .!? and then white space, the end or a closing mark.
static bool ends_sentence(struct slice text, size_t at) {
    if (!is_one_of(".!?", text.ptr[at])) return false;
    size_t i = at + 1;
    while (i < text.len && is_one_of("*\"')$", text.ptr[i])) i++;
    return i == text.len || is_space(text.ptr[i]);
}

// At most MAX_SENTENCE bytes on, so that a text of many statements is not read many times over.
static size_t sentence_end(struct slice text, size_t at) {
    const size_t limit = text.len - at < MAX_SENTENCE ? text.len : at + MAX_SENTENCE;
    while (at < limit && text.ptr[at] != '\n' && !ends_sentence(text, at)) at++;
    return at;
}

// Start of the sentence that holds `at`, at most MAX_CONTEXT bytes back.
static size_t sentence_start(struct slice text, size_t at) {
    const size_t floor = at > MAX_CONTEXT ? at - MAX_CONTEXT : 0;
    while (at > floor && text.ptr[at - 1] != '\n' && !ends_sentence(text, at - 1)) at--;
    return at;
}

// The last three words in front of a statement: "is not", "cannot be", "rule out".
static bool is_negated(struct slice before) {
    static const char *const NEGATIONS[] = {"not",    "cannot", "never",     "isn't", "can't",
                                            "wasn't", "isn’t",  "can’t",     "ruled", "rule",
                                            "wrong",  "aren't", "incorrect", "nor",   "neither"};
    for (int n_words = 0; n_words < 3; n_words++) {
        while (before.len && is_one_of(" \t\r\n$\\([*{:\"", before.ptr[before.len - 1]))
            before.len--;
        size_t len = 0;
        while (len < before.len && !is_space(before.ptr[before.len - 1 - len])) len++;
        const struct slice word = {before.ptr + before.len - len, len};
        if (len == 3 && strncasecmp(word.ptr, "but", 3) == 0) return false;
        for (size_t i = 0; i < sizeof NEGATIONS / sizeof *NEGATIONS; i++)
            if (len == strlen(NEGATIONS[i]) && strncasecmp(word.ptr, NEGATIONS[i], len) == 0)
                return true;
        before.len -= len;
    }
    return false;
}

// What is said behind a statement in its sentence: "... is wrong", "... is not right", "...?".
static bool is_refuted_behind(struct slice text, size_t at) {
    static const char *const DENIALS[] = {"is not",    "is wrong",   "is incorrect",  "isn't",
                                          "was wrong", "cannot be",  "can't be",      "is false",
                                          "is too",    "is invalid", "would be wrong"};
    while (at < text.len && is_one_of(" \t$\\)]*.!\"", text.ptr[at])) {
        if (ends_sentence(text, at)) return false;
        at++;
    }
    for (size_t i = 0; i < sizeof DENIALS / sizeof *DENIALS; i++)
        if (starts(text, at, DENIALS[i])) return true;
    for (size_t i = at; i < text.len && i - at < MAX_QUESTION; i++) {
        if (text.ptr[i] == '\n' || text.ptr[i] == '(') return false;
        if (ends_sentence(text, i)) return text.ptr[i] == '?';
    }
    return false;
}

// Inside a pair of double quotes of its own line.
static bool is_quoted(struct slice text, size_t from, size_t to) {
    bool open = false;
    size_t i = from;
    for (; i > 0 && from - i < MAX_CONTEXT && text.ptr[i - 1] != '\n'; i--)
        open ^= text.ptr[i - 1] == '"';
    if (!open) return false;
    for (i = to; i < text.len && i - to < MAX_CONTEXT && text.ptr[i] != '\n'; i++)
        if (text.ptr[i] == '"') return true;
    return false;
}

static bool is_statement(struct slice text, size_t from, size_t to) {
    return !is_negated(cut(text, sentence_start(text, from), from)) &&
           !is_refuted_behind(text, to) && !is_quoted(text, from, to);
}

struct box {
    size_t start, from, to, end; // \boxed at start, content from..to, end behind the brace
};

// Reads the box whose command starts at `at`. Returns false when it is unclosed.
static bool read_box(struct slice text, size_t at, struct box *out) {
    size_t i = at + (starts(text, at, "\\boxed") ? 6 : 5);
    while (i < text.len && text.ptr[i] == ' ') i++;
    *out = (struct box){at, i, i, i};
    if (i == text.len) return false;
    if (text.ptr[i] != '{') { // "\boxed 5"
        while (i < text.len && !is_space(text.ptr[i]) && text.ptr[i] != '$') i++;
        out->to = out->end = i;
        return i > out->from;
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

static bool is_box(struct slice text, size_t at) {
    if (text.ptr[at] != '\\') return false;
    size_t len = starts(text, at, "\\boxed") ? 6 : starts(text, at, "\\fbox") ? 5 : 0;
    return len && (at + len == text.len || !isalpha((unsigned char)text.ptr[at + len]));
}

// Nothing between two boxes but white space, punctuation, delimiters, "and", "or".
static bool is_joint(struct slice between) {
    for (size_t i = 0; i < between.len;) {
        if (starts(between, i, "\\text{")) {
            i += 6;
        } else if (starts(between, i, "and")) {
            i += 3;
        } else if (starts(between, i, "or")) {
            i += 2;
        } else if (is_one_of(" \t\r\n,;.$\\()[]{}&", between.ptr[i])) {
            i++;
        } else {
            return false;
        }
    }
    return between.len < 64;
}

// The last statement that is a box and the boxes that are one list with it. `*unclosed` is where
// an unclosed last box starts, else SIZE_MAX. Returns where the statement starts, or SIZE_MAX.
static size_t find_boxes(struct slice text, struct answer *out, size_t *unclosed) {
    struct box list[ANSWER_MAX_BOXES];
    int n = 0;
    bool overflow = false;
    *unclosed = SIZE_MAX;
    for (size_t i = 0; i < text.len; i++) {
        struct box box;
        if (!is_box(text, i)) continue;
        if (!read_box(text, i, &box)) {
            *unclosed = i;
            break; // all that follows is inside it
        }
        i = box.end - 1;
        if (!is_statement(text, box.start, box.end)) continue;
        if (n > 0 && !is_joint(cut(text, list[n - 1].end, box.start))) n = 0, overflow = false;
        overflow = overflow || n == ANSWER_MAX_BOXES;
        if (!overflow) list[n++] = box;
    }
    if (n == 0) return SIZE_MAX;
    *out = (struct answer){.n_parts = n, .rule = "box"};
    for (int i = 0; i < n; i++) out->parts[i] = trim(cut(text, list[i].from, list[i].to));
    if (overflow) out->parts[0].len = 0; // a longer list than any gold: parses as nothing
    return list[0].start;
}

static bool looks_like_value(struct slice s) {
    return s.len && (isdigit((unsigned char)s.ptr[0]) || is_one_of("+-$\\.(", s.ptr[0]) ||
                     (unsigned char)s.ptr[0] >= 0x80);
}

// A line "#### value" that is no heading: "#### 3. Add up" is one.
static size_t find_hashes(struct slice text, struct answer *out) {
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < text.len; i = line_end(text, i) + 1) {
        size_t at = i;
        while (at < text.len && text.ptr[at] == ' ') at++;
        if (!starts(text, at, "####") || starts(text, at, "#####")) continue;
        const size_t end = line_end(text, at);
        const struct slice value = trim(cut(text, at + 4, end));
        if (!looks_like_value(value)) continue;
        const bool heading =
            memchr(value.ptr, ' ', value.len) && trim(cut(text, end, text.len)).len;
        if (heading || !is_statement(text, at + 4, end)) continue;
        *out = (struct answer){.n_parts = 1, .parts = {value}, .rule = "hashes"};
        found = at;
    }
    return found;
}

// Skips white space and emphasis, and words that say nothing ("therefore").
static size_t skip_filler(struct slice text, size_t at) {
    static const char *const FILLER[] = {"therefore", "thus", "then",    "simply",
                                         "exactly",   "just", "clearly", "equal to",
                                         "indeed",    "now",  "hence",   "found to be"};
    for (bool more = true; more;) {
        more = false;
        while (at < text.len && is_one_of(" \t*_:,", text.ptr[at])) at++;
        for (size_t i = 0; i < sizeof FILLER / sizeof *FILLER; i++) {
            const size_t len = strlen(FILLER[i]);
            if (starts(text, at, FILLER[i]) && at + len < text.len &&
                is_one_of(" ,:", text.ptr[at + len])) {
                at += len;
                more = true;
            }
        }
    }
    return at;
}

// Behind the word "answer" at `at`: where its value starts, or SIZE_MAX. Understands "answer: X",
// "answer = X", "answer to the question is X", "answer would be X", "answers are X".
static size_t phrase_value(struct slice text, size_t at) {
    static const char *const VERBS[] = {
        " is ",      " is:",        " are ",     " are:", " equals ", " would be ",
        " must be ", " should be ", " will be ", " is\n", " becomes "};
    size_t i = at;
    if (i < text.len && (text.ptr[i] == 's' || text.ptr[i] == 'S')) i++;
    for (const size_t end = i + 80 < text.len ? i + 80 : text.len; i < end; i++) {
        const char c = text.ptr[i];
        if (c == ':' || (c == '=' && is_blank(cut(text, at, i)))) {
            i = skip_filler(text, i + 1);
            if (i < text.len && text.ptr[i] == '\n')
                while (i < text.len && (is_space(text.ptr[i]) || text.ptr[i] == '*')) i++;
            return i;
        }
        for (size_t v = 0; v < sizeof VERBS / sizeof *VERBS; v++)
            if (starts(text, i, VERBS[v])) return skip_filler(text, i + strlen(VERBS[v]) - 1);
        if (c == '\n' || c == ',' || ends_sentence(text, i)) break;
    }
    return SIZE_MAX;
}

static bool is_word_start(struct slice text, size_t at) {
    return at == 0 || !isalnum((unsigned char)text.ptr[at - 1]);
}

// "we may check our answer: ..." states none.
static bool is_check(struct slice before) {
    static const char *const CHECKS[] = {"check",     "checking", "verify",
                                         "verifying", "confirm",  "confirming"};
    for (int n_words = 0; n_words < 2; n_words++) {
        before = trim(before);
        size_t len = 0;
        while (len < before.len && !is_space(before.ptr[before.len - 1 - len])) len++;
        for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++)
            if (len == strlen(CHECKS[i]) && starts(before, before.len - len, CHECKS[i]))
                return true;
        before.len -= len;
    }
    return false;
}

// "answer is 5" but not "answer is correct": behind a verb only what may be a value counts.
static bool is_value_start(struct slice text, size_t at) {
    struct slice s = cut(text, at, text.len);
    if (looks_like_value(s) || (s.len && is_one_of("\"'`", s.ptr[0]))) return true;
    return s.len > 1 && isalpha((unsigned char)s.ptr[0]) && is_one_of(" =", s.ptr[1]) &&
           memchr(s.ptr, '=', s.len < 4 ? s.len : 4); // "x = 5"
}

// The statement whose words start at `at`, if one does. Returns where its value starts, or
// SIZE_MAX.
static size_t read_phrase(struct slice text, size_t at, struct answer *out) {
    const bool first = at == 0 || is_one_of("\n*#", text.ptr[at - 1]);
    const bool option = first && starts(text, at, "A:");
    size_t from = SIZE_MAX;
    if (option)
        from = skip_filler(text, at + 2);
    else if (starts(text, at, "answer") && is_word_start(text, at))
        from = phrase_value(text, at + 6);
    if (from == SIZE_MAX || from >= text.len) return SIZE_MAX;
    const bool titled = first || (at >= 6 && starts(text, at - 6, "final "));
    if (!is_value_start(text, from) && !(titled && memchr(text.ptr + at, ':', from - at)))
        return SIZE_MAX;
    const size_t to = option ? line_end(text, from) : sentence_end(text, from);
    if (option && starts(text, to + 1, "B:")) return SIZE_MAX; // one of several choices
    if (to < text.len && text.ptr[to] == '?') return SIZE_MAX;
    const struct slice before = cut(text, sentence_start(text, at), at);
    if (is_negated(before) || is_check(before) || is_quoted(text, at, to)) return SIZE_MAX;
    struct slice value = trim(cut(text, from, to));
    if (value.len == 0) return SIZE_MAX;
    if (to - from >= MAX_SENTENCE) value.len = 0; // no end in sight: reads as nothing
    *out = (struct answer){.n_parts = 1, .parts = {value}, .prose = true, .rule = "phrase"};
    return from;
}

static size_t find_phrase(struct slice text, struct answer *out) {
    for (size_t i = text.len; i-- > 0;) {
        if (text.ptr[i] != 'a' && text.ptr[i] != 'A') continue;
        const size_t from = read_phrase(text, i, out);
        if (from != SIZE_MAX) return from;
    }
    return SIZE_MAX;
}

static struct slice last_line(struct slice text) {
    text = trim(text);
    return cut(text, line_start(text, text.len), text.len);
}

static bool is_bold(struct slice line) {
    return line.len > 4 && memcmp(line.ptr, "**", 2) == 0 &&
           memcmp(line.ptr + line.len - 2, "**", 2) == 0;
}

// The last run of mathematics in the last sentence of the last line: tokens between white space
// that hold a digit, a backslash or an operator, and what joins them.
static bool find_last_expression(struct slice text, struct answer *out) {
    struct slice line = last_line(text);
    size_t end = line.len;
    while (end > 0 && is_one_of(".!*\"') \t$", line.ptr[end - 1])) end--;
    if (end == 0 || line.ptr[end - 1] == '?') return false;
    line.len = end;
    const size_t sentence = sentence_start(line, line.len);
    size_t from = SIZE_MAX, to = 0;
    for (size_t at = line.len; at > sentence;) {
        const size_t word_end = at;
        while (at > sentence && !is_space(line.ptr[at - 1])) at--;
        const struct slice word = cut(line, at, word_end);
        bool math = false;
        for (size_t i = 0; i < word.len; i++)
            math =
                math || isdigit((unsigned char)word.ptr[i]) || is_one_of("\\=^+/<>", word.ptr[i]);
        math = math || (from != SIZE_MAX &&
                        (slice_is(word, "or") || slice_is(word, "and") || slice_is(word, "-") ||
                         slice_is(word, "*") || slice_is(word, "×") || slice_is(word, "x")));
        if (math && from == SIZE_MAX) to = word_end;
        if (math) from = at;
        if (!math && from != SIZE_MAX) break;
        // "5 apples, 3": what ends in a comma with words behind is not part of it.
        while (at > sentence && is_space(line.ptr[at - 1])) at--;
    }
    if (from == SIZE_MAX || is_negated(cut(line, sentence, from)) || is_quoted(line, from, to))
        return false;
    for (size_t i = from; i < to; i++)
        if (is_box(line, i)) return false; // a box that is no statement
    struct slice value = cut(line, from, to);
    while (value.len && is_one_of(",;:", value.ptr[value.len - 1])) value.len--;
    *out = (struct answer){.n_parts = 1, .parts = {value}, .rule = "last"};
    return value.len > 0;
}

bool answer_select(struct slice completion, struct answer *out) {
    struct slice text = after_thinking(completion);
    if (text.len > ANSWER_WINDOW_BYTES) text = cut(text, text.len - ANSWER_WINDOW_BYTES, text.len);
    text = trim(text);
    if (text.len == 0) return false;
    struct answer boxes, hashes, phrase;
    size_t unclosed;
    const size_t box_at = find_boxes(text, &boxes, &unclosed);
    const size_t hashes_at = find_hashes(text, &hashes);
    const size_t phrase_at = find_phrase(text, &phrase);
    size_t best = SIZE_MAX;
    if (box_at != SIZE_MAX) best = box_at, *out = boxes;
    if (hashes_at != SIZE_MAX && (best == SIZE_MAX || hashes_at > best))
        best = hashes_at, *out = hashes;
    // A phrase whose value starts with the box is the box.
    if (phrase_at != SIZE_MAX && (best == SIZE_MAX || phrase_at > best))
        best = phrase_at, *out = phrase;
    if (unclosed != SIZE_MAX && (best == SIZE_MAX || unclosed >= best)) return false;
    const struct slice line = last_line(text);
    const size_t line_at = (size_t)(line.ptr - text.ptr);
    if (is_bold(line) && (best == SIZE_MAX || best < line_at)) {
        *out = (struct answer){
            .n_parts = 1, .parts = {cut(line, 2, line.len - 2)}, .prose = true, .rule = "bold"};
        return true;
    }
    return best != SIZE_MAX || find_last_expression(text, out);
}

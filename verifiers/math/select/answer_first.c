// "36", and an explanation below: the first line is the answer.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// With what an explanation begins, at the start of its line.
static bool explains(struct slice text, size_t at) {
    static const char *const LEADS[] = {
        "explanation", "reasoning",   "reason",          "rationale",   "justification",
        "working",     "here is why", "here's why",      "here’s why",  "this is because",
        "because",     "why",         "the explanation", "proof",       "workings",
        "details",     "erklärung",   "begründung",      "explicación", "explication",
        "spiegazione", "explicação"};
    static const char *const WIDE[] = {"解释", "解析", "説明",       "解説",
                                       "설명", "풀이", "Объяснение", "Пояснение"};
    at = answer_skip_marks(text, at);
    if (answer_skip_phrase(text, at, LEADS, N(LEADS)) != at) return true;
    for (size_t i = 0; i < N(WIDE); i++)
        if (answer_starts(text, at, WIDE[i])) return true;
    return false;
}

// A value and at most the word for what is counted: "36", "$\frac12$", "36 pencils".
static bool is_value(struct slice line) {
    enum { MAX_BYTES = 80, MAX_NAMED = 2 };
    int n_words = 0;
    if (line.len == 0 || line.len > MAX_BYTES || !answer_looks_like_value(line)) return false;
    if (answer_is_one_of(".!?:,", line.ptr[line.len - 1])) return false;
    for (size_t at = 1; at < line.len; at++)
        n_words += line.ptr[at - 1] == ' ' && ascii_is_alpha(line.ptr[at]) && at + 1 < line.len &&
                   ascii_is_alpha(line.ptr[at + 1]);
    return n_words <= MAX_NAMED;
}

// Whether the explanation comes to a value, and to another one than `value`.
static bool concludes_otherwise(struct slice rest, struct slice value) {
    static const char *const LINKS[] = {"so",     "thus",  "hence",  "therefore", "total",
                                        "answer", "gives", "equals", "makes",     "leaves"};
    struct answer said;
    if (!answer_find_expression(rest, &said)) return false;
    const struct slice part = said.parts[0], whole = rest;
    size_t number = 0;
    while (number < value.len &&
           (ascii_is_alnum(value.ptr[number]) || answer_is_one_of("\\{}$.,^/-", value.ptr[number])))
        number++;
    if (number && memmem(part.ptr, part.len, value.ptr, number)) return false;
    if (memchr(part.ptr, '=', part.len)) return true;
    size_t from, to;
    if (!answer_last_sentence(&rest, &from, &to)) return false;
    for (size_t at = from; at < to && at < whole.len; at++)
        if ((at == 0 || !ascii_is_alpha(rest.ptr[at - 1])) &&
            answer_skip_phrase(rest, at, LINKS, N(LINKS)) != at)
            return true;
    return false;
}

bool answer_find_first(struct slice text, struct answer *out) {
    const size_t start = answer_skip_spaces(text, 0), end = answer_line_end(text, start);
    struct slice line = answer_trim(answer_cut(text, start, end));
    while (line.len > 4 && memcmp(line.ptr, "**", 2) == 0 &&
           memcmp(line.ptr + line.len - 2, "**", 2) == 0)
        line = answer_cut(line, 2, line.len - 2);
    if (line.len && line.ptr[line.len - 1] == '.') line.len--;
    if (end == text.len || !is_value(line) || !explains(text, end)) return false;
    const struct slice rest = answer_cut(text, end, text.len);
    if (concludes_otherwise(rest, line)) line.len = 0; // it says two things, which is none
    *out = (struct answer){.n_parts = 1, .parts = {line}, .prose = true, .rule = "first"};
    return true;
}

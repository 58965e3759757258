// The last statement of a text, of any kind.
#include <assert.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

// A last line in bold. Words in bold ("**Good luck!**") are a statement only where `words` says so.
static size_t find_bold(struct slice text, bool words, struct answer *out) {
    const size_t start = answer_line_start(text, text.len);
    struct slice line = answer_trim(answer_cut(text, start, text.len));
    while (line.len && answer_is_one_of(".:", line.ptr[line.len - 1])) line.len--;
    if (line.len <= 4 || memcmp(line.ptr, "**", 2) || memcmp(line.ptr + line.len - 2, "**", 2))
        return SIZE_MAX;
    struct slice value = answer_trim(answer_cut(line, 2, line.len - 2));
    if (memmem(value.ptr, value.len, "**", 2) || answer_is_denied(text, start, text.len, true))
        return SIZE_MAX;
    const bool named = value.len > 1 && ascii_is_alpha(value.ptr[0]) &&
                       answer_is_one_of(" =", value.ptr[1]) && memchr(value.ptr, '=', value.len);
    const bool choice = value.len > 0 && value.ptr[0] >= 'A' && value.ptr[0] <= 'J' &&
                        (value.len == 1 || answer_is_one_of(".):", value.ptr[1]));
    if (!words && !named && !choice && !answer_looks_like_value(value)) return SIZE_MAX;
    while (value.len && value.ptr[value.len - 1] == '.') value.len--;
    *out = (struct answer){.n_parts = 1, .parts = {value}, .prose = true, .rule = "bold"};
    return start;
}

// One formula without its delimiters.
static struct slice undelimited(struct slice part) {
    if (answer_formula_end(part, 0) != part.len) return part;
    const size_t len = part.ptr[0] == '$' && part.ptr[1] != '$' ? 1 : 2;
    return answer_trim(answer_cut(part, len, part.len - len));
}

// Whether a statement still stands at the end of the text, as it is or corrected.
static bool is_left(struct slice text, struct answer *answer) {
    const struct slice last = answer->parts[answer->n_parts - 1];
    struct slice value;
    size_t end = (size_t)(last.ptr - text.ptr) + last.len;
    if (strcmp(answer->rule, "tag") == 0) // behind "</answer>"
        while (end < text.len && (text.ptr[end] == '<' || (end > 0 && text.ptr[end - 1] != '>')))
            end++;
    // "The answer is 12 was a false statement": behind the number within the part.
    const size_t start = (size_t)(last.ptr - text.ptr);
    const size_t number = ANSWER_MATH.end(NULL, text, start);
    if (answer->prose && number > start && number < end && answer_refutes(text, number, true))
        return false;
    const enum answer_fate fate = answer_remark_behind(text, end, &ANSWER_MATH, &value);
    if (fate == ANSWER_CORRECTED)
        *answer = (struct answer){
            .n_parts = 1, .parts = {answer_trim(value)}, .prose = true, .rule = "correction"};
    return fate != ANSWER_REFUTED;
}

// What a tag holds is a sentence of its own: <answer>Tom has 5 apples.</answer>
static bool is_sentence(struct slice value) {
    static const char *const VERBS[] = {
        " is ",     " are ",   " was ",   " were ",  " has ",   " have ", " had ",   " gets ",
        " equals ", " gives ", " makes ", " costs ", " needs ", " be ",   " takes ", " earns "};
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\n') return true;
        for (size_t k = 0; value.ptr[i] == ' ' && k < sizeof VERBS / sizeof *VERBS; k++)
            if (answer_starts(value, i, VERBS[k])) return true;
    }
    return false;
}

// The last statement of a text: where it starts, or SIZE_MAX. `*unclosed`: a box that is not closed
// stands behind all.
static size_t last_statement(struct slice text, struct answer *out, bool *unclosed) {
    struct answer found[5];
    size_t open, best = SIZE_MAX;
    const size_t at[] = {
        answer_find_box(text, &found[0], &open), answer_find_hashes(text, &found[1]),
        answer_find_tag(text, &found[2]),        answer_find_phrase(text, true, &found[3]),
        find_bold(text, false, &found[4]),
    };
    // A phrase whose value starts with the box is the box: it starts behind the phrase's value.
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        if (at[i] != SIZE_MAX && (best == SIZE_MAX || at[i] > best)) {
            best = at[i];
            *out = found[i];
        }
    *unclosed = open != SIZE_MAX && (best == SIZE_MAX || open >= best);
    return best;
}

static bool find(struct slice text, struct answer *out) {
    bool unclosed;
    if (text.len == 0) return false;
    const size_t best = last_statement(text, out, &unclosed);
    if (unclosed) return false;
    if (best == SIZE_MAX && answer_find_phrase(text, false, out) != SIZE_MAX) return true;
    if (best == SIZE_MAX && answer_find_first(text, out))
        return out->parts[0].len == 0 || is_left(text, out);
    if (best == SIZE_MAX)
        return answer_find_verdict(text, out) || answer_find_expression(text, out) ||
               answer_find_word(text, out) || answer_find_said(text, out) ||
               find_bold(text, true, out) != SIZE_MAX;
    const struct slice value = out->parts[0];
    if (value.len == 0) return true;
    if (!is_left(text, out)) return false;
    struct answer inner;
    if (strcmp(out->rule, "tag") == 0 && is_sentence(value) && value.len < text.len &&
        find(value, &inner)) {
        *out = inner;
        out->rule = "tag";
    }
    return true;
}

bool answer_select(struct slice completion, struct answer *out) {
    if (!find(answer_text(completion), out)) return false;
    assert(out->n_parts >= 1 && out->n_parts <= ANSWER_MAX_BOXES && out->rule);
    for (int i = 0; i < out->n_parts; i++) out->parts[i] = undelimited(out->parts[i]);
    out->shorter = undelimited(out->shorter);
    return true;
}

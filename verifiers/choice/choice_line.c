// Lines that are a choice: the last one, or the first.
#include "verifiers/choice/choice_find.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_LINE = 400 }; // bytes of a line that is a choice

// The label of a choice with which a line starts: "(B) Paris", "- B. Paris", "B". 0: none.
static choice_set line_label_at(struct slice line, size_t *start, size_t *end) {
    bool strong;
    size_t at = 0;
    while (at < line.len && answer_is_one_of(" \t\r-#=>\"'", line.ptr[at])) at++;
    if (answer_starts(line, at, "∴")) at = answer_skip_spaces(line, at + strlen("∴"));
    if (at < line.len && (unsigned char)line.ptr[at] >= 0xE2)
        at = answer_skip_spaces(line, answer_skip_symbols(line, at)); // "✅ B"
    if (answer_is_word(line, at, "option") || answer_is_word(line, at, "choice") ||
        answer_is_word(line, at, "letter"))
        at = answer_skip_spaces(line, at + strlen("option"));
    *start = at;
    const choice_set label = choice_letter(line, at, &strong, end);
    if (!label || !strong) return 0;
    const bool bracket = line.ptr[*end - 1] == ')' || line.ptr[*end - 1] == ']';
    size_t i = *end;
    while (i < line.len && answer_is_one_of(" .\"'!\r", line.ptr[i])) i++;
    if (i < line.len && (unsigned char)line.ptr[i] >= 0xE2) i = answer_skip_symbols(line, i);
    if (i == line.len || bracket || answer_is_one_of(".)]", line.ptr[*end])) return label;
    if (answer_starts(line, i, "—") || answer_starts(line, i, "–")) return label; // "B — a car"
    return line.ptr[*end] == ':' && label != 1 ? label : 0; // "A: 5" answers a question "Q: ..."
}

static choice_set line_label(struct slice line, size_t *end) {
    size_t start;
    return line_label_at(line, &start, end);
}

// "(A) is wrong", "(B) is partially correct": the line goes on to say something of its label.
static bool is_subject(struct slice line, size_t label_end) {
    static const char *const VERBS[] = {"is",        "was",       "cannot", "can't", "does",
                                        "would",     "isn't",     "has",    "fails", "contradicts",
                                        "describes", "incorrect", "wrong",  "false"};
    while (label_end < line.len && answer_is_one_of(" .:)]-", line.ptr[label_end])) label_end++;
    for (size_t i = 0; i < N(VERBS); i++)
        if (answer_is_word(line, label_end, VERBS[i])) return true;
    return false;
}

// A line about a choice that is none.
static bool is_about(struct slice line, size_t label_end) {
    static const char *const ANYWHERE[] = {" is wrong",   " is incorrect", " are wrong",
                                           " is false",   " is not ",      " isn't ",
                                           " incorrect.", " wrong.",       " are incorrect"};
    if (is_subject(line, label_end)) return true;
    for (size_t at = label_end; at < line.len; at++)
        for (size_t i = 0; line.ptr[at] == ' ' && i < N(ANYWHERE); i++)
            if (answer_starts(line, at, ANYWHERE[i])) return true;
    return false;
}

// The last line that is not blank: text[*start, returned).
static size_t last_line(struct slice text, size_t end, size_t *start) {
    while (end > 0 && answer_is_space(text.ptr[end - 1])) end--;
    *start = answer_line_start(text, end);
    return end;
}

// Whether the text ends with a list of the choices: the label of the line before is a smaller one.
bool find_ends_with_list(struct slice text) {
    size_t start, label_end;
    const size_t end = last_line(text, text.len, &start);
    const choice_set label = line_label(answer_cut(text, start, end), &label_end);
    if (label <= 1) return false;
    const size_t before = last_line(text, start, &start);
    const struct slice line = answer_trim(answer_cut(text, start, before));
    if (answer_starts(line, 0, "A:")) return true;
    const choice_set other = line_label(line, &label_end);
    return other && other < label;
}

// Behind the mark of a list, "- ", "• ", "1. ", with which the only line of a text starts.
static size_t lone_item(struct slice text) {
    size_t at = answer_skip_spaces(text, 0);
    const size_t mark = at;
    if (memchr(answer_trim(text).ptr, '\n', answer_trim(text).len)) return 0;
    while (at < text.len && ascii_is_digit(text.ptr[at])) at++;
    if (at > mark && at - mark < 3 && at < text.len && answer_is_one_of(".)", text.ptr[at]))
        at++;
    else if (answer_starts(text, mark, "•"))
        at = mark + strlen("•");
    else if (answer_is_one_of("-*+", text.ptr[mark]))
        at = mark + 1;
    else
        return 0;
    return at < text.len && text.ptr[at] == ' ' ? answer_skip_spaces(text, at) : 0;
}

// A last line that is a choice.
struct statement find_line(const struct finder *f) {
    size_t start, label, label_end, value_end;
    const size_t end = last_line(f->text, f->text.len, &start);
    if (end - start > MAX_LINE || find_ends_with_list(f->text)) return NO_STATEMENT;
    const size_t item = end > start ? lone_item(f->text) : 0;
    if (item && item < end) start = item;
    if (answer_starts(f->text, start, "A:")) { // the answer to a question "Q: ..."
        const choice_set answer = find_value(f, start + 2, end, &value_end);
        const bool denied = answer && answer_is_denied(f->text, start, value_end, true);
        if (answer && !denied) return (struct statement){start, value_end, answer};
    }
    const struct slice line = answer_cut(f->text, start, end);
    if (!line_label_at(line, &label, &label_end) || is_about(line, label_end) ||
        answer_is_denied(f->text, start, start + label_end, true))
        return NO_STATEMENT;
    const choice_set named = find_value(f, start + label, end, &value_end);
    return named ? (struct statement){start, value_end, named} : NO_STATEMENT;
}

// A first line that is a choice and nothing else, or a choice in brackets or with its option's
// text, in front of an explanation. Not the first of a list of choices.
struct statement find_first_line(const struct finder *f) {
    size_t label_end, other_end, value_end;
    const size_t start = answer_skip_spaces(f->text, 0), end = answer_line_end(f->text, start);
    const struct slice line = answer_trim(answer_cut(f->text, start, end));
    const choice_set label = line.len <= MAX_LINE ? line_label(line, &label_end) : 0;
    if (!label) return NO_STATEMENT;
    if (is_subject(line, label_end)) return NO_STATEMENT;
    const size_t next = answer_skip_spaces(f->text, end);
    const struct slice behind = answer_cut(f->text, next, answer_line_end(f->text, next));
    bool strong;
    choice_set other = line_label(behind, &other_end);
    if (other && !is_about(behind, other_end)) return NO_STATEMENT;
    // "B. Rome" and below it "A is wrong."
    if (!other && choice_letter(behind, 0, &strong, &other_end) && strong &&
        is_about(behind, other_end))
        other = 1;
    size_t i = label_end;
    const bool bracket = line.ptr[i - 1] == ')' || line.ptr[i - 1] == ']';
    while (i < line.len && answer_is_one_of(" .:)\"'", line.ptr[i])) i++;
    // "B. A is wrong because ..."
    if (!other && choice_letter(line, i, &strong, &other_end) && strong &&
        is_about(line, other_end))
        other = 1;
    // "B because ..." says why; a longer line may be about B.
    const bool own_text = choice_named(f->options, &f->both, start, end) == label;
    if ((i < line.len && !bracket && !own_text && !other) ||
        answer_is_denied(f->text, start, start + label_end, true))
        return NO_STATEMENT;
    const choice_set named = find_value(f, start, end, &value_end);
    return named ? (struct statement){start, value_end, named} : NO_STATEMENT;
}

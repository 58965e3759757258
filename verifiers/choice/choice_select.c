// Which statement of a completion is its choice: the last one of a box, <answer>, a phrase ("the
// answer is B", "B is correct", "I choose B"), or a line that is a choice; or what corrects it.
#include <assert.h>

#include "verifiers/choice/choice_find.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_VALUE = 1024 }; // bytes of a value and what is said beside it

static struct finder finder_of(const struct choice_options *options, struct slice text,
                               struct arena *arena) {
    return (struct finder){options, text, {text, choice_fold(text, arena)}, arena};
}

static size_t min(size_t a, size_t b) {
    return a < b ? a : b;
}

// "Rome" and below it "Milan": a line behind a value that is nothing but a choice.
static choice_set below(const struct finder *f, size_t end, size_t line, size_t limit) {
    if (answer_skip_spaces(f->text, end) < line || line >= limit) return 0;
    const size_t start = line + 1, next = min(answer_line_end(f->text, start), limit);
    const struct slice whole = answer_trim(slice_part(f->text, start, next));
    const struct choice_text value = {slice_part(f->text, start, next),
                                      slice_part(f->both.folded, start, next)};
    size_t to = 0;
    if (whole.len == 0) return 0;
    const choice_set found = choice_read(f->options, value, whole, f->arena, &to);
    while (to < value.text.len && answer_is_one_of(" .)*\r", value.text.ptr[to])) to++;
    return found && to >= value.text.len ? found : 0;
}

choice_set find_value(const struct finder *f, size_t at, size_t limit, size_t *end) {
    const size_t start = answer_skip_spaces(f->text, at);
    if (start >= limit) return 0;
    const size_t line = min(min(answer_line_end(f->text, start), limit), start + MAX_VALUE);
    const size_t sentence = min(answer_sentence_end(f->text, start), line);
    const struct choice_text value = {slice_part(f->text, start, line),
                                      slice_part(f->both.folded, start, line)};
    choice_set found =
        choice_read(f->options, value, slice_part(f->text, start, sentence), f->arena, end);
    *end += start;
    if (found) found |= below(f, *end, line, limit);
    if (found || f->options->n == 0) return found;
    // "The answer is the city of Paris": one option is named in the sentence.
    return choice_named(f->options, &f->both, start, sentence);
}

// Behind the tag that closes at `at`, or `at`.
static size_t skip_closing_tag(struct slice text, size_t at) {
    const size_t tag = answer_skip_spaces(text, at);
    if (!answer_starts(text, tag, "</")) return at;
    const char *close = memchr(text.ptr + tag, '>', text.len - tag);
    return close ? (size_t)(close - text.ptr) + 1 : at;
}

// "<answer>A</answer><answer>B</answer><answer>C</answer>": what the two tags name that end in
// front of the one whose value is at `from`. Two in a row may be a correction, more are a list.
static choice_set tags_before(const struct finder *f, size_t from) {
    static const char OPEN[] = "<answer>", CLOSE[] = "</answer>";
    choice_set named = 0;
    for (int n = 0; n < 2; n++) {
        size_t end = from, to;
        while (end > 0 && answer_is_space(f->text.ptr[end - 1])) end--;
        if (end < strlen(OPEN) || !answer_starts(f->text, end - strlen(OPEN), OPEN)) return 0;
        end -= strlen(OPEN);
        while (end > 0 && answer_is_space(f->text.ptr[end - 1])) end--;
        if (end < strlen(CLOSE) || !answer_starts(f->text, end - strlen(CLOSE), CLOSE)) return 0;
        end -= strlen(CLOSE);
        const size_t open = answer_find_last(answer_cut(f->text, 0, end), OPEN);
        if (open == SIZE_MAX) return 0;
        from = open + strlen(OPEN);
        named |= find_value(f, from, end, &to);
    }
    return named;
}

// The value of a tag, from..to.
static struct statement find_tag(const struct finder *f, size_t from, size_t to) {
    struct statement found = NO_STATEMENT;
    if (from == SIZE_MAX) return found;
    found.named = find_value(f, from, min(to, f->text.len), &found.end);
    if (!found.named) return found;
    found.at = from;
    found.named |= tags_before(f, from);
    const size_t behind = skip_closing_tag(f->text, found.end);
    if (behind == found.end) return found;
    found.end = behind; // "<answer>B</answer> or C"
    found.named |= choice_joined(f->options, f->text, f->both.folded, behind, &found.end);
    return found;
}

// "B. C is also right": behind the value that ends at `at`.
static bool admits_other(struct slice text, size_t at) {
    bool strong;
    size_t end;
    for (; at < text.len; at++)
        if (choice_letter(text, at, &strong, &end) && answer_admits(text, end)) return true;
    return false;
}

// "(B) \frac34": whether a value begins behind the letter at `at`, and nothing that is done to it.
static bool is_value_beside(struct slice text, size_t at) {
    static const char *const VALUES[] = {"\\frac",  "\\dfrac", "\\tfrac", "\\sqrt", "\\pi",
                                         "\\infty", "\\begin", "\\sin",   "\\cos",  "\\log"};
    size_t before = at;
    while (before > 0 && text.ptr[before - 1] == ' ') before--;
    return before > 0 && answer_is_one_of(")].:", text.ptr[before - 1]) &&
           answer_skip_phrase(text, at, VALUES, N(VALUES)) != at;
}

// "4 (B)": a label behind a number with which a box ends.
static choice_set label_behind(struct slice text, size_t *end) {
    bool strong;
    *end = text.len;
    while (*end > 0 && answer_is_one_of(" .", text.ptr[*end - 1])) --*end;
    if (*end < 5 || text.ptr[*end - 1] != ')') return 0;
    size_t at = *end - 3;
    const choice_set label =
        ascii_is_upper(text.ptr[at + 1]) ? choice_letter(text, at, &strong, end) : 0;
    const size_t stop = at;
    while (at > 0 && text.ptr[at - 1] == ' ') at--;
    return label && at < stop && at > 0 && answer_is_one_of("0123456789}%", text.ptr[at - 1])
               ? label
               : 0;
}

// What the boxes of `answer` name, each read by itself.
static choice_set read_boxes(const struct finder *f, const struct answer *answer) {
    choice_set named = 0;
    for (int i = 0; i < answer->n_parts; i++) {
        size_t end;
        const struct slice part = answer->parts[i];
        const struct finder inner =
            finder_of(f->options, choice_clean(part, f->arena, NULL, 0), f->arena);
        if (part.len > MAX_VALUE || (part.len && part.ptr[part.len - 1] == '?')) continue;
        choice_set found = find_value(&inner, 0, inner.text.len, &end);
        if (!found) found = label_behind(inner.text, &end);
        // "B \\Rightarrow C", "B^2", "B'" are no choice.
        end = found ? answer_skip_spaces(inner.text, end) : 0;
        const bool quoted = found && inner.text.ptr[0] == '\'';
        if (found && (answer_refutes(inner.text, end, true) || admits_other(inner.text, end)))
            continue;
        if (found && answer_starts(inner.text, end, "!")) continue; // "B!"
        if (end < inner.text.len && !is_value_beside(inner.text, end) &&
            answer_is_one_of(quoted ? "\\^_" : "\\^_'", inner.text.ptr[end]))
            continue;
        named |= found;
        if (i > 0 && !found && answer_is_word(inner.text, answer_skip_spaces(inner.text, 0), "not"))
            named |= CHOICE_NONE; // "\\boxed{C} or maybe not"
    }
    return named;
}

// A letter by itself, for corrections: "wait, actually (B)".
static size_t letter_end(const void *context, struct slice text, size_t at) {
    bool strong;
    size_t end = at;
    (void)context;
    if (at >= text.len) return at;
    const bool bracket = answer_is_one_of("([", text.ptr[at]);
    const choice_set letter = choice_letter(text, at, &strong, &end);
    if (!letter || ascii_is_lower(text.ptr[at + bracket])) return at;
    return strong || answer_admits(text, end) || choice_is_subject(text, end) ? end : at;
}

const struct answer_values CHOICE_LETTERS = {letter_end, NULL};

// The choice that is all there is behind `at`, or 0: "\boxed{B}" and below it "(C)".
static choice_set all_behind(const struct finder *f, size_t at) {
    size_t end;
    while (at < f->text.len && answer_is_one_of(" \n\r.*", f->text.ptr[at])) at++;
    if (at >= f->text.len) return 0;
    const choice_set found = find_value(f, at, f->text.len, &end);
    while (found && end < f->text.len && answer_is_one_of(" \n\r.*)", f->text.ptr[end])) end++;
    return end == f->text.len ? found : 0;
}

// What is left of a statement at the end of the text: itself, a correction, or nothing.
static struct statement what_stands(const struct finder *f, struct statement found) {
    struct slice value;
    size_t end;
    switch (answer_remark_behind(f->text, found.end, &CHOICE_LETTERS, &value)) {
    case ANSWER_REFUTED:
        return NO_STATEMENT;
    case ANSWER_CORRECTED:
        found.at = (size_t)(value.ptr - f->text.ptr);
        found.named = find_value(f, found.at, f->text.len, &end);
        return found;
    default:
        found.named = choice_retorted(f->text, f->both.folded, found.end, found.named);
        if (found.named == 0) return NO_STATEMENT;
        found.named |= choice_unsettled(f->options, f->text, f->both.folded, found.end);
        return found;
    }
}

// The same bytes but for case and digits. `*numbered`: some digit differs, "Answer 1", "Answer 2".
static bool same_words(const char *a, const char *b, size_t n, bool *numbered) {
    for (size_t i = 0; i < n; i++) {
        const bool digits = ascii_is_digit(a[i]) && ascii_is_digit(b[i]);
        if (!digits && ascii_lower(a[i]) != ascii_lower(b[i])) return false;
        *numbered |= digits && a[i] != b[i];
    }
    return true;
}

// "The answer is A. The answer is B. The answer is C.": the letters that the two sentences before
// the statement at `at` name in the same words. Two in a row may be a correction, more are a list.
static choice_set said_before(struct slice text, size_t at) {
    enum { MIN_WORDS = 5, N_BEFORE = 2 };
    const size_t last = answer_skip_spaces(text, answer_sentence_start(text, at)), len = at - last;
    choice_set named = 0;
    size_t start = last;
    bool numbered = false;
    for (int n = 0; len >= MIN_WORDS && n < N_BEFORE; n++) {
        size_t end = start, to;
        bool strong;
        while (end > 0 && answer_is_space(text.ptr[end - 1])) end--;
        if (end == 0) return 0;
        start = answer_skip_spaces(text, answer_sentence_start(text, end - 1));
        if (start + len >= end || !same_words(text.ptr + start, text.ptr + last, len, &numbered))
            return 0;
        const choice_set other = choice_letter(text, start + len, &strong, &to);
        while (other && to < end && answer_is_one_of("*_).!", text.ptr[to])) to++;
        if (!other || !strong || to != end) return 0;
        named |= other;
        if (numbered) break;
    }
    return named;
}

bool choice_select(const struct choice_options *options, struct slice completion,
                   struct arena *arena, choice_set *out) {
    const struct slice text = answer_text(completion);
    enum { BOX, BOX_END, TAG, TAG_END, UNCLOSED, N_MARKS };
    enum { N_STATED = 4 }; // of the ways below: those that are no lines
    struct answer box, tag;
    size_t marks[N_MARKS];
    *out = 0;
    if (text.len == 0) return false;
    marks[BOX] = answer_find_box(text, &box, &marks[UNCLOSED]);
    marks[TAG] = marks[TAG_END] = SIZE_MAX;
    if (answer_find_tag(text, &tag) != SIZE_MAX) {
        marks[TAG] = (size_t)(tag.parts[0].ptr - text.ptr);
        marks[TAG_END] = marks[TAG] + tag.parts[0].len;
        if (marks[TAG_END] == text.len) marks[TAG_END] = SIZE_MAX;
    }
    marks[BOX_END] = SIZE_MAX;
    bool has_box = false; // that holds something
    for (int i = 0; marks[BOX] != SIZE_MAX && i < box.n_parts; i++) {
        has_box |= box.parts[i].len > 0;
        marks[BOX_END] = (size_t)(box.parts[i].ptr - text.ptr) + box.parts[i].len;
    }
    if (marks[BOX_END] >= text.len) marks[BOX_END] = SIZE_MAX;
    const struct finder f = finder_of(options, choice_clean(text, arena, marks, N_MARKS), arena);
    const struct statement found[] = {
        {marks[BOX], min(marks[BOX_END], f.text.len), has_box ? read_boxes(&f, &box) : 0},
        find_tag(&f, marks[TAG], marks[TAG_END]),
        find_key(&f),
        find_phrase(&f),
        find_line(&f),
        find_first_line(&f),
    };
    struct statement best = NO_STATEMENT;
    // A box that holds no choice is the answer, and not the line in which it stands.
    const size_t floor = has_box && !found[0].named ? marks[BOX_END] : 0;
    for (size_t i = 0; i < N(found); i++) {
        const bool counts = found[i].named && (found[i].at >= floor || i < N_STATED);
        if (counts && (best.at == SIZE_MAX || found[i].at > best.at)) best = found[i];
    }
    if (marks[UNCLOSED] != SIZE_MAX && (best.at == SIZE_MAX || marks[UNCLOSED] >= best.at))
        return false;
    assert(best.at == SIZE_MAX || (best.named && best.at <= f.text.len));
    if (best.at != SIZE_MAX && best.at == found[0].at && best.named == found[0].named)
        best.named |= all_behind(&f, best.end);
    if (best.at != SIZE_MAX && best.at == found[3].at) best.named |= said_before(f.text, best.at);
    if (best.at != SIZE_MAX) {
        best = what_stands(&f, best);
        *out = best.named;
        return best.at != SIZE_MAX;
    }
    if (!has_box) *out = find_in_last_sentence(&f);
    return has_box || *out;
}

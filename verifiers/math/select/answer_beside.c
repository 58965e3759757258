// What is said beside a box in its sentence and makes it another value than the answer, or none:
// "\boxed{8} is half the answer", "\boxed{8} (lower bound)", "my answer is no longer \boxed{8}".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// Past what closes a box: '$', bold, blanks.
static size_t behind_box(struct slice text, size_t at) {
    while (at < text.len && answer_is_one_of(" $*_\"`", text.ptr[at])) at++;
    if (at + 1 < text.len && text.ptr[at] == '\\' && answer_is_one_of(")]", text.ptr[at + 1]))
        at = answer_skip_spaces(text, at + 2);
    return at;
}

// "my answer would have been", "it used to be", "I'd bet against": at once in front of the box.
static bool is_former(struct slice before) {
    static const char *const ENDS[] = {
        "no longer", "used to be",   "would have been", "had been", "bet against",   "no more",
        "not yet",   "anything but", "everything but",  "short of", "different from"};
    while (before.len && answer_is_one_of(" $*_\"`\\([:", before.ptr[before.len - 1])) before.len--;
    return answer_back_phrase(before, 0, before.len, ENDS, N(ENDS)) != before.len;
}

// "is half the answer", "is one more than the answer", "gives the answer" behind the box.
static bool is_part_of_answer(struct slice behind) {
    static const char *const PARTS[] = {
        "half", "twice",   "double", "triple", "third", "part",     "more",     "less",   "square",
        "root", "quarter", "thrice", "times",  "fewer", "opposite", "negative", "greater"};
    static const char *const WHOLES[] = {"the answer", "the final answer", "the result",
                                         "our answer", "my answer",        "the correct answer"};
    const bool gives = answer_is_word(behind, 0, "gives") || answer_is_word(behind, 0, "yields");
    bool part = gives;
    if (!gives && !answer_is_word(behind, 0, "is")) return false;
    for (size_t at = 0; at < behind.len; at++) {
        if (at > 0 && ascii_is_alpha(behind.ptr[at - 1])) continue;
        if (answer_skip_phrase(behind, at, WHOLES, N(WHOLES)) != at) return part;
        part |= answer_skip_phrase(behind, at, PARTS, N(PARTS)) != at;
        if (answer_is_one_of(",;", behind.ptr[at])) return false;
    }
    return false;
}

// "(lower bound)", "(in thousands)", "in units of 10"
static bool is_scaled(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "lower bound",      "upper bound",      "a lower bound",   "an upper bound",
        "lower estimate",   "in thousands",     "in millions",     "in hundreds",
        "in tens",          "in units of",      "in dozens",       "in billions",
        "or more",          "or less",          "or fewer",        "at least",
        "at most",          "a bound",          "upper estimate",  "in multiples of",
        "thousands",        "hundreds",         "millions",        "dozens",
        "or higher",        "or greater",       "before rounding", "wrong",
        "is a lower bound", "is an upper bound"};
    if (at < text.len && answer_is_one_of("([,", text.ptr[at]))
        at = answer_skip_spaces(text, at + 1);
    return answer_skip_phrase(text, at, WORDS, N(WORDS)) != at;
}

// "For \boxed{8} to be right, ..."
static bool is_required(struct slice before, struct slice behind) {
    static const char *const GOOD[] = {"to be right", "to be correct", "to be the answer",
                                       "to be valid", "to be true",    "to work",
                                       "to hold"};
    const size_t start = answer_skip_marks(before, 0);
    return answer_is_word(before, start, "for") &&
           answer_skip_phrase(behind, 0, GOOD, N(GOOD)) != 0;
}

bool answer_is_made_other(struct slice text, size_t from, size_t to) {
    const struct slice before = answer_cut(text, answer_sentence_start(text, from), from);
    const size_t at = behind_box(text, to);
    const struct slice behind = answer_cut(text, at, answer_sentence_end(text, at));
    return is_former(before) || is_part_of_answer(behind) || is_scaled(text, at) ||
           is_required(before, behind);
}

// A check of the answer behind it that fails: "Substituting back gives 0 = 1, a contradiction."
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// In the sentence text[at..to), where it speaks of no other value.
static bool says_failed(struct slice text, size_t at, size_t to) {
    static const char *const FAILS[] = {
        " contradiction", " contradicts",      " does not hold",  " doesn't hold",
        " doesn’t hold",  " is false",         " does not match", " doesn't match",
        " doesn’t match", " is not satisfied", " does not satis", " doesn't satis",
        " fails",         " is wrong",         " doesn't work",   " does not work",
        " inconsistent",  " not equal",        " mismatch",       " is incorrect",
        " disagrees",     " does not equal",   " does not check", " doesn't check"};
    static const char *const OTHERS[] = {" if ",     " other ", " would ",  " another ", " instead",
                                         " without", " no ",    " any ",    " rules ",   " else",
                                         " only ",   " were ",  " smaller", " larger",   " never "};
    bool failed = false;
    for (; at < to; at++) {
        if (text.ptr[at] == '\xE2') failed |= answer_is_crossed(text, at);
        if (text.ptr[at] != ' ') continue;
        for (size_t i = 0; i < N(OTHERS); i++)
            if (answer_starts(text, at, OTHERS[i])) return false;
        for (size_t i = 0; i < N(FAILS) && !failed; i++) failed = answer_starts(text, at, FAILS[i]);
    }
    return failed || answer_is_crossed(text, to);
}

bool answer_check_fails(struct slice text, size_t at) {
    static const char *const CHECKS[] = {"sanity check",
                                         "check:",
                                         "substituting back",
                                         "plugging back",
                                         "plugging this",
                                         "substituting this",
                                         "plugging it",
                                         "substituting it",
                                         "verification",
                                         "checking this",
                                         "checking the answer",
                                         "checking our answer",
                                         "plugging in",
                                         "verifying",
                                         "quick check",
                                         "plugging the answer",
                                         "let me check",
                                         "let's check",
                                         "let us check",
                                         "but checking",
                                         "but plugging",
                                         "but substituting",
                                         "however, plugging",
                                         "however, substituting",
                                         "double-check",
                                         "double check",
                                         "let me verify",
                                         "let's verify",
                                         "substituting the answer"};
    size_t from = answer_skip_phrase(text, at, CHECKS, N(CHECKS));
    if (from == at) return false;
    return says_failed(text, from, answer_sentence_end(text, from));
}

// The whole number that ends at `end`, without marks of mathematics behind it; len 0: none.
static struct slice number_before(struct slice text, size_t end) {
    while (end > 0 && answer_is_one_of(" $)]}*_`.\\", text.ptr[end - 1])) end--;
    size_t at = end;
    while (at > 0 && ascii_is_digit(text.ptr[at - 1])) at--;
    const bool part = at > 0 && answer_is_one_of(".,/^_:-", text.ptr[at - 1]) &&
                      (at < 2 || text.ptr[at - 2] != ' ');
    return part ? answer_cut(text, at, at) : answer_cut(text, at, end);
}

bool answer_ends_otherwise(struct slice text, size_t at, size_t stated, bool again) {
    static const char *const LINKS[] = {"hence",         "so",         "thus",     "therefore",
                                        "in conclusion", "finally",    "the true", "the actual",
                                        "the real",      "the correct"};
    static const char *const VERBS[] = {"is", "are", "equals", "=", "have", "get", "be"};
    const size_t end = answer_sentence_end(text, at);
    if (answer_skip_marks(text, end) < text.len || (end < text.len && text.ptr[end] == '?'))
        return false;
    if (!again && answer_skip_phrase(text, at, LINKS, N(LINKS)) == at) return false;
    static const char *const SURE[] = {"correct", "right", "yes", "confirmed", "holds", "works"};
    for (size_t i = at; again && i < end; i++)
        if ((i == at || text.ptr[i - 1] == ' ') && answer_skip_phrase(text, i, SURE, N(SURE)) != i)
            return false;
    const struct slice last = number_before(text, end), first = number_before(text, stated);
    if (last.len == 0 || first.len == 0 || slice_equal(last, first)) return false;
    size_t verb = (size_t)(last.ptr - text.ptr);
    while (verb > at && answer_is_one_of(" $\\([*", text.ptr[verb - 1])) verb--;
    size_t word = verb;
    while (word > at && !answer_is_space(text.ptr[word - 1]) &&
           (ascii_is_alpha(text.ptr[word - 1]) || text.ptr[word - 1] == '='))
        word--;
    return answer_is_in(answer_cut(text, word, verb), VERBS, N(VERBS)) ||
           (verb > at && text.ptr[verb - 1] == '=');
}

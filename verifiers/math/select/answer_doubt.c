// What is said behind a statement that leaves it open: another value may be right as well.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_opening.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// Whether nothing but the end of the clause is behind a value.
bool answer_ends_clause(struct slice text, size_t at, bool hard) {
    while (at < text.len && answer_is_one_of("*_`\"')]$}", text.ptr[at])) at++;
    if (at < text.len && text.ptr[at] == '\\' && at + 1 < text.len) at += 2;
    if (at >= text.len || answer_is_one_of("\n\r<", text.ptr[at])) return true;
    if (text.ptr[at] == '?') return false;
    if (answer_starts(text, at, " instead")) return true;
    if (hard && answer_is_one_of(",;", text.ptr[at])) return true;
    static const char *const ENDS[] = {", though", ", however", ", instead", ", actually",
                                       ", then"};
    for (size_t i = 0; i < N(ENDS); i++) // "it is 37, though."
        if (answer_is_word(text, at, ENDS[i])) at += strlen(ENDS[i]);
    if (at == text.len) return true;
    return answer_is_one_of(".!", text.ptr[at]) || answer_starts(text, at, "。");
}

// Past blanks and marks in front of a value.
static size_t skip_to_value(struct slice text, size_t at) {
    while (at < text.len && answer_is_one_of(" ,:*_", text.ptr[at])) at++;
    return at;
}

// "The other root is 45.": there are two of them.
static bool names_second(struct slice text, size_t at, const struct answer_values *values) {
    static const char *const WHICH[] = {"the other", "another", "the second", "a second"};
    static const char *const NOUNS[] = {" root",        " solution",        " answer",
                                        " value",       " possibility",     " valid answer",
                                        " real root",   " valid solution",  " possible value",
                                        " correct one", " possible answer", " correct answer"};
    size_t end = answer_skip_phrase(text, at, WHICH, N(WHICH));
    const size_t noun = end == at ? at : answer_skip_phrase(text, end, NOUNS, N(NOUNS));
    if (end == at || noun == end) return false;
    if (!answer_starts(text, noun, " is ") && !answer_starts(text, noun, ": ")) return false;
    for (end = noun + (text.ptr[noun] == ':' ? 2 : strlen(" is "));
         end < text.len && answer_is_one_of(" *_", text.ptr[end]);)
        end++;
    const size_t to = values->end(values->context, text, end);
    return to > end && answer_ends_clause(text, to, false);
}

// "Both 36 and 37 are acceptable."
static bool names_both(struct slice text, size_t at, const struct answer_values *values) {
    if (!answer_is_word(text, at, "both")) return false;
    const size_t first = skip_to_value(text, at + strlen("both"));
    const size_t end = values->end(values->context, text, first);
    if (end == first) return false;
    if (!answer_starts(text, end, " and ")) return answer_starts(text, end, " are ");
    const struct slice rest = answer_cut(text, end, answer_sentence_end(text, end));
    return memmem(rest.ptr, rest.len, " are ", 5) || memmem(rest.ptr, rest.len, " work", 5) ||
           memmem(rest.ptr, rest.len, " fit", 4);
}

// "If zero counts, 37.", "Depending on rounding, 37.": another value for another case. `against`:
// behind "however", so that "if zero counts, it is 37" is none of a check.
static bool names_case(struct slice text, size_t at, bool against,
                       const struct answer_values *values) {
    static const char *const CASES[] = {"if", "depending on", "unless", "provided", "when"};
    if (answer_skip_phrase(text, at, CASES, N(CASES)) == at) return false;
    const size_t end = answer_sentence_end(text, at);
    for (size_t i = at; i < end; i++) {
        if (text.ptr[i] != ',') continue;
        bool plain;
        const size_t next = skip_to_value(text, i);
        const size_t from = against ? answer_skip_copula(text, next, false, &plain) : next;
        const size_t to = values->end(values->context, text, from);
        // "\boxed{12} (if 0 counts, \boxed{13})" is a list.
        // "If x = 2, 3x = 6." is a check.
        return to > from && !answer_is_box(text, from) &&
               !memchr(text.ptr + from, '=', to - from) && answer_ends_clause(text, to, false);
    }
    return false;
}

// "Or is it 13?", "maybe it is 13": the value is left open.
bool answer_doubts(struct slice text, size_t at, bool against, const struct answer_values *values) {
    static const char *const WORDS[] = {"or is it",
                                        "or was it",
                                        "or maybe",
                                        "or perhaps",
                                        "or possibly",
                                        "or could it be",
                                        "or might it be",
                                        "or should it be",
                                        "could it be",
                                        "might it be",
                                        "maybe it is",
                                        "maybe it's",
                                        "maybe",
                                        "perhaps it is",
                                        "perhaps it's",
                                        "perhaps",
                                        "possibly",
                                        "alternatively",
                                        "or else",
                                        "it might be",
                                        "it could be",
                                        "it may be",
                                        "it could also be",
                                        "it might also be",
                                        "and so is",
                                        "but so is",
                                        "so is",
                                        "as is",
                                        "and so does",
                                        "but so does",
                                        "so does",
                                        "and so would",
                                        "but so would",
                                        "as does",
                                        "just as is",
                                        "and so are",
                                        "and also",
                                        "it may also be",
                                        "or it could be",
                                        "or it might be",
                                        "either that or",
                                        "the answer might also be",
                                        "the answer could also be",
                                        "the answer may also be",
                                        "the answer might be",
                                        "the answer could be",
                                        "the answer may be",
                                        "or"};
    if (names_second(text, at, values) || names_both(text, at, values) ||
        names_case(text, at, against, values))
        return true;
    size_t end = answer_skip_phrase(text, at, WORDS, N(WORDS));
    if (end == at) return false;
    if (end < text.len && text.ptr[end] == '?' && end > at + 2) return true; // "or is it?"
    while (end < text.len && answer_is_one_of(" ,*_", text.ptr[end])) end++;
    const size_t to = values->end(values->context, text, end);
    return to > end && (answer_ends_clause(text, to, true) || answer_is_one_of("?", text.ptr[to]));
}

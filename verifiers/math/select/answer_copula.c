// What leads to a value: "it is", "the correct one is", "I get".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_opening.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// "the answer, however, is": past what stands between commas, but for the blank behind it.
static size_t skip_aside(struct slice text, size_t at) {
    static const char *const ASIDES[] = {", however,",   ", in fact,", ", actually,",
                                         ", of course,", ", though,",  ", then,",
                                         ", indeed,",    ", instead,", ", therefore,"};
    for (size_t i = 0; i < N(ASIDES); i++)
        if (answer_starts(text, at, ASIDES[i])) return at + strlen(ASIDES[i]);
    return at;
}

// Behind "wait" and its kin, what the value is of does not matter.
static const char *const NAMES[] = {"the sum",     "the total",   "the product", "the difference",
                                    "the count",   "the area",    "the number",  "the quotient",
                                    "the volume",  "the length",  "the price",   "the cost",
                                    "the average", "the maximum", "the minimum", "the probability",
                                    "the ratio",   "there",       "x",           "n"};

// "it", "the answer", "the correct value", "my final result": what stands for the value.
static size_t skip_subject(struct slice text, size_t at) {
    static const char *const ALONE[] = {"it", "that", "this", "mine", "the box"};
    static const char *const OWNERS[] = {"the", "my", "our", "its"};
    static const char *const TRUE_ONES[] = {
        " correct", " right",   " true", " real",    " actual",    " final",   " exact",
        " proper",  " precise", " new",  " revised", " corrected", " accurate"};
    static const char *const NOUNS[] = {" answer", " result",   " value",  " one",   " choice",
                                        " option", " solution", " number", " count", " total"};
    static const char *const BEGINNINGS[] = {"correct", "right", "true",
                                             "actual",  "final", "exact"};
    enum { N_BARE = 3 }; // that need no adjective
    const size_t alone = answer_skip_phrase(text, at, ALONE, N(ALONE));
    const size_t owner = answer_skip_phrase(text, at, OWNERS, N(OWNERS));
    if (alone != at) return alone;
    size_t end = owner;
    if (owner == at) // "Correct value: 13"
        end = answer_skip_phrase(text, at, BEGINNINGS, N(BEGINNINGS));
    if (end == at) return at;
    for (size_t next; (next = answer_skip_phrase(text, end, TRUE_ONES, N(TRUE_ONES))) != end;)
        end = next;
    const size_t noun = answer_skip_phrase(text, end, NOUNS, end == owner ? N_BARE : N(NOUNS));
    return noun == end ? at : noun;
}

// "it is", "the correct one is", "I get": where they end, or `at`. `*plain`: it may as well explain
// what was said before ("that is 3 + 4").
size_t answer_skip_copula(struct slice text, size_t at, bool strong, bool *plain) {
    static const char *const VERBS[] = {" is",
                                        " are",
                                        ":",
                                        " should be",
                                        " must be",
                                        " has to be",
                                        " ought to be",
                                        " would be",
                                        " equals",
                                        " should read",
                                        " should have been",
                                        " was",
                                        " becomes",
                                        "'s",
                                        "’s",
                                        " should contain",
                                        " should hold",
                                        " should say"};
    static const char *const WHOLE[] = {
        "i get",       "i now get",       "we get",      "i obtain",     "we obtain",
        "i have",      "this gives",      "that gives",  "should be",    "this leaves",
        "i choose",    "i go with",       "i pick",      "i'll go with", "i'd say",
        "i find",      "we find",         "i say",       "choose",       "make it",
        "i would say", "i would go with", "i'd go with", "it comes to"};
    static const char *const ABROAD[] = {"应该是", "应为",       "應該是",     "是",
                                         "答案是", "答案应该是", "正确答案是", "答案应为"};
    static const char *const FOREIGN[] = {"es ist",  "es sind", "das ist", "es", "c'est", "c’est",
                                          "ce sont", "son",     "è",       "é",  "sono",  "it's"};
    static const char *const FILLERS[] = {
        "actually", "indeed",   "really",     "in fact",    "rather", "instead",
        "simply",   "just",     "then",       "therefore",  "option", "choice",
        "now",      "equal to", "the option", "the choice", "letter"};
    const bool latin = at < text.len && (unsigned char)text.ptr[at] < 0xC3;
    size_t end = latin ? answer_skip_phrase(text, at, WHOLE, N(WHOLE))
                       : answer_skip_phrase(text, at, ABROAD, N(ABROAD));
    *plain = answer_is_word(text, at, "that") || answer_is_word(text, at, "this");
    const size_t subject = end == at ? skip_subject(text, at) : at;
    if (subject != at) {
        const size_t verb = skip_aside(text, subject);
        const size_t behind = answer_skip_phrase(text, verb, VERBS, N(VERBS));
        if (behind != verb) end = behind;
    }
    if (strong && end == at) end = answer_skip_phrase(text, at, FOREIGN, N(FOREIGN));
    for (size_t i = 0; strong && i < N(NAMES) && end == at; i++) {
        const size_t name = answer_skip_phrase(text, at, NAMES + i, 1);
        const size_t behind = answer_skip_phrase(text, name, VERBS, N(VERBS));
        if (name != at && behind != name) end = behind;
    }
    for (size_t i = end; end != at; end = i) {
        while (i < text.len && answer_is_one_of(" ,:*_\"", text.ptr[i])) i++;
        i = answer_skip_phrase(text, i, FILLERS, N(FILLERS));
        if (i == end || text.ptr[i - 1] == ' ') return i;
    }
    return end;
}

// What joins one choice to others: "B or C", "B (60%), C (40%)", "B if x > 0, otherwise C".
#include <stdint.h>

#include "protocol/base/utf8.h"
#include "verifiers/choice/choice.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_JOINED = 16, MAX_REST = 400 };

// Past one mark that is neither letter nor digit, or `at`.
static size_t skip_mark(struct slice text, size_t at) {
    uint32_t code = 0;
    const int size = at < text.len ? utf8_next(slice_from(text, at), &code) : 0;
    if (size == 0 || (char_classes(code) & CHAR_WORD) || code == '(' || code == '[') return at;
    return at + (size_t)size;
}

// Past one of the words and the blanks and commas behind it, or `at`.
static size_t skip_one(struct slice text, size_t at, const char *const *words, size_t n) {
    for (size_t k = 0; k < n; k++) {
        if (!answer_is_word(text, at, words[k])) continue;
        at += strlen(words[k]);
        while (at < text.len && answer_is_one_of(" ,", text.ptr[at])) at++;
        break;
    }
    return at;
}

// Past "it could also be", "but it might be" and the like, or `at`.
static size_t skip_possibility(struct slice text, size_t at) {
    static const char *const LEADS[] = {"but", "though", "although", "however", "and", "or"};
    static const char *const SUBJECTS[] = {"it", "that", "the answer"};
    static const char *const VERBS[] = {"could", "might", "may", "can"};
    static const char *const FILLERS[] = {"also", "well", "just as well", "as well", "equally"};
    size_t i = skip_one(text, at, LEADS, N(LEADS));
    i = skip_one(text, i, SUBJECTS, N(SUBJECTS));
    const size_t verb = skip_one(text, i, VERBS, N(VERBS));
    if (verb == i) return at;
    i = skip_one(text, verb, FILLERS, N(FILLERS));
    return answer_is_word(text, i, "be") ? answer_skip_spaces(text, i + 2) : at;
}

// What joins two choices. Behind a full stop the first two join nothing.
static const char *const JOINTS[] = {"and/or",
                                     "and",
                                     "or else",
                                     "failing that",
                                     "alternatively",
                                     "or",
                                     "oder",
                                     "und",
                                     "ou",
                                     "et",
                                     "o",
                                     "y",
                                     "e",
                                     "または",
                                     "か",
                                     "또는",
                                     "혹은",
                                     "или же",
                                     "или",
                                     "veya",
                                     "ya da",
                                     "hoặc",
                                     "atau",
                                     "lub",
                                     "eller",
                                     "of",
                                     "або",
                                     "ή",
                                     "либо",
                                     "bzw.",
                                     "beziehungsweise",
                                     "oppure",
                                     "o bien",
                                     "أو",
                                     "או",
                                     "या",
                                     "หรือ",
                                     "nebo",
                                     "sau",
                                     "vagy",
                                     "tai",
                                     "ili",
                                     "и",
                                     "그리고",
                                     "와",
                                     "과",
                                     "이나",
                                     "나",
                                     "および",
                                     "以及",
                                     "与",
                                     "跟",
                                     "respectively",
                                     "xor",
                                     "或者",
                                     "或",
                                     "和",
                                     "possibly",
                                     "maybe",
                                     "perhaps",
                                     "plus",
                                     "as well as",
                                     "then",
                                     "vs",
                                     "versus",
                                     "also",
                                     "along with",
                                     "with",
                                     "to",
                                     "through",
                                     "followed by",
                                     "else",
                                     "otherwise",
                                     "if not",
                                     "but also",
                                     "but maybe",
                                     "but possibly"};

// In "D, E and F" the E is no "e".
static bool is_joint_at(struct slice text, size_t at, const char *joint) {
    if (joint[1] == 0 && at < text.len && ascii_is_upper(text.ptr[at])) return false;
    return (unsigned char)joint[0] < 0x80 ? answer_is_word(text, at, joint)
                                          : answer_starts(text, at, joint);
}

// Behind what joins two choices at `at`, or `at`. A new sentence goes on only with "or".
static size_t skip_joint(struct slice text, size_t at) {
    static const char *const FILLER[] = {"maybe", "bien",        "perhaps",    "possibly",
                                         "also",  "even",        "option",     "choice",
                                         "it is", "it could be", "it might be"};
    size_t i = at;
    bool stop = false, joint = false;
    for (size_t next; (next = skip_mark(text, i)) != i; i = next) {
        stop |= answer_is_one_of(".!?\n", text.ptr[i]);
        joint |= !answer_is_one_of(" \t\n\"'.!?)]", text.ptr[i]);
    }
    if (answer_is_word(text, i, "(but") || answer_is_word(text, i, "(though")) {
        i = answer_skip_spaces(text, i + (text.ptr[i + 1] == 'b' ? 4 : 7));
        joint = true;
    }
    if (answer_is_word(text, i, "(or") || answer_is_word(text, i, "(maybe") ||
        answer_is_word(text, i, "(possibly") || answer_is_word(text, i, "(perhaps") ||
        answer_is_word(text, i, "(alternatively"))
        i++;
    const size_t possibility = skip_possibility(text, i);
    if (possibility != i) return possibility;
    for (size_t k = stop ? 2 : 0; k < N(JOINTS); k++)
        if (is_joint_at(text, i, JOINTS[k])) {
            i += strlen(JOINTS[k]);
            if (i < text.len && answer_is_one_of(".,", text.ptr[i])) i++; // "vs.", "if not,"
            i = answer_skip_spaces(text, i);
            joint = true;
            stop = false;
            break;
        }
    if (!joint || stop) return at;
    for (size_t k = 0; k < N(FILLER); k++)
        if (answer_is_word(text, i, FILLER[k])) i = answer_skip_spaces(text, i + strlen(FILLER[k]));
    return i;
}

// "B, and C is wrong": the letter before `at` is the subject of another clause.
bool choice_is_subject(struct slice text, size_t at) {
    static const char *const VERBS[] = {
        "is",      "was",   "can",  "has",   "does",  "would", "isn't",    "cannot",
        "doesn't", "gives", "says", "seems", "being", "fails", "violates", "contradicts"};
    static const char *const ALSO[] = {"also",      "possible",   "equally",   "another", "as",
                                       "plausible", "defensible", "arguable",  "fine",    "okay",
                                       "just",      "acceptable", "reasonable"};
    const size_t i = answer_skip_spaces(text, at);
    for (size_t k = 0; k < N(VERBS); k++) {
        if (!answer_is_word(text, i, VERBS[k])) continue;
        const size_t next = answer_skip_spaces(text, i + strlen(VERBS[k]));
        for (size_t n = 0; n < N(ALSO); n++) // "B is also possible" names one more
            if (answer_is_word(text, next, ALSO[n])) return false;
        return true;
    }
    return false;
}

// A letter that follows without a joint: "A B C", "A. B. C.". Returns where it starts, or `at`.
static size_t skip_gap(struct slice text, size_t at) {
    size_t i = at, end;
    bool strong;
    while (i < text.len && answer_is_one_of(" .?!", text.ptr[i])) i++;
    if (i == at || i >= text.len || !ascii_is_upper(text.ptr[i]) ||
        !choice_letter(text, i, &strong, &end) || choice_is_subject(text, end))
        return at;
    if (i - at > 1 || text.ptr[at] != ' ') // a new sentence starts with "A and C are wrong"
        return end == text.len || text.ptr[end] == '.' || text.ptr[end] == '\n' ? i : at;
    return i;
}

// "A if x > 0, otherwise B", "A when x is even, B when it is odd": the letters of the other cases.
static choice_set other_cases(struct slice text, size_t at) {
    static const char *const CASES[] = {"if", "when", "for", "unless", "in case", "in the"};
    static const char *const OTHERWISE[] = {"otherwise", "else", "or", "and", "then"};
    choice_set found = 0;
    size_t i = answer_skip_spaces(text, at);
    if (skip_one(text, i, CASES, N(CASES)) == i) return 0;
    for (; i < text.len && i - at < MAX_REST && !answer_ends_sentence(text, i); i++) {
        bool strong;
        size_t end;
        if (text.ptr[i] != ' ' || i + 1 >= text.len) continue;
        const size_t letter = skip_one(text, i + 1, OTHERWISE, N(OTHERWISE));
        const bool joined = letter != i + 1 || text.ptr[i - 1] == ',' || text.ptr[i - 1] == ';';
        if (!joined || letter >= text.len || !ascii_is_upper(text.ptr[letter])) continue;
        const choice_set other = choice_letter(text, letter, &strong, &end);
        const size_t next = other ? answer_skip_spaces(text, end) : 0;
        if (!other || (!strong && skip_one(text, next, CASES, N(CASES)) == next)) continue;
        if (next == text.len || answer_is_one_of(".,;", text.ptr[next]) ||
            skip_one(text, next, CASES, N(CASES)) != next ||
            answer_is_word(text, next, "otherwise"))
            found |= other;
    }
    return found;
}

// "B (60%), C (40%)", "B: 60%, C: 40%", "B (most likely), C (possible)": past the share of a
// choice, or `at`.
static size_t skip_share(struct slice text, size_t at) {
    enum { MAX_SHARE = 32 };
    static const char *const CHANCES[] = {"with probability", "with", "at"};
    size_t i = answer_skip_spaces(text, at), end = i;
    if (i < text.len && text.ptr[i] == '(') {
        while (end < text.len && end - i < MAX_SHARE && !answer_is_one_of(")\n", text.ptr[end]))
            end++;
        for (size_t k = i; k < end; k++)
            if (ascii_is_upper(text.ptr[k])) return at; // "(though C is defensible)"
        return end < text.len && text.ptr[end] == ')' ? end + 1 : at;
    }
    if (i < text.len && answer_is_one_of(":=", text.ptr[i])) i = answer_skip_spaces(text, i + 1);
    i = skip_one(text, i, CHANCES, N(CHANCES));
    for (end = i; end < text.len &&
                  (ascii_is_digit(text.ptr[end]) || (text.ptr[end] == '.' && end + 1 < text.len &&
                                                     ascii_is_digit(text.ptr[end + 1])));)
        end++;
    if (end == i) return at;
    static const char *const OF[] = {"confidence", "probability", "chance", "certainty",
                                     "likelihood", "sure",        "certain"};
    if (end < text.len && text.ptr[end] == '%') end++;
    const size_t noun = answer_skip_spaces(text, end); // "B with 40% confidence"
    return answer_skip_phrase(text, noun, OF, N(OF)) == noun
               ? end
               : answer_skip_phrase(text, noun, OF, N(OF));
}

// "C or none of these", "C or none": no letter, but another choice.
static bool is_none(struct slice text, size_t at) {
    static const char *const WORDS[] = {"none of these", "none of the above", "neither",
                                        "all of these",  "all of the above",  "all the above"};
    static const char *const ENDS[] = {"none of them", "none", "nothing", "no option",
                                       "not at all"};
    for (size_t k = 0; k < N(WORDS); k++)
        if (answer_is_word(text, at, WORDS[k])) return true;
    for (size_t k = 0; k < N(ENDS); k++) {
        const size_t end = at + strlen(ENDS[k]);
        if (answer_is_word(text, at, ENDS[k]))
            return end == text.len || answer_is_one_of(".!)\n\"", text.ptr[end]);
    }
    return false;
}

// "A and C are wrong", "A, C and D contradict the text": `at` is behind several letters.
bool choice_are_subjects(struct slice text, size_t at) {
    static const char *const VERBS[] = {
        "are",  "were",  "doesn't",  "cannot", "can't",  "do",         "don't",  "have",
        "fail", "all",   "must",     "would",  "both",   "contradict", "ignore", "violate",
        "can",  "imply", "describe", "give",   "assume", "require"};
    const size_t i = answer_skip_spaces(text, at);
    for (size_t k = 0; k < N(VERBS); k++)
        if (answer_is_word(text, i, VERBS[k])) return true;
    return choice_is_subject(text, at);
}

choice_set choice_joined(const struct choice_options *o, struct slice text, struct slice folded,
                         size_t at, size_t *end) {
    choice_set found = 0;
    *end = at;
    for (int n = 0; n < MAX_JOINED; n++) {
        const size_t share = skip_share(text, *end);
        size_t joint = skip_joint(text, share);
        if (joint == share) joint = skip_joint(text, *end);
        const size_t gap = share != *end ? skip_gap(text, share) : *end; // "B (60%) C (40%)"
        const size_t i = joint != *end ? joint : gap != share ? gap : skip_gap(text, joint);
        size_t to = i, len;
        bool strong;
        if (i == *end || i >= text.len) break;
        choice_set next = choice_letter(text, i, &strong, &to);
        if (!next && (next = choice_option_at(o, text, folded, i, &len)) != 0) to = i + len;
        if (!next && joint != *end && is_none(text, i)) return found | CHOICE_NONE;
        if (!next || choice_is_subject(text, to)) break;
        found |= next;
        *end = to;
    }
    // "B; A and D are common errors", "B: A, C and D contradict the text"
    const bool clause = *end != at && at < text.len && answer_is_one_of(".:;", text.ptr[at]);
    if (clause && choice_are_subjects(text, *end) && !answer_admits(text, *end)) found = 0;
    return found | other_cases(text, *end);
}

// "If it rains, the answer is 5": what is said holds only then.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static size_t skip_blanks(struct slice text, size_t at) {
    while (at < text.len && answer_is_one_of(" \t\r\n,*_#>(-", text.ptr[at])) at++;
    return at;
}

// Past the first of the words that stands at `at`, or `at`.
static size_t skip_one(struct slice text, size_t at, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (answer_is_word(text, at, words[i])) return at + strlen(words[i]);
    return at;
}

// A symbol or a formula: "x", "$n$", "\(k\)".
static bool is_symbol(struct slice text, size_t at) {
    if (at >= text.len) return false;
    if (text.ptr[at] == '$' || text.ptr[at] == '\\') return true;
    return ascii_is_alpha(text.ptr[at]) &&
           (at + 1 == text.len || !ascii_is_alpha(text.ptr[at + 1])) &&
           !answer_is_word(text, at, "a") && !answer_is_word(text, at, "i");
}

// What we do ("if we add them") and the problem said over again ("if 3 apples cost $6", "if he eats
// one a day") is no condition.
static bool is_done(struct slice text, size_t at) {
    static const char *const DOERS[] = {"we",     "you",        "i",       "one", "he",   "she",
                                        "they",   "each",       "every",   "all", "both", "no",
                                        "needed", "simplified", "rounded", "my",  "your", "there"};
    if (is_symbol(text, at)) return false;
    if (skip_one(text, at, DOERS, N(DOERS)) != at) return true;
    for (size_t i = at; i < text.len; i++)
        if (ascii_is_digit(text.ptr[i])) return true;
    return false;
}

// "12 when rounded down, 13 when rounded up"
static bool has_two_cases(struct slice value) {
    int n = 0;
    for (size_t at = 0; at < value.len; at++)
        n += value.ptr[at] == ' ' && answer_is_word(value, at + 1, "when");
    return n > 1;
}

bool answer_is_conditioned(struct slice value) {
    static const char *const IFS[] = {"if",       "only if", "only when",  "as long as",
                                      "provided", "unless",  "so long as", "assuming"};
    static const char *const REASONS[] = {"because", "since", "as", "which", "so", "where", "for"};
    if (has_two_cases(value)) return true;
    for (size_t at = 1; at < value.len; at++) {
        if (value.ptr[at - 1] != ' ' || !answer_is_one_of("ioapuswbfIOAPUSWBF", value.ptr[at]))
            continue;
        if (skip_one(value, at, IFS, N(IFS)) != at) {
            const size_t next = skip_blanks(value, skip_one(value, at, IFS, N(IFS)));
            return !answer_is_word(value, next, "i") && !answer_is_word(value, next, "you") &&
                   !answer_starts(value, next, "i'");
        }
        if (answer_is_word(value, at, "when")) {
            const size_t next = skip_blanks(value, at + strlen("when"));
            if (is_symbol(value, next) || answer_is_word(value, next, "it")) return true;
        }
        if (skip_one(value, at, REASONS, N(REASONS)) != at) return false;
    }
    return false;
}

bool answer_is_conditional(struct slice before) {
    static const char *const LEADS[] = {"so",   "then",    "thus",      "hence", "but",
                                        "and",  "however", "therefore", "now",   "only",
                                        "even", "in that", "otherwise"};
    static const char *const IFS[] = {"if",      "provided",         "providing",  "unless",
                                      "in case", "on condition",     "as long as", "so long as",
                                      "suppose", "in the case that", "supposing"};
    static const char *const WHENS[] = {"when", "whenever", "assuming", "where"};
    static const char *const OTHERS[] = {
        "according to my",   "according to some", "according to him",   "according to her",
        "according to them", "according to a",    "according to others"};
    size_t at = skip_blanks(before, 0);
    if (skip_one(before, at, OTHERS, N(OTHERS)) != at) return true; // said by somebody else
    for (size_t next; (next = skip_one(before, at, LEADS, N(LEADS))) != at;)
        at = skip_blanks(before, next);
    const size_t hard = skip_one(before, at, IFS, N(IFS));
    const size_t soft = skip_one(before, at, WHENS, N(WHENS));
    if (hard == at && soft == at) return false;
    const bool is_hard = hard != at;
    at = skip_blanks(before, is_hard ? hard : soft);
    if (answer_is_word(before, at, "that")) at = skip_blanks(before, at + strlen("that"));
    const struct slice rest = answer_cut(before, at, before.len);
    if (!memchr(rest.ptr, ',', rest.len) && !memmem(rest.ptr, rest.len, "then", 4)) return false;
    return is_symbol(before, at) || answer_is_word(before, at, "it") ||
           (is_hard && !is_done(before, at));
}

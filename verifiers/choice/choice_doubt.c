// What leaves a choice open that was named: "B if T is constant", "B, but C is more likely".
#include "verifiers/choice/choice.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_REST = 400 };

static size_t skip_spaces(struct slice text, size_t at) {
    while (at < text.len && answer_is_space(text.ptr[at])) at++;
    return at;
}

// "B, but C is more likely": the letter that is put above the one in front of `at`.
static choice_set preferred(const struct choice_options *o, struct slice text, struct slice folded,
                            size_t at) {
    static const char *const ABOVE[] = {"more",    "most",   "better", "best",     "likelier",
                                        "correct", "right",  "also",   "probably", "the",
                                        "likely",  "closer", "truer",  "as"};
    static const char *const BUT[] = {"but", "though", "although", "however,", "yet"};
    bool strong;
    size_t end, len;
    for (size_t i = at; i < text.len && i - at < MAX_REST && !answer_ends_sentence(text, i); i++) {
        if (text.ptr[i] != ' ') continue;
        const size_t but = answer_skip_phrase(text, i + 1, BUT, N(BUT));
        const size_t letter = skip_spaces(text, but);
        if (but == i + 1 || letter >= text.len) continue;
        choice_set other = choice_letter(text, letter, &strong, &end);
        if (!other && (other = choice_option_at(o, text, folded, letter, &len)) != 0)
            end = letter + len;
        if (!other || !answer_starts(text, end, " is ")) continue;
        for (size_t k = 0; k < N(ABOVE); k++)
            if (answer_is_word(text, end + strlen(" is "), ABOVE[k])) return other;
    }
    return 0;
}

// "B if T is constant": said for one case only.
static bool is_conditioned(struct slice text, size_t at) {
    static const char *const IFS[] = {"if",       "only if",    "provided",
                                      "unless",   "as long as", "so long as",
                                      "assuming", "only when",  "on condition"};
    static const char *const OURS[] = {"i", "you", "we", "one", "anything", "not", "any"};
    while (at < text.len && answer_is_one_of(" ,*", text.ptr[at])) at++;
    for (size_t i = 0; i < N(IFS); i++) {
        if (!answer_is_word(text, at, IFS[i])) continue;
        const size_t next = skip_spaces(text, at + strlen(IFS[i]));
        for (size_t k = 0; k < N(OURS); k++)
            if (answer_is_word(text, next, OURS[k])) return false;
        return true;
    }
    return false;
}

// "B in some cases", "B?": not for sure.
static bool is_partial(struct slice text, size_t at) {
    static const char *const WORDS[] = {"in some cases", "in certain cases", "in most cases",
                                        "sometimes",     "in part",          "partly",
                                        "partially",     "for some",         "under some",
                                        "under certain", "half the time"};
    while (at < text.len && answer_is_one_of("\"')]*", text.ptr[at])) at++;
    if (at < text.len && text.ptr[at] == '?') return true;
    const size_t next = skip_spaces(text, at);
    return answer_skip_phrase(text, next, WORDS, N(WORDS)) != next;
}

choice_set choice_unsettled(const struct choice_options *o, struct slice text, struct slice folded,
                            size_t at) {
    const bool open = is_conditioned(text, at) || is_partial(text, at);
    return preferred(o, text, folded, at) | (open ? CHOICE_NONE : 0);
}

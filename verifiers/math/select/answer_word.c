// Where nothing else is stated: "Yes, because ...", "So the claim is false."
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static const char *const VERDICTS[] = {"yes", "no", "true", "false"};

// The verdict at `at` as a word, len 0 where there is none.
static struct slice verdict_at(struct slice text, size_t at) {
    for (size_t i = 0; i < N(VERDICTS); i++)
        if (answer_is_word(text, at, VERDICTS[i]))
            return answer_cut(text, at, at + strlen(VERDICTS[i]));
    return answer_cut(text, 0, 0);
}

// A text that begins with a verdict and goes on with a reason: "No, it is not."
static struct slice first_word(struct slice text) {
    size_t at = 0;
    while (at < text.len && answer_is_one_of(" \t\r\n*_#>`\"", text.ptr[at])) at++;
    const struct slice word = verdict_at(text, at);
    size_t end = at + word.len;
    while (end < text.len && answer_is_one_of("*_`\"", text.ptr[end])) end++;
    const bool apart = end == text.len || answer_is_one_of(",.;:!\n", text.ptr[end]) ||
                       answer_starts(text, end, " —") || answer_starts(text, end, " -") ||
                       answer_starts(text, end, " (") || answer_starts(text, end, " because") ||
                       answer_starts(text, end, " since");
    return apart ? word : answer_cut(text, 0, 0);
}

// A last sentence that ends with a verdict: "The statement is true."
static struct slice last_word(struct slice text) {
    static const char *const VERBS[] = {" is ",      " are ",       " must be ",   " is therefore ",
                                        " is thus ", " is always ", " is indeed ", " is clearly "};
    size_t end = text.len;
    while (end > 0 && answer_is_one_of(" \t\r\n.!*_`\"$)", text.ptr[end - 1])) end--;
    size_t at = end;
    while (at > 0 && ascii_is_alpha(text.ptr[at - 1])) at--;
    const struct slice word = verdict_at(text, at);
    if (word.len == 0 || word.len != end - at) return answer_cut(text, 0, 0);
    while (at > 0 && answer_is_one_of("*_`\"{", text.ptr[at - 1])) at--;
    const bool said = answer_back_phrase(text, 0, at, VERBS, N(VERBS)) != at;
    return said ? word : answer_cut(text, 0, 0);
}

bool answer_find_verdict(struct slice text, struct answer *out) {
    static const char *const REASONS[] = {"because", "since"};
    const struct slice word = first_word(text);
    size_t from, to;
    if (word.len == 0 || !answer_last_sentence(&text, &from, &to) || from > 0) return false;
    size_t at = (size_t)(word.ptr + word.len - text.ptr);
    while (at < text.len && answer_is_one_of("*_`\", ", text.ptr[at])) at++;
    if (answer_starts(text, at, "- ") || answer_starts(text, at, "— "))
        return answer_find_word(text, out);
    for (size_t i = 0; i < N(REASONS); i++)
        if (answer_is_word(text, at, REASONS[i])) return answer_find_word(text, out);
    return false;
}

// "The negation is true", "the converse is false": said of another statement.
static bool is_of_another(struct slice text, size_t at) {
    static const char *const WORDS[] = {"negation",       "converse", "inverse",
                                        "contrapositive", "opposite", "contrary"};
    size_t start = answer_sentence_start(text, at);
    const char *comma = memrchr(text.ptr + start, ',', at - start);
    if (comma) start = (size_t)(comma - text.ptr);
    for (size_t i = start; i < at; i++)
        for (size_t k = 0; k < N(WORDS); k++)
            if (answer_is_word(text, i, WORDS[k])) return true;
    return false;
}

// "No... wait, yes.": another verdict than `word`, which stands in front of `at`, in a clause of
// its own.
static bool is_reversed(struct slice text, size_t at, struct slice word) {
    static const char *const LEADS[] = {"hmm",
                                        "wait",
                                        "actually",
                                        "well",
                                        "oh",
                                        "but",
                                        "rather",
                                        "or",
                                        "in fact",
                                        "sorry",
                                        "correction",
                                        "hold on",
                                        "on second thought",
                                        "i mean",
                                        "so",
                                        "it is",
                                        "it's"};
    for (size_t i = at; at < text.len; at++) {
        // The marks of "wait, wait, ..." lead to the same word, which is read once.
        if (at < i || !answer_is_one_of(",.;:!-\n", text.ptr[at])) continue;
        i = answer_skip_marks(text, at + 1);
        for (size_t next; (next = answer_skip_phrase(text, i, LEADS, N(LEADS))) != i;)
            i = answer_skip_marks(text, next);
        const struct slice other = verdict_at(text, i);
        const size_t end = i + other.len;
        const bool apart = end == text.len || answer_is_one_of(".,!*\n", text.ptr[end]);
        if (other.len && apart &&
            (other.len != word.len || !ascii_same(other.ptr, word.ptr, word.len)))
            return true;
    }
    return false;
}

// "Yes, but only if n is odd.": a verdict for one case, in the sentence behind it.
static bool is_limited(struct slice text, size_t at) {
    static const char *const LIMITS[] = {" only if ",       " only when ",  " unless ",
                                         " only for ",      " as long as ", " provided ",
                                         " if and only if "};
    const size_t end = answer_sentence_end(text, at);
    for (; at < end; at++)
        for (size_t i = 0; text.ptr[at] == ' ' && i < N(LIMITS); i++)
            if (answer_starts(text, at, LIMITS[i])) return true;
    return false;
}

bool answer_find_word(struct slice text, struct answer *out) {
    struct slice word = first_word(text);
    if (word.len == 0) word = last_word(text);
    const size_t at = (size_t)(word.ptr - text.ptr);
    if (word.len == 0 || answer_is_denied(text, at, at + word.len, true) ||
        is_of_another(text, at) || is_limited(text, at + word.len) ||
        is_reversed(text, at + word.len, word))
        return false;
    *out = (struct answer){.n_parts = 1, .parts = {word}, .rule = "word"};
    return true;
}

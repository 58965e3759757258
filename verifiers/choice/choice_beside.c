// A letter and the text of an option that are put beside each other: "C, which is Rome", "Rome
// (C)".
#include "verifiers/choice/choice.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// "C, which is Rome", "C (Rome)": where the text of the letter's option begins behind `at`, or
// `at`.
static size_t skip_apposition(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "which is",      "that is",      "i.e.",     "namely", "viz.",       "known as",
        "also known as", "which equals", "equal to", "equals", "with value", "with the value",
        "called",        "aka",          "meaning",  "it is",  "being",      "also called"};
    static const char *const ARTICLES[] = {"the", "a", "an"};
    size_t i = answer_skip_spaces(text, at);
    const bool bracket =
        i < text.len && (text.ptr[i] == '(' || (i > at && answer_is_one_of("-=", text.ptr[i])));
    while (i < text.len && answer_is_one_of(" ,:;(-=", text.ptr[i])) i++;
    size_t end = i;
    for (size_t k = 0; k < N(WORDS) && end == i; k++)
        if (answer_starts(text, i, WORDS[k])) end = i + strlen(WORDS[k]);
    if (end == i && !bracket) return at;
    while (end < text.len && answer_is_one_of(" ,:\"", text.ptr[end])) end++;
    for (size_t k = 0; k < N(ARTICLES); k++)
        if (answer_is_word(text, end, ARTICLES[k]))
            return answer_skip_spaces(text, end + strlen(ARTICLES[k]));
    return end;
}

choice_set choice_apposed(const struct choice_options *o, struct slice text, struct slice folded,
                          size_t at) {
    size_t len = 0;
    const size_t from = skip_apposition(text, at);
    const choice_set found =
        from != at && from < text.len ? choice_option_at(o, text, folded, from, &len) : 0;
    const bool digit = len == 1 && ascii_is_digit(text.ptr[from]) && // "D = 7"
                       answer_starts(text, answer_skip_spaces(text, at), "=");
    return len > 1 || digit ? found : 0;
}

// "Rome (A)", "Rome, which is option A", "Rome: A": the letter that is put beside an option's text
// that ends at `at`, or 0.
choice_set choice_letter_apposed(struct slice text, size_t at) {
    static const char *const LINKS[] = {"which is",
                                        "that is",
                                        "i.e.",
                                        "namely",
                                        "which corresponds to",
                                        "corresponding to",
                                        "so",
                                        "hence",
                                        "thus",
                                        "therefore",
                                        "which matches",
                                        "matching",
                                        "making it",
                                        "given by",
                                        "it is",
                                        "see",
                                        "is",
                                        "as"};
    static const char *const NOUNS[] = {"the answer is", "the",    "option",
                                        "choice",        "letter", "answer"};
    bool strong, linked = false;
    size_t i = at, end;
    while (i < text.len && answer_is_one_of(" *_\"'", text.ptr[i])) i++;
    const bool open = i < text.len && answer_is_one_of("([", text.ptr[i]);
    const choice_set bracketed = open ? choice_letter(text, i, &strong, &end) : 0;
    if (bracketed) return ascii_is_upper(text.ptr[i + 1]) ? bracketed : 0;
    for (; i < text.len && answer_is_one_of("(,;:=-> ", text.ptr[i]); i++)
        linked |= answer_is_one_of(":=->", text.ptr[i]);
    i = answer_skip_symbols(text, i);
    size_t next = i;
    for (size_t k = 0; k < N(LINKS) && next == i; k++)
        if (answer_is_word(text, i, LINKS[k])) next = i + strlen(LINKS[k]);
    linked |= next != i || open;
    for (size_t k = 0; k < N(NOUNS); k++) {
        while (next < text.len && answer_is_one_of(" ,*_", text.ptr[next])) next++;
        if (answer_is_word(text, next, NOUNS[k])) next += strlen(NOUNS[k]), linked = true;
    }
    while (next < text.len && answer_is_one_of(" *_", text.ptr[next])) next++;
    if (!linked || next >= text.len || ascii_is_lower(text.ptr[next])) return 0;
    const choice_set letter = choice_letter(text, next, &strong, &end);
    while (letter && end < text.len && answer_is_one_of("*_)\"'", text.ptr[end])) end++;
    const bool ends = letter && (end == text.len || answer_is_one_of(".,;!\n<", text.ptr[end]));
    return ends && strong ? letter : 0;
}

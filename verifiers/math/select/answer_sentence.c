// The last sentence of a text, without what only closes it.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

bool answer_is_prime_mark(struct slice text, size_t at) {
    const char c = text.ptr[at];
    if ((c != '\'' && c != '"') || at == 0) return false;
    const size_t line = answer_line_start(text, at);
    const bool doubled = c == text.ptr[at - 1] && at > 1; // 90''
    if (!ascii_is_digit(text.ptr[doubled ? at - 2 : at - 1])) return false;
    for (size_t i = line; i < at - doubled; i++)
        if (text.ptr[i] == c && (i == line || !ascii_is_alnum(text.ptr[i - 1]))) return false;
    return true;
}

// Where the last sentence starts; a formula that ends the text may go over several lines.
static size_t last_sentence(struct slice text, size_t end) {
    const size_t line = answer_line_start(text, end);
    size_t at = end;
    const size_t floor = end > ANSWER_MAX_SENTENCE ? end - ANSWER_MAX_SENTENCE : 0;
    while (at > floor && at > line && !answer_ends_sentence(text, at - 1)) at--;
    static const char *const CLOSES[][2] = {
        {"$$", "$$"}, {"$", "$"}, {"\\]", "\\["}, {"\\)", "\\("}};
    for (size_t k = 0; k < sizeof CLOSES / sizeof *CLOSES; k++) {
        const size_t len = strlen(CLOSES[k][1]);
        if (end < 2 * len || memcmp(text.ptr + end - len, CLOSES[k][0], len)) continue;
        for (size_t open = end - len; open-- > floor;)
            if (memcmp(text.ptr + open, CLOSES[k][1], len) == 0) return open < at ? open : at;
    }
    return at;
}

// Without the sentences behind the answer that only close the text: "I hope it is correct."
static struct slice without_courtesy(struct slice text) {
    enum { MAX_SENTENCES = 4 };
    static const char *const STARTS[] = {"i hope",
                                         "hope this",
                                         "hope it",
                                         "hope that",
                                         "let me know",
                                         "please let",
                                         "feel free",
                                         "thank you",
                                         "thanks",
                                         "good luck",
                                         "if you have any",
                                         "if you need",
                                         "happy to",
                                         "i'm happy",
                                         "this completes",
                                         "i am happy",
                                         "have a nice",
                                         "have a great",
                                         "done",
                                         "that is all",
                                         "that's all",
                                         "that's it",
                                         "as required",
                                         "as desired",
                                         "as needed",
                                         "as claimed",
                                         "hence proved",
                                         "which completes",
                                         "would you like",
                                         "do you have",
                                         "let's move on",
                                         "great job",
                                         "well done",
                                         "is there anything",
                                         "anything else",
                                         "if you'd like",
                                         "if you would like",
                                         "if you want",
                                         "can i help",
                                         "do let me know",
                                         "cheers"};
    for (int n = 0; n < MAX_SENTENCES; n++) {
        text = answer_trim(text);
        size_t end = text.len;
        while (end > 0 && answer_is_one_of(".!?*\"' )", text.ptr[end - 1])) end--;
        const size_t start = last_sentence(text, end);
        size_t at = start;
        while (at < end && answer_is_one_of(" \t\r\n*_(\"'", text.ptr[at])) at++;
        bool closes = false;
        for (size_t i = 0; start > 0 && i < sizeof STARTS / sizeof *STARTS; i++)
            closes |= answer_is_word(text, at, STARTS[i]);
        for (size_t i = at; i < end; i++)
            closes = closes && !ascii_is_digit(text.ptr[i]) && text.ptr[i] != '\\';
        if (!closes) return text;
        text.len = start;
    }
    return text;
}

bool answer_last_sentence(struct slice *text, size_t *from, size_t *to) {
    *text = without_courtesy(answer_trim(*text));
    size_t end = text->len;
    while (end > 0 && answer_is_one_of(".*\"'_` \t\r\n", text->ptr[end - 1]) &&
           !answer_is_prime_mark(*text, end - 1))
        end--;
    // "3, 5, ..." goes on for ever.
    if (end > 0 && end < text->len && text->ptr[end - 1] == ',' && text->ptr[end] != '\n')
        return false;
    while (end > 3 && (answer_starts(*text, end - 3, "。") || answer_starts(*text, end - 3, "।") ||
                       answer_starts(*text, end - 3, "！")))
        end -= 3;
    if (end == 0 || text->ptr[end - 1] == '?') return false;
    while (end > 0 && text->ptr[end - 1] == '!' && (end < 2 || !ascii_is_digit(text->ptr[end - 2])))
        end--;
    *from = last_sentence(*text, end);
    *to = end;
    return true;
}

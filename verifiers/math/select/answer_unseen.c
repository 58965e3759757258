// What a text holds and nobody sees: struck out, within a comment, in a blank group.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// Behind a "~~" that opened on the line.
static bool is_struck(struct slice text, size_t from) {
    bool open = false;
    for (size_t i = answer_line_start(text, from); i + 1 < from; i++)
        if (text.ptr[i] == '~' && text.ptr[i + 1] == '~') {
            open = !open;
            i++;
        }
    return open;
}

// The '{' at `open` is that of a group which nobody sees: "\phantom{The answer is 12}".
static bool is_blank_group(struct slice text, size_t open) {
    static const char *const COMMANDS[] = {"\\phantom", "\\hphantom", "\\vphantom",
                                           "\\color{white}", "\\textcolor{white}"};
    while (open > 0 && text.ptr[open - 1] == ' ') open--;
    for (size_t i = 0; i < N(COMMANDS); i++) {
        const size_t len = strlen(COMMANDS[i]);
        if (open >= len && answer_starts(text, open - len, COMMANDS[i])) return true;
    }
    return false;
}

// In such a group, or within <!-- and -->.
static bool is_hidden(struct slice text, size_t from) {
    static const char OPEN[] = "<!--", CLOSE[] = "-->";
    const size_t floor = from > ANSWER_MAX_CONTEXT ? from - ANSWER_MAX_CONTEXT : 0;
    bool is_behind_comment = false;
    int depth = 0;
    for (size_t i = from; i-- > floor;) {
        const char c = text.ptr[i];
        is_behind_comment |= c == '-' && answer_starts(text, i, CLOSE);
        if (c == '<' && !is_behind_comment && answer_starts(text, i, OPEN)) return true;
        if (c == '}') depth++;
        if (c != '{') continue;
        if (depth > 0)
            depth--;
        else if (is_blank_group(text, i))
            return true;
    }
    return false;
}

// The '}' at `at` closes a box.
static bool closes_box(struct slice text, size_t at) {
    enum { MAX_BACK = 64 };
    int depth = 0;
    for (size_t i = at + 1; i-- > 0 && at - i < MAX_BACK;) {
        depth += (text.ptr[i] == '}') - (text.ptr[i] == '{');
        if (depth > 0) continue;
        while (i > 0 && ascii_is_alpha(text.ptr[i - 1])) i--;
        return i > 0 && answer_is_box(text, i - 1);
    }
    return false;
}

bool answer_is_comment(struct slice text, size_t at) {
    size_t before = at, n_escapes = 0;
    while (n_escapes < before && text.ptr[before - 1 - n_escapes] == '\\') n_escapes++;
    if (n_escapes % 2) return false; // \%
    while (before > 0 && answer_is_one_of(" \t", text.ptr[before - 1])) before--;
    size_t behind = at + 1;
    while (behind < text.len && answer_is_one_of(" \t", text.ptr[behind])) behind++;
    if (before == 0 || text.ptr[before - 1] == '\n') return true;
    if (behind == text.len) return false;
    const char c = text.ptr[before - 1];
    const bool apart = before < at;
    if ((unsigned char)c >= 0x80) return false;
    if (c == '}' && closes_box(text, before - 1)) return true;
    if (ascii_is_alnum(c) || answer_is_one_of("})]$>*", c)) // "25 % of", "n % 2", "what % of"
        return apart && (answer_is_box(text, behind) || ascii_is_upper(text.ptr[behind]) ||
                         answer_is_one_of("<#%*", text.ptr[behind]));
    return answer_is_one_of(".,;:!?{=\\", c);
}

// Behind a "%" of TeX on its line. A line with more of them than people write is none to read.
static bool is_commented(struct slice text, size_t from) {
    enum { MAX_SIGNS = 64 };
    int n = 0;
    size_t left = from;
    const size_t line = answer_line_start(text, from);
    for (const char *at; left > line && (at = memrchr(text.ptr + line, '%', left - line));) {
        left = (size_t)(at - text.ptr);
        if (++n > MAX_SIGNS || answer_is_comment(text, left)) return true;
    }
    return false;
}

bool answer_is_unseen(struct slice text, size_t from) {
    return is_struck(text, from) || is_hidden(text, from) || is_commented(text, from);
}

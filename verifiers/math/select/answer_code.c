// Lines of a program: what it would return, print or set when it ran is not what the text says.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// Case counts: "let x" is code, "Let x" prose.
static bool has(struct slice s, size_t at, const char *code) {
    const size_t len = strlen(code);
    return s.len - at >= len && memcmp(s.ptr + at, code, len) == 0;
}

static bool is_one(struct slice s, size_t at, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (has(s, at, list[i])) return true;
    return false;
}

// "lambda x, y: 17", but not "lambda = 17", an eigenvalue.
static bool is_lambda(struct slice s) {
    static const char NAME[] = "lambda";
    size_t at = sizeof NAME - 1;
    if (!has(s, 0, NAME)) return false;
    while (at < s.len && (ascii_is_alnum(s.ptr[at]) || answer_is_one_of(" ,_*", s.ptr[at]))) at++;
    return at < s.len && s.ptr[at] == ':';
}

// With what a line of a program begins, and none of prose; with a semicolon at its end also words
// that both have.
static bool begins_code(struct slice s) {
    static const char *const STARTS[] = {
        "print(",  "printf(",  "#include", "console.log(", "sys.exit(", "elif ",
        "fn main", "int main", "System.",  "std::",        "eval(",     "exec(",
        "(lambda", "return(",  "return (", "println",      "puts ",     "exit(",
        "raise ",  ">>> ",     "assert(",  "func main",    "echo $"};
    static const char *const WORDS[] = {"SELECT ", "select ", "var ",    "const ",  "let ",
                                        "int ",    "float ",  "double ", "return ", "auto ",
                                        "echo ",   "public ", "long ",   "static ", "print "};
    while (s.len && answer_is_space(s.ptr[0])) s = answer_cut(s, 1, s.len);
    if (s.len == 0) return false;
    const bool defines = has(s, 0, "def ") && memchr(s.ptr, '(', s.len);
    return is_one(s, 0, STARTS, N(STARTS)) || is_lambda(s) || defines ||
           (s.ptr[s.len - 1] == ';' && is_one(s, 0, WORDS, N(WORDS)));
}

// Marks that prose and formulas do not put so: "f() {", "; }", ": return 17", "f(x) # 17".
static bool has_marks(struct slice s) {
    static const char *const MARKS[] = {"() {",    "(){",      "; }",      ";}",      "{ return",
                                        "{return", ": return", "; return", "; print", "print(",
                                        "printf(", " lambda:", "=> {",     "return;"};
    bool call = false; // or an assignment
    for (size_t at = 0; at < s.len; at++) {
        if (is_one(s, at, MARKS, N(MARKS))) return true;
        if (call && s.ptr[at] == ' ' && is_lambda(answer_cut(s, at + 1, s.len))) return true;
        if (call && (has(s, at, " # ") || has(s, at, " // "))) return true;
        call |= s.ptr[at] == '=' || s.ptr[at] == ')';
    }
    return false;
}

// Whether the text ends in a block of several lines that is marked as a program's: ```python
static bool ends_in_program(struct slice text) {
    static const char *const NAMES[] = {"python", "py",   "cpp", "c++",  "java",  "javascript",
                                        "js",     "bash", "sh",  "rust", "ruby",  "typescript",
                                        "go",     "sql",  "c",   "r",    "julia", "matlab"};
    const size_t fence = answer_find_last(text, "```");
    if (fence == SIZE_MAX) return false;
    const size_t from = fence + 3, end = answer_line_end(text, from);
    if (!answer_is_in(answer_trim(answer_cut(text, from, end)), NAMES, N(NAMES))) return false;
    const struct slice block = answer_trim(answer_cut(text, end, text.len));
    return memchr(block.ptr, '\n', block.len) != NULL;
}

bool answer_is_code(struct slice text, size_t end) {
    size_t from = answer_line_start(text, end), to = end;
    if (to - from > ANSWER_MAX_SENTENCE) from = to - ANSWER_MAX_SENTENCE;
    while (to < text.len && answer_is_one_of(";)}", text.ptr[to])) to++;
    const struct slice line = answer_cut(text, from, to);
    return begins_code(line) || has_marks(line) || ends_in_program(text);
}

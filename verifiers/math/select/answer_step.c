// A last sentence that is a step of the way, and no result: "Then add 20 to both sides.", "Try n =
// 20.", "We are given n = 20."
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static struct slice piece(struct slice text, const struct answer_piece *p) {
    struct slice word = answer_piece_text(text, p);
    while (word.len && answer_is_one_of(",;*_", word.ptr[word.len - 1])) word.len--;
    return word;
}

static bool is_one(struct slice text, const struct answer_piece *p, const char *const *list,
                   size_t n) {
    return answer_is_in(piece(text, p), list, n);
}

// "x = 20" and nothing more.
static bool is_assignment(struct slice run) {
    while (run.len && answer_is_one_of("$\\( ", run.ptr[0])) run = answer_cut(run, 1, run.len);
    const char *sign = memchr(run.ptr, '=', run.len);
    if (!sign || !ascii_is_alpha(run.ptr[0])) return false;
    const size_t at = (size_t)(sign - run.ptr);
    return answer_trim(answer_cut(run, 0, at)).len == 1 && !memchr(sign + 1, '=', run.len - at - 1);
}

// "Then add 20 to both sides", "Divide this by 20", "Try n = 20", with no result in its words.
static bool is_command(struct slice text, const struct answer_piece *p, int first, int last) {
    static const char *const LEADS[] = {"then",  "next", "now",   "first", "finally", "so",
                                        "and",   "also", "again", "we",    "still",   "please",
                                        "let's", "let",  "us",    "must",  "can"};
    static const char *const VERBS[] = {
        "divide",   "subtract",  "multiply", "add",      "consider", "take",
        "try",      "check",     "test",     "plug",     "compute",  "substitute",
        "simplify", "calculate", "set",      "use",      "assume",   "factor",
        "expand",   "put",       "insert",   "evaluate", "verify",   "replace"};
    static const char *const RESULTS[] = {"get",   "obtain", "gives", "is",     "equals",  "yields",
                                          "find",  "have",   "makes", "giving", "becomes", "are",
                                          "which", "leaves", "gets",  "result", "reach"};
    int at = 0;
    while (at < first && is_one(text, &p[at], LEADS, N(LEADS))) at++;
    if (at >= first || !is_one(text, &p[at], VERBS, N(VERBS))) return false;
    for (int i = at; i < first; i++)
        if (text.ptr[p[i].to - 1] == ':' || (i > at && is_one(text, &p[i], RESULTS, N(RESULTS))))
            return false;
    const struct slice run = answer_cut(text, p[first].from, p[last].to);
    return !memchr(run.ptr, '=', run.len) || is_assignment(run);
}

// "We are given n = 20", "the problem says there are 20", "as stated, there are 20"
static bool is_given(struct slice text, const struct answer_piece *p, int first) {
    enum { MAX_BETWEEN = 5 };
    static const char *const WHO[] = {"problem", "question", "statement", "exercise",
                                      "text",    "prompt",   "puzzle"};
    static const char *const SAYS[] = {"says",      "states", "gives",     "mentions",
                                       "tells",     "said",   "stated",    "gave",
                                       "mentioned", "told",   "specifies", "specified"};
    static const char *const AS[] = {"stated", "given", "mentioned", "said"};
    static const char *const US[] = {"are", "were"};
    if (first > 1 && slice_is(piece(text, &p[0]), "As") && is_one(text, &p[1], AS, N(AS)))
        return true;
    for (int i = 0; i + 1 < first; i++) {
        if (first - i > MAX_BETWEEN + 2) continue;
        if (is_one(text, &p[i], WHO, N(WHO)) && is_one(text, &p[i + 1], SAYS, N(SAYS))) return true;
        if (i > 0 && slice_is(piece(text, &p[i + 1]), "given") && is_one(text, &p[i], US, N(US)) &&
            answer_is_in(piece(text, &p[i - 1]), (const char *const[]){"we"}, 1))
            return true;
    }
    return false;
}

// "At best we get 20", "x can be at most the value 20": a bound, with no mark or number between.
static bool is_bounded(struct slice text, const struct answer_piece *p, int first) {
    static const char *const BOUNDS[] = {"best", "most", "least"};
    for (int i = first - 1; i > 0; i--) {
        if (p[i].kind == PIECE_MATH || answer_is_one_of(",;:", text.ptr[p[i].to - 1])) return false;
        if (is_one(text, &p[i], BOUNDS, N(BOUNDS)) &&
            answer_is_in(piece(text, &p[i - 1]), (const char *const[]){"at"}, 1))
            return true;
    }
    return false;
}

// "half the 20", "one of the 20"
static bool is_of_the(struct slice text, const struct answer_piece *p, int first) {
    static const char *const PARTS[] = {"half", "double", "twice", "triple"};
    static const char *const SOME[] = {"one",    "some", "many",  "most", "few",  "several", "two",
                                       "either", "each", "three", "any",  "five", "four"};
    if (first < 2 || !slice_is(piece(text, &p[first - 1]), "the")) return false;
    if (is_one(text, &p[first - 2], PARTS, N(PARTS))) return true;
    return first > 2 && slice_is(piece(text, &p[first - 2]), "of") &&
           is_one(text, &p[first - 3], SOME, N(SOME));
}

bool answer_is_step(struct slice text, const struct answer_piece *p, int first, int last) {
    return is_command(text, p, first, last) || is_given(text, p, first) ||
           is_bounded(text, p, first) || is_of_the(text, p, first);
}

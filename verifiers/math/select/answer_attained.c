// "The minimum is 12, attained at x = 3", "the remainder is 8 when divided by 13": behind the value
// stands where, or how, it comes about.
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static struct slice word_at(struct slice text, const struct answer_piece *p, int n, int at) {
    if (at >= n) return (struct slice){"", 0};
    struct slice word = answer_piece_text(text, &p[at]);
    while (word.len && answer_is_one_of("(", word.ptr[0])) word = answer_cut(word, 1, word.len);
    while (word.len && answer_is_one_of(",;:.)", word.ptr[word.len - 1])) word.len--;
    return word;
}

#define IS_IN(word, list) answer_is_in(word, list, N(list))

static bool is_participle(struct slice word) {
    static const char *const WORDS[] = {"attained", "achieved",   "reached",   "obtained",
                                        "realized", "realised",   "occurring", "found",
                                        "computed", "calculated", "located",   "happening"};
    return IS_IN(word, WORDS);
}

// "attained at x = 3", "obtained by adding 5 and 7", "exactly when"
static bool is_place_word(struct slice word) {
    static const char *const WORDS[] = {"at", "when", "for",     "by",        "if",   "iff",
                                        "in", "only", "exactly", "precisely", "from", "as"};
    return IS_IN(word, WORDS);
}

// "x = 3", "$x=3$", "$a = b$"
static bool is_assignment(struct slice text, const struct answer_piece *p, int n, int at) {
    const struct slice word = word_at(text, p, n, at);
    if (word.len == 0 || p[at].kind == PIECE_WORD) return false;
    return memchr(word.ptr, '=', word.len) || slice_is(word_at(text, p, n, at + 1), "=");
}

// What is sought is the value, not where it is reached: "the minimum is", "the sum is".
static bool is_of_value(struct slice text, const struct answer_piece *p, int at) {
    static const char *const WORDS[] = {
        "minimum", "maximum", "min",      "max",        "minimal",    "largest",  "greatest",
        "least",   "maximal", "supremum", "infimum",    "value",      "sum",      "smallest",
        "total",   "product", "quotient", "difference", "expression", "remainder"};
    for (int i = 0; i < at; i++)
        if (IS_IN(word_at(text, p, at, i), WORDS)) return true;
    return false;
}

// "and it occurs at x = 3", "and this is attained at x = 3"
static bool goes_on_with_it(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const IT[] = {"it", "this", "that", "equality"};
    static const char *const VERBS[] = {"occurs", "happens", "holds"};
    if (!slice_is(word_at(text, p, n, at), "and") || !IS_IN(word_at(text, p, n, at + 1), IT))
        return false;
    const struct slice verb = word_at(text, p, n, at + 2);
    return IS_IN(verb, VERBS) ||
           (slice_is(verb, "is") && is_participle(word_at(text, p, n, at + 3)));
}

// Whether a value stands in front of p[at], or with its unit: "on [1, 7] is attained at x = 5" has
// its value behind.
static bool follows_value(struct slice text, const struct answer_piece *p, int at) {
    static const char *const VERBS[] = {"is",       "are",      "was",     "were",     "be",
                                        "occurs",   "occur",    "happens", "holds",    "lies",
                                        "attained", "achieved", "reached", "found",    "only",
                                        "maximal",  "minimal",  "exactly", "precisely"};
    if (at == 0) return false;
    if (p[at - 1].kind == PIECE_MATH || p[at].kind == PIECE_JOINT) return true;
    return at > 1 && p[at - 2].kind == PIECE_MATH && !IS_IN(word_at(text, p, at, at - 1), VERBS);
}

// "The minimum of f, attained at x = 5, is 12": the sentence goes on to the value behind p[at].
static bool has_value_behind(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const VERBS[] = {"is", "are", "was", "were", "equals", "gives", "becomes"};
    for (int i = at + 2; i + 1 < n; i++)
        if (IS_IN(word_at(text, p, n, i), VERBS)) return true;
    return false;
}

// "when divided by 13", "when N is divided by 13", "upon division by 13"
static bool is_division(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const LEADS[] = {"when", "upon", "on", "after", "if"};
    static const char *const WORDS[] = {"divided", "division", "dividing", "divides"};
    bool divides = false;
    if (!IS_IN(word_at(text, p, n, at), LEADS)) return false;
    for (int i = at + 1; i < n; i++) {
        const struct slice word = word_at(text, p, n, i);
        divides |= IS_IN(word, WORDS);
        if (divides && slice_is(word, "by"))
            return i + 1 < n && p[i + 1].kind != PIECE_WORD && i + 2 == n;
    }
    return false;
}

bool answer_begins_attainment(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const WHERE[] = {"at", "when", "for", "where", "if", "iff"};
    const bool pause = at > 0 && answer_is_one_of(",;", text.ptr[p[at - 1].to - 1]);
    const bool bracket = text.ptr[p[at].from] == '(';
    struct slice word = word_at(text, p, n, at), next = word_at(text, p, n, at + 1);
    if (is_division(text, p, n, at)) return true;
    if (!pause && !bracket && !follows_value(text, p, at)) return false;
    if (slice_is(word, "with")) return slice_is(next, "equality");
    if (slice_is(word, "equality")) return pause || bracket;
    if (goes_on_with_it(text, p, n, at)) return true;
    if (pause && slice_is(word, "for") && (slice_is(next, "example") || slice_is(next, "instance")))
        return at + 2 < n; // "for example" alone is a doubt
    if (pause && slice_is(word, "when") && is_of_value(text, p, at)) return true;
    if (has_value_behind(text, p, n, slice_is(word, "which") ? at + 1 : at)) return false;
    if (IS_IN(word, WHERE)) return is_of_value(text, p, at) && is_assignment(text, p, n, at + 1);
    if (slice_is(word, "which") && (slice_is(next, "is") || slice_is(next, "was"))) {
        word = word_at(text, p, n, at + 2);
        next = word_at(text, p, n, at + 3);
    } else if (slice_is(word, "which")) {
        return slice_is(next, "occurs") || slice_is(next, "happens");
    }
    return is_participle(word) && is_place_word(next);
}

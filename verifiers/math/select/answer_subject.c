// What the sentence in front of its last expression speaks of, where that is another value than the
// one that is sought: a power or a part of it, its complement, a first guess, a neighbour in time.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static bool has_digit(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (ascii_is_digit(s.ptr[i])) return true;
    return false;
}

static bool ends_clause(struct slice word) {
    return answer_is_one_of(",;:", word.ptr[word.len - 1]);
}

// Whether p[at..first) is a name without numbers and a verb, and nothing else: "the length is".
static bool is_name_and_verb(struct slice text, const struct answer_piece *p, int at, int first) {
    static const char *const VERBS[] = {"is",    "was",   "=",          "equals", "has",
                                        "are",   "were",  "measures",   "gives",  "be",
                                        "makes", "comes", "\\(=\\)",    "$=$",    "contains",
                                        "holds", "have",  "represents", "costs",  "amounts"};
    static const char *const NOUNS[] = {"probability", "measure", "size", "value", "area"};
    if (first - at < 2 || answer_starts(text, p[at].from, "that")) return false;
    for (int i = at; i < first - 1; i++)
        if (has_digit(answer_piece_text(text, &p[i])) ||
            ends_clause(answer_piece_text(text, &p[i])))
            return false;
    int verb = first - 1;
    if (answer_is_in(answer_piece_text(text, &p[verb]), NOUNS, N(NOUNS)))
        verb--; // "has probability"
    if (answer_is_in(answer_piece_text(text, &p[verb]), (const char *const[]){"to"}, 1)) verb--;
    return verb > at && answer_is_in(answer_piece_text(text, &p[verb]), VERBS, N(VERBS));
}

static bool is_article(struct slice word) {
    static const char *const ARTICLES[] = {"the",  "this", "that", "his", "her", "their",
                                           "its",  "our",  "my",   "it",  "x",   "n",
                                           "each", "your", "all",  "$x$", "$n$", "these"};
    return answer_is_in(word, ARTICLES, N(ARTICLES));
}

// "The square of the length is 7", "Twice the width is 7", "Half of the class is 7": the words from
// p[at] on.
static bool is_derived(struct slice text, const struct answer_piece *p, int at, int first) {
    static const char *const OF[] = {
        "square", "cube",     "double",   "half",       "triple",     "reciprocal", "third",
        "thirds", "negative", "opposite", "complement", "supplement", "quarter",    "quarters",
        "fourth", "fifth",    "root",     "tenth",      "logarithm",  "additive",   "halves",
        "fifths", "fourths",  "tenths",   "sixth",      "eighth"};
    static const char *const AT_ONCE[] = {"twice", "thrice", "double", "triple", "half"};
    const struct slice word = answer_piece_text(text, &p[at]);
    if (at + 3 > first || ends_clause(word)) return false;
    const struct slice next = answer_piece_text(text, &p[at + 1]);
    if (answer_is_in(word, AT_ONCE, N(AT_ONCE)) && is_article(next))
        return is_name_and_verb(text, p, at + 1, first);
    return slice_is(next, "of") && answer_is_in(word, OF, N(OF)) &&
           is_article(answer_piece_text(text, &p[at + 2])) &&
           is_name_and_verb(text, p, at + 2, first);
}

// "The length squared is 7", but "5 squared is 25".
static bool is_power(struct slice text, const struct answer_piece *p, int first) {
    static const char *const POWERS[] = {"squared", "cubed",  "doubled",
                                         "tripled", "halved", "inverted"};
    static const char *const VERBS[] = {"is", "was", "=", "equals", "gives", "be", "are"};
    return first > 2 && answer_is_in(answer_piece_text(text, &p[first - 1]), VERBS, N(VERBS)) &&
           answer_is_in(answer_piece_text(text, &p[first - 2]), POWERS, N(POWERS)) &&
           !has_digit(answer_piece_text(text, &p[first - 3]));
}

// "The complement has probability 3/8", "the complementary event": but "by the complement rule".
static bool is_complement(struct slice text, const struct answer_piece *p, int at, int first) {
    static const char *const WHICH[] = {"complement", "complementary"};
    static const char *const RULES[] = {"rule",   "method",   "counting", "principle", "approach",
                                        "angles", "formula,", "law",      "of",        "angle"};
    const struct slice word = answer_piece_text(text, &p[at]);
    if (!answer_is_in(word, WHICH, N(WHICH)) || at + 1 >= first) return false;
    if (answer_is_in(answer_piece_text(text, &p[at + 1]), RULES, N(RULES))) return false;
    for (int i = at; i < first; i++)
        if (ends_clause(answer_piece_text(text, &p[i])) ||
            has_digit(answer_piece_text(text, &p[i])))
            return false;
    return true;
}

// "My first guess was 7", "the original estimate gave 7".
static bool is_former(struct slice text, const struct answer_piece *p, int at, int first) {
    static const char *const WHICH[] = {"first", "initial", "original", "previous", "earlier",
                                        "old",   "naive",   "early",    "former",   "wrong",
                                        "rough", "quick",   "mistaken", "faulty",   "tentative"};
    static const char *const WHAT[] = {"guess",   "attempt",   "answer",      "estimate",
                                       "thought", "idea",      "try",         "instinct",
                                       "count",   "intuition", "computation", "draft",
                                       "result",  "solution",  "calculation"};
    static const char *const VERBS[] = {"was", "gave", "were", "said", "yielded", "is", "had"};
    return at + 3 == first && answer_is_in(answer_piece_text(text, &p[at]), WHICH, N(WHICH)) &&
           answer_is_in(answer_piece_text(text, &p[at + 1]), WHAT, N(WHAT)) &&
           answer_is_in(answer_piece_text(text, &p[at + 2]), VERBS, N(VERBS));
}

// "perpendicular to y = 2x", "the tangent to the circle": something that lies beside it.
static bool is_beside(struct slice text, const struct answer_piece *p, int first) {
    static const char *const HOW[] = {"perpendicular", "parallel",   "orthogonal", "tangent",
                                      "proportional",  "adjacent",   "normal",     "next",
                                      "congruent",     "asymptotic", "prior",      "opposed"};
    return first > 1 && slice_is(answer_piece_text(text, &p[first - 1]), "to") &&
           answer_is_in(answer_piece_text(text, &p[first - 2]), HOW, N(HOW));
}

// "2 to the 7", "raised to the power 7"
static bool is_exponent(struct slice text, const struct answer_piece *p, int first) {
    if (first < 3) return false;
    const struct slice word = answer_piece_text(text, &p[first - 1]);
    return slice_is(word, "power") ||
           (slice_is(word, "the") && slice_is(answer_piece_text(text, &p[first - 2]), "to") &&
            p[first - 3].kind != PIECE_WORD);
}

// "twice as many sheep as 7", "as many as 7"
static bool is_compared(struct slice text, const struct answer_piece *p, int first) {
    enum { MAX_BACK = 6 };
    static const char *const HOW[] = {"many", "much", "long", "old", "tall",  "large",
                                      "big",  "fast", "wide", "far", "heavy", "high"};
    if (first < 3 || !slice_is(answer_piece_text(text, &p[first - 1]), "as")) return false;
    for (int i = first - 2; i > 0 && first - i < MAX_BACK; i--)
        if (answer_is_in(answer_piece_text(text, &p[i]), HOW, N(HOW)) &&
            answer_is_in(answer_piece_text(text, &p[i - 1]), (const char *const[]){"as"}, 1))
            return true;
    return false;
}

// A time of day: 2:30, or a number in front of "PM".
static bool is_time(struct slice text, const struct answer_piece *p) {
    static const char *const HALVES[] = {"am", "pm", "a.m", "p.m", "o'clock", "o’clock"};
    const struct slice word = answer_piece_text(text, p);
    const char *colon = memchr(word.ptr, ':', word.len);
    if (colon && colon > word.ptr && colon + 1 < word.ptr + word.len && ascii_is_digit(colon[-1]) &&
        ascii_is_digit(colon[1]))
        return true;
    const size_t next = answer_skip_spaces(text, p->to);
    for (size_t i = 0; i < N(HALVES); i++)
        if (answer_is_word(text, next, HALVES[i])) return true;
    return false;
}

// "shortly after 2:30", "20 minutes before 3 PM", "just past 7"
static bool is_off(struct slice text, const struct answer_piece *p, int first) {
    static const char *const SIDES[] = {"after", "before", "past", "till", "til"};
    static const char *const HOW[] = {
        "shortly", "just",   "right",   "soon",   "immediately", "well",  "slightly",
        "long",    "some",   "minutes", "minute", "seconds",     "hours", "hour",
        "bit",     "little", "quarter", "half",   "ten",         "five",  "twenty"};
    static const char *const NEAR[] = {"around", "circa", "towards", "toward", "nearing"};
    if (first == 0) return false;
    const struct slice word = answer_piece_text(text, &p[first - 1]);
    const bool time = is_time(text, &p[first]);
    if (time && answer_is_in(word, NEAR, N(NEAR))) return true;
    if (!answer_is_in(word, SIDES, N(SIDES))) return false;
    return time || (first > 1 && answer_is_in(answer_piece_text(text, &p[first - 2]), HOW, N(HOW)));
}

bool answer_is_of_other_subject(struct slice text, const struct answer_piece *p, int first) {
    if (is_power(text, p, first) || is_beside(text, p, first) || is_compared(text, p, first) ||
        is_off(text, p, first) || is_exponent(text, p, first))
        return true;
    for (int i = 0; i < first; i++)
        if (is_derived(text, p, i, first) || is_complement(text, p, i, first) ||
            is_former(text, p, i, first))
            return true;
    return false;
}

bool answer_is_of_parts(struct slice rest) {
    static const char *const PARTS[] = {"half",  "third", "thirds", "quarter", "quarters",
                                        "most",  "some",  "many",   "few",     "part",
                                        "fifth", "all",   "fourth", "several", "fifths"};
    static const char *const WHOLES[] = {"of which", "of whom", "of them", "of these"};
    for (size_t at = 0; at < rest.len; at++) {
        if (at > 0 && ascii_is_alpha(rest.ptr[at - 1])) continue;
        for (size_t i = 0; i < N(PARTS); i++) {
            const size_t next = at + strlen(PARTS[i]) + 1;
            if (!answer_is_word(rest, at, PARTS[i])) continue;
            for (size_t k = 0; k < N(WHOLES); k++)
                if (answer_is_word(rest, next, WHOLES[k])) return true;
        }
    }
    return false;
}

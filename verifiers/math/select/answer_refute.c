// What is said of a statement behind it: that it is wrong, that another may be right as well.
#include "verifiers/math/select/answer_refute.h"

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

enum { MAX_WORDS = 9 }; // of a refutation

#define N(list) (sizeof(list) / sizeof *(list))

// The word at `at`: letters and apostrophes.
static struct slice word_at(struct slice text, size_t at) {
    size_t end = at;
    while (end < text.len) {
        if (ascii_is_alpha(text.ptr[end]) || text.ptr[end] == '\'')
            end++;
        else if (answer_starts(text, end, "’"))
            end += strlen("’");
        else
            break;
    }
    return answer_cut(text, at, end);
}

// Where the first of the phrases that stands at `at` ends, or `at`.
size_t answer_skip_phrase(struct slice text, size_t at, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (answer_is_word(text, at, list[i])) return at + strlen(list[i]);
    return at;
}

size_t answer_back_phrase(struct slice text, size_t start, size_t at, const char *const *list,
                          size_t n) {
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(list[i]);
        if (at >= start + len && answer_starts(text, at - len, list[i])) return at - len;
    }
    return at;
}

static bool is_mark(char c) {
    return c == ' ' || c == '\n' || answer_is_one_of(",.-*:;!\t\r_`'\"()[]{}>#~|", c);
}

// White space, marks of a sentence, markup, quotes, dashes and emojis.
size_t answer_skip_marks(struct slice text, size_t at) {
    static const char *const WIDE[] = {"—", "–", "…", "“", "”", "’", "‘", "，", "。", "：", "；"};
    while (at < text.len) {
        const size_t start = at;
        const unsigned char c = (unsigned char)text.ptr[at];
        if (c < 0x80 && is_mark(text.ptr[at])) {
            if (c == '-' && at + 1 < text.len && ascii_is_digit(text.ptr[at + 1])) break;
            if (answer_is_one_of("([", text.ptr[at]) && at + 2 < text.len &&
                ascii_is_alnum(text.ptr[at + 1]) && answer_is_one_of(",)", text.ptr[at + 2]))
                break; // "(C)" and "(1, 2)" are values
            at++;
        } else if (c >= 0xF0) {
            at += text.len - at < 4 ? text.len - at : 4;
        } else if (c == '\\' && at + 1 < text.len && answer_is_one_of(")]", text.ptr[at + 1])) {
            at += 2;
        }
        for (size_t i = 0; c >= 0xE2 && i < N(WIDE); i++)
            if (answer_starts(text, at, WIDE[i])) {
                at += strlen(WIDE[i]);
                break;
            }
        if (at == start) break;
    }
    return at;
}

// "wrong to say 13", "wrong only if x < 0": what is bad is something else.
static bool is_of_something_else(struct slice text, size_t at) {
    static const char *const WORDS[] = {" to", " only if", " only when", " unless"};
    return answer_skip_phrase(text, at, WORDS, N(WORDS)) != at;
}

// Of whom something is said: "it", "my previous answer", "the value above"; the end, or `at`.
static size_t skip_subject(struct slice text, size_t at) {
    static const char *const ALONE[] = {"the above", "that",  "this", "it",  "which", "they",
                                        "these",     "those", "he",   "she", "i"};
    static const char *const OWNERS[] = {"that", "this", "my", "the", "our"};
    static const char *const WHICH[] = {" above",     " previous", " first",  " earlier", " last",
                                        " initial",   " original", " old",    " former",  " boxed",
                                        " preceding", " final",    " stated", " given"};
    static const char *const NOUNS[] = {" answer",     " result",      " value",       " number",
                                        " solution",   " calculation", " computation", " reasoning",
                                        " conclusion", " count",       " guess",       " claim",
                                        " statement",  " response"};
    static const char *const BEHIND[] = {" above", " i gave", " in the box"};
    size_t end = answer_skip_phrase(text, at, OWNERS, N(OWNERS));
    const size_t owner = end;
    for (size_t next;
         owner != at && (next = answer_skip_phrase(text, end, WHICH, N(WHICH))) != end;)
        end = next;
    const size_t noun = owner == at ? end : answer_skip_phrase(text, end, NOUNS, N(NOUNS));
    if (noun != end) return answer_skip_phrase(text, noun, BEHIND, N(BEHIND));
    return answer_skip_phrase(text, at, ALONE, N(ALONE));
}

static const char *const BAD[] = {"wrong",
                                  "incorrect",
                                  "false",
                                  "mistaken",
                                  "impossible",
                                  "invalid",
                                  "absurd",
                                  "nonsense",
                                  "untrue",
                                  "rejected",
                                  "excluded",
                                  "extraneous",
                                  "fails",
                                  "fail",
                                  "inconsistent",
                                  "contradicts",
                                  "contradictory",
                                  "erroneous",
                                  "flawed",
                                  "a mistake",
                                  "an error",
                                  "a trap",
                                  "too large",
                                  "too small",
                                  "too big",
                                  "too high",
                                  "too low",
                                  "too many",
                                  "too few",
                                  "ruled out",
                                  "unreasonable",
                                  "unlikely",
                                  "off",
                                  ("a place"
                                   "holder"),
                                  "an example",
                                  "only an example",
                                  "just an example",
                                  "a dummy",
                                  "what i'd say if",
                                  "what i would say if",
                                  "what we would get if",
                                  "what one would get if",
                                  "what you would get if",
                                  "a stand-in"};
static const char *const GOOD[] = {
    "right",      "correct",   "true",        "possible",  "valid",         "the answer",
    "work",       "hold",      "fit",         "match",     "check",         "add up",
    "make sense", "satisfy",   "the correct", "the right", "what we want",  "it",
    "consistent", "plausible", "seem right",  "the final", "what is asked", "my final",
    "my answer",  "final"};

bool answer_is_negation(struct slice word) {
    static const char *const WORDS[] = {"not", "never", "cannot", "hardly"};
    static const char *const ENDS[] = {"n't", "n’t"}; // "isn't", "ain't"
    for (size_t i = 0; i < N(ENDS); i++) {
        const size_t len = strlen(ENDS[i]);
        if (word.len > len && answer_starts(word, word.len - len, ENDS[i])) return true;
    }
    return answer_is_in(word, WORDS, N(WORDS));
}

// "the answer to another question", "correct for a different one", "the answer if it were dry":
// `at` is behind what is good, `would` in front of it. It is said of another case.
static bool is_good_elsewhere(struct slice text, size_t at, bool would) {
    static const char *const NOUNS[] = {" answer", " one",    " solution", " value",
                                        " result", " choice", " option",   " letter"};
    static const char *const TO[] = {" to", " for", " of", " in"};
    static const char *const OTHER[] = {
        " another",      " a different",   " a similar", " a previous",   " an earlier",
        " a later",      " the previous",  " the next",  " the other",    " the wrong",
        " the opposite", " some other",    " a related", " a separate",   " the preceding",
        " the reverse",  " somebody else", " an easier", " someone else", " yet another"};
    at = answer_skip_phrase(text, at, NOUNS, N(NOUNS));
    if (would && answer_is_word(text, at, " if")) return true;
    const size_t to = answer_skip_phrase(text, at, TO, N(TO));
    return to != at && answer_skip_phrase(text, to, OTHER, N(OTHER)) != to;
}

// "that is wrong", "it can't be right", "they are mistaken", "this does not check out"; at `at`
// begins the subject, or `predicate`, what is said of the statement itself.
bool answer_refutes(struct slice text, size_t at, bool predicate) {
    static const char *const VERBS[] = {
        "is",         "was",       "are",      "were",       "seems",    "seem",  "looks",
        "look",       "must",      "would",    "could",      "can",      "to",    "be",
        "have",       "been",      "do",       "does",       "did",      "also",  "just",
        "simply",     "clearly",   "plainly",  "still",      "actually", "of",    "course",
        "indeed",     "obviously", "probably", "likely",     "surely",   "turns", "out",
        "however",    "in",        "fact",     "so",         "then",     "'s",    "’s",
        "'m",         "’m",        "am",       "has",        "all",      "both",  "certainly",
        "definitely", "quite",     "totally",  "completely", "a",        "an",    "the",
        "only",       "merely",    "really"};
    const size_t start = at;
    if (!predicate) at = skip_subject(text, at);
    if (at == start && !predicate) return false;
    static const char *const BAD_VERBS[] = {"fails", "violates", "contradicts", "breaks"};
    bool negated = false, would = false;
    while (predicate && at < text.len && text.ptr[at] == ' ') at++;
    if (predicate && answer_skip_phrase(text, at, BAD_VERBS, N(BAD_VERBS)) != at) return true;
    for (int n = 0; n < MAX_WORDS; n++) {
        while (at < text.len && answer_is_one_of(" ,*_", text.ptr[at])) at++;
        const bool verb = predicate && n == 0; // "12 off" is no verdict
        const size_t good = verb ? at : answer_skip_phrase(text, at, GOOD, N(GOOD));
        if (good != at) return negated || is_good_elsewhere(text, good, would);
        const size_t bad = verb ? at : answer_skip_phrase(text, at, BAD, N(BAD));
        if (bad != at) return !negated && !is_of_something_else(text, bad);
        const struct slice word = word_at(text, at);
        if (answer_is_negation(word))
            negated = true;
        else if (word.len == 0 || !answer_is_in(word, VERBS, N(VERBS)))
            return false;
        would |= slice_is(word, "would");
        at += word.len;
    }
    return false;
}

// A clause of nothing but "wrong", "not correct", "clearly false": in brackets, behind a dash.
bool answer_is_bare_denial(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "wrong",      "incorrect", "false",        "invalid",          "not correct",
        "not right",  "not true",  "rejected",     "clearly wrong",    "mistaken",
        "not valid",  "a mistake", "wrong answer", "incorrect answer", "not the answer",
        "extraneous", "not"};
    static const char *const BUT[] = {"but is", "but it is", "but it's", "but",
                                      "yet",    "though",    "although"};
    at = answer_skip_marks(text, at);
    at = answer_skip_marks(text, answer_skip_phrase(text, at, BUT, N(BUT)));
    const size_t end = answer_skip_phrase(text, at, WORDS, N(WORDS));
    return end != at && (end >= text.len || answer_is_one_of(").!\n]*", text.ptr[end]));
}

// ✗ and the like beside a statement.
static const char *const CROSSES[] = {"✖", "✗", "✘", "❌", "❎", "🚫", "👎"};

bool answer_is_crossed(struct slice text, size_t at) {
    while (at < text.len && answer_is_one_of(" $*_`.)]}\\", text.ptr[at])) at++;
    for (size_t i = 0; at < text.len && i < N(CROSSES); i++)
        if (answer_starts(text, at, CROSSES[i])) return true;
    return false;
}

bool answer_is_crossed_before(struct slice text, size_t at) {
    while (at > 0 && answer_is_one_of(" $*_`([", text.ptr[at - 1])) at--;
    return answer_back_phrase(text, 0, at, CROSSES, N(CROSSES)) != at;
}

// Behind "but", "and", "so": "rejected it", "ruled it out", "it is not."
bool answer_rejects(struct slice text, size_t at) {
    static const char *const WORDS[] = {"rejected",   "reject",      "discarded",  "dismissed",
                                        "eliminated", "ruled it",    "ruled that", "excluded",
                                        "i rejected", "i discarded", "i ruled",    "i dismissed",
                                        "gave up on"};
    static const char *const NOT[] = {
        "it is not",      "it isn't",     "it isn’t",       "that is not", "that isn't",
        "this is not so", "it is not so", "that is not so", "it's not",    "it’s not",
        "it does not",    "it was not",   "it's wrong",     "it is wrong"};
    const size_t end = answer_skip_phrase(text, at, NOT, N(NOT));
    if (end != at) return end == text.len || answer_is_one_of(".!\n)", text.ptr[end]);
    return answer_skip_phrase(text, at, WORDS, N(WORDS)) != at;
}

bool answer_is_short_denial(struct slice text, size_t at) {
    static const char *const NOT[] = {
        "it doesn't", "it doesn’t", "it does not", "it isn't",  "it isn’t",   "it is not",
        "it's not",   "it’s not",   "it fails",    "it won't",  "that isn't", "that is not",
        "it didn't",  "it did not", "it's wrong",  "not quite", "not really", "not exactly"};
    static const char *const ASKED[] = {"or is it", "or isn't it", "or was it", "or is that right"};
    const size_t end = answer_skip_phrase(text, at, NOT, N(NOT));
    if (end != at) return end == text.len || answer_is_one_of(".!\n", text.ptr[end]);
    const size_t asked = answer_skip_phrase(text, at, ASKED, N(ASKED));
    return asked != at && asked < text.len && text.ptr[asked] == '?';
}

size_t answer_skip_retraction(struct slice text, size_t at) {
    static const char *const VERBS[] = {
        "ignore",        "disregard",     "forget",       "discard",      "scrap",
        "delete",        "do not use",    "don't use",    "don’t use",    "do not trust",
        "don't trust",   "do not accept", "don't accept", "do not count", "don't count",
        "scratch",       "strike",        "retract",      "i retract",    "i withdraw",
        "pay no heed to"};
    static const char *const OBJECTS[] = {"that",
                                          "this",
                                          "it",
                                          "the above",
                                          "my answer",
                                          "my last",
                                          "my previous",
                                          "my first",
                                          "my earlier",
                                          "the answer above",
                                          "this answer",
                                          "that answer",
                                          "the answer",
                                          "the last answer",
                                          "the previous answer",
                                          "what i said",
                                          "what i wrote",
                                          "the last line",
                                          "the previous",
                                          "the preceding",
                                          "the line above",
                                          "the last sentence",
                                          "the box",
                                          "the boxed",
                                          "everything"};
    const size_t verb = answer_skip_phrase(text, at, VERBS, N(VERBS));
    if (verb == at || verb >= text.len) return at;
    if (answer_is_one_of(".;,!:", text.ptr[verb]) && answer_is_word(text, at, "disregard"))
        return verb;
    if (text.ptr[verb] != ' ') return at;
    const size_t end = answer_skip_phrase(text, verb + 1, OBJECTS, N(OBJECTS));
    return end == verb + 1 ? at : end;
}

size_t answer_skip_confession(struct slice text, size_t at) {
    enum { MAX_ADJECTIVES = 3 };
    static const char *const STARTS[] = {"i made a",
                                         "i made an",
                                         "i made some",
                                         "i have made a",
                                         "i've made a",
                                         "i have made an",
                                         "there is a",
                                         "there is an",
                                         "there was a",
                                         "there was an",
                                         "there's a",
                                         "there's an",
                                         "i found a",
                                         "i found an",
                                         "i see a",
                                         "i see an",
                                         "i noticed a",
                                         "i noticed an",
                                         "i think i made a",
                                         "i think i made an",
                                         "i may have made a",
                                         "i may have made an",
                                         "i might have made a",
                                         "i must have made a",
                                         "i must have made an",
                                         "i probably made a",
                                         "i probably made an",
                                         "i believe i made a",
                                         "i suspect a",
                                         "i suspect an"};
    static const char *const NOUNS[] = {"mistake",        "error",    "slip",
                                        "miscalculation", "blunder",  "typo",
                                        "oversight",      "mistakes", "errors"};
    size_t i = answer_skip_phrase(text, at, STARTS, N(STARTS));
    for (int n = 0; i != at && n <= MAX_ADJECTIVES; n++) {
        while (i < text.len && text.ptr[i] == ' ') i++;
        const size_t end = answer_skip_phrase(text, i, NOUNS, N(NOUNS));
        if (end != i) return end;
        const size_t word = word_at(text, i).len;
        if (word == 0) break;
        i += word;
    }
    return at;
}

bool answer_is_called_right(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "is the correct answer", "is the right answer",  "is the true answer",
        "is the real answer",    "is the actual answer", "is the correct value",
        "is the right value",    "is the true value",    "is the correct one",
        "is the right one",      "is the answer",        "is correct",
        "is the correct result", "is the right result",  "is right",
        "is the actual value"};
    while (at < text.len && answer_is_one_of(" $)*_`\\\"'", text.ptr[at])) at++;
    const size_t end = answer_skip_phrase(text, at, WORDS, N(WORDS));
    return end != at && (end == text.len || answer_is_one_of(".,;!\n*", text.ptr[end]));
}

// "arguable", "defensible": nobody says so of the only answer.
static bool is_no_verdict(struct slice text, size_t at) {
    return answer_is_word(text, at, "arguable") || answer_is_word(text, at, "defensible") ||
           answer_is_word(text, at, "accepted");
}

bool answer_admits(struct slice text, size_t at) {
    static const char *const MODALS[] = {"is",    "are",   "was",   "could",  "might",
                                         "may",   "would", "can",   "should", "seems",
                                         "works", "fits",  "holds", "looks"};
    static const char *const BETWEEN[] = {"also", "be",      "well", "seem",     "a",
                                          "an",   "just",    "as",   "possibly", "to",
                                          "work", "equally", "look", "perhaps",  "the"};
    static const char *const ENDS[] = {
        "possible",   "plausible",  "correct",    "right",     "valid",          "true",
        "acceptable", "option",     "answer",     "candidate", "possibility",    "work",
        "fit",        "hold",       "reasonable", "well",      "correct answer", "arguable",
        "accepted",   "defensible", "justified",  "allowed",   "likely",         "good",
        "probable",   "fine",       "viable"};
    bool also = false;
    while (at < text.len && answer_is_one_of(" $)*_`\"'", text.ptr[at])) at++;
    const size_t start = at;
    at = answer_skip_phrase(text, at, MODALS, N(MODALS));
    if (at == start) return false;
    const bool sure = answer_starts(text, start, "is") || answer_starts(text, start, "are") ||
                      answer_starts(text, start, "was") || answer_starts(text, start, "would");
    for (int n = 0; n < MAX_WORDS; n++) {
        while (at < text.len && text.ptr[at] == ' ') at++;
        const struct slice word = word_at(text, at);
        also |= answer_is_in(word, (const char *const[]){"also", "equally", "too", "as"}, 4);
        if (answer_is_word(text, at, "too") &&
            (n > 0 || !sure)) // "works too", but not "is too small"
            return at + 3 == text.len || answer_is_one_of(".,;!)\n", text.ptr[at + 3]);
        const size_t end = answer_skip_phrase(text, at, ENDS, N(ENDS));
        if (end != at)
            return also || !sure || is_no_verdict(text, at) || answer_starts(text, end, " too") ||
                   answer_starts(text, end, " as well");
        if (!answer_is_in(word, BETWEEN, N(BETWEEN))) return false;
        at += word.len;
    }
    return false;
}

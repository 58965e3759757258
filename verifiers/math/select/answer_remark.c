// What is said behind a statement: it is taken back, or another value is put in its place.
//
// A remark begins a clause or a sentence. "It is 13." behind a statement corrects it; farther
// behind only what begins like "Wait, actually" does, for a text may say many things about other
// values.
#include "verifiers/math/select/answer_remark.h"

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

enum {
    MAX_WORDS = 9,    // of a refutation
    MAX_CLAUSES = 64, // of one sentence
};

#define N(list) (sizeof(list) / sizeof *(list))

// ---- Words -----------------------------------------------------------------------------------

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

static bool is_in(struct slice word, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (word.len == strlen(list[i]) && ascii_same(word.ptr, list[i], word.len)) return true;
    return false;
}

// Where the first of the phrases that stands at `at` ends, or `at`.
static size_t skip_phrase(struct slice text, size_t at, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (answer_is_word(text, at, list[i])) return at + strlen(list[i]);
    return at;
}

// White space, marks of a sentence, markup, quotes, dashes and emojis.
static size_t skip_marks(struct slice text, size_t at) {
    static const char *const WIDE[] = {"—", "–", "…", "“", "”", "’", "‘", "，", "。", "：", "；"};
    while (at < text.len) {
        const size_t start = at;
        const unsigned char c = (unsigned char)text.ptr[at];
        if (answer_is_one_of(" \t\r\n,.;:!*_`'\"()[]{}>#~|-", text.ptr[at])) {
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
        for (size_t i = 0; c >= 0x80 && i < N(WIDE); i++)
            if (answer_starts(text, at, WIDE[i])) at += strlen(WIDE[i]);
        if (at == start) break;
    }
    return at;
}

// ---- Refutations -----------------------------------------------------------------------------

// "that is wrong", "it can't be right", "they are mistaken", "this does not check out".
static bool refutes(struct slice text, size_t at) {
    static const char *const SUBJECTS[] = {"that answer",
                                           "this answer",
                                           "my answer",
                                           "the answer",
                                           "that result",
                                           "this result",
                                           "the above",
                                           "that",
                                           "this",
                                           "it",
                                           "which",
                                           "they",
                                           "these",
                                           "those",
                                           "he",
                                           "she",
                                           "i"};
    static const char *const VERBS[] = {
        "is",         "was",       "are",      "were",      "seems",    "seem",  "looks",
        "look",       "must",      "would",    "could",     "can",      "to",    "be",
        "have",       "been",      "do",       "does",      "did",      "also",  "just",
        "simply",     "clearly",   "plainly",  "still",     "actually", "of",    "course",
        "indeed",     "obviously", "probably", "likely",    "surely",   "turns", "out",
        "however",    "in",        "fact",     "so",        "then",     "'s",    "’s",
        "'m",         "’m",        "am",       "has",       "all",      "both",  "certainly",
        "definitely", "quite",     "totally",  "completely"};
    static const char *const NEGATIONS[] = {
        "not",      "isn't",   "wasn't", "aren't", "can't",  "cannot",   "couldn't", "doesn't",
        "didn't",   "don't",   "won't",  "never",  "isn’t",  "wasn’t",   "aren’t",   "can’t",
        "couldn’t", "doesn’t", "didn’t", "don’t",  "hardly", "wouldn't", "wouldn’t"};
    static const char *const BAD[] = {
        "wrong",        "incorrect", "false",        "mistaken",    "impossible",    "invalid",
        "absurd",       "nonsense",  "untrue",       "rejected",    "excluded",      "extraneous",
        "fails",        "fail",      "inconsistent", "contradicts", "contradictory", "erroneous",
        "flawed",       "a mistake", "an error",     "a trap",      "too large",     "too small",
        "too big",      "too high",  "too low",      "too many",    "too few",       "ruled out",
        "unreasonable", "unlikely",  "off"};
    static const char *const GOOD[] = {
        "right",      "correct",   "true",        "possible",  "valid",        "the answer",
        "work",       "hold",      "fit",         "match",     "check",        "add up",
        "make sense", "satisfy",   "the correct", "the right", "what we want", "it",
        "consistent", "plausible", "seem right",  "the final", "what is asked"};
    const size_t start = at;
    at = skip_phrase(text, at, SUBJECTS, N(SUBJECTS));
    if (at == start) return false;
    bool negated = false;
    for (int n = 0; n < MAX_WORDS; n++) {
        while (at < text.len && answer_is_one_of(" ,*_", text.ptr[at])) at++;
        if (skip_phrase(text, at, GOOD, N(GOOD)) != at) return negated;
        if (skip_phrase(text, at, BAD, N(BAD)) != at) return !negated;
        const struct slice word = word_at(text, at);
        if (is_in(word, NEGATIONS, N(NEGATIONS)))
            negated = true;
        else if (word.len == 0 || !is_in(word, VERBS, N(VERBS)))
            return false;
        at += word.len;
    }
    return false;
}

// A clause of nothing but "wrong", "not correct", "clearly false": in brackets, behind a dash.
static bool is_bare_denial(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "wrong",         "incorrect",        "false",          "invalid",
        "not correct",   "not right",        "not true",       "rejected",
        "clearly wrong", "mistaken",         "not valid",      "a mistake",
        "wrong answer",  "incorrect answer", "not the answer", "extraneous"};
    at = skip_marks(text, at);
    const size_t end = skip_phrase(text, at, WORDS, N(WORDS));
    return end != at && (end >= text.len || answer_is_one_of(").!\n]*", text.ptr[end]));
}

// ✗ and the like beside a statement.
static bool is_crossed(struct slice text, size_t at) {
    static const char *const CROSSES[] = {"✖", "✗", "✘", "❌", "❎", "🚫"};
    while (at < text.len && answer_is_one_of(" $*_`.)]}\\", text.ptr[at])) at++;
    for (size_t i = 0; at < text.len && i < N(CROSSES); i++)
        if (answer_starts(text, at, CROSSES[i])) return true;
    return false;
}

// Behind "but", "and", "so": "rejected it", "ruled it out".
static bool rejects(struct slice text, size_t at) {
    static const char *const WORDS[] = {"rejected",   "reject",      "discarded",  "dismissed",
                                        "eliminated", "ruled it",    "ruled that", "excluded",
                                        "i rejected", "i discarded", "i ruled",    "i dismissed",
                                        "gave up on"};
    return skip_phrase(text, at, WORDS, N(WORDS)) != at;
}

// ---- Remarks ---------------------------------------------------------------------------------

// With what a remark begins.
struct opening {
    bool soft;    // "but", "in fact": it goes on
    bool hard;    // "wait", "actually", "correction": something was wrong
    bool retract; // "scratch that", "I was wrong": what was said is taken back
    bool no;      // "no", with a mark behind it
};

static const char *const SOFT[] = {"but",        "however",  "though", "although",  "in fact",
                                   "so",         "thus",     "hence",  "therefore", "yet",
                                   "and",        "well",     "ok",     "okay",      "then",
                                   "in reality", "in truth", "still",  "oh",        "now"};
static const char *const HARD[] = {"wait",
                                   "hmm",
                                   "hm",
                                   "actually",
                                   "oops",
                                   "sorry",
                                   "apologies",
                                   "correction",
                                   "corrected",
                                   "edit",
                                   "edited",
                                   "on second thoughts",
                                   "on second thought",
                                   "on reflection",
                                   "hold on",
                                   "i mean",
                                   "i meant",
                                   "make that",
                                   "rather",
                                   "instead",
                                   "erratum",
                                   "typo",
                                   "let me correct that",
                                   "let me correct",
                                   "let me fix that",
                                   "upon reflection",
                                   "after checking",
                                   "upon checking",
                                   "thinking again",
                                   "looking again",
                                   "let me rephrase",
                                   "i should say",
                                   "or rather",
                                   "hang on",
                                   "just kidding",
                                   "kidding",
                                   "my apologies",
                                   "pardon"};
static const char *const RETRACT[] = {"scratch that",
                                      "i take that back",
                                      "i take it back",
                                      "never mind",
                                      "nevermind",
                                      "strike that",
                                      "i disagree",
                                      "disregard that",
                                      "ignore that",
                                      "forget that",
                                      "i was wrong",
                                      "i am wrong",
                                      "i'm wrong",
                                      "i made a mistake",
                                      "i made an error",
                                      "i was mistaken",
                                      "my mistake",
                                      "my bad",
                                      "i miscalculated",
                                      "i misread",
                                      "i miscounted",
                                      "i retract that",
                                      "i retract this",
                                      "i don't agree",
                                      "i do not agree",
                                      "i must correct myself",
                                      "disregard the above",
                                      "ignore the above",
                                      "i made an arithmetic error",
                                      "i made a calculation error"};

// Past a "no" that is a sentence of its own ("no, 13", "nope", "no wait", but not "no other").
static size_t skip_no(struct slice text, size_t at) {
    const size_t end = answer_is_word(text, at, "nope") ? at + 4 : at + 2;
    if (end == at + 2 && !answer_is_word(text, at, "no")) return at;
    const bool apart = end >= text.len || answer_is_one_of(",.!;-\n", text.ptr[end]);
    return apart || skip_phrase(text, end + 1, HARD, N(HARD)) != end + 1 ? end : at;
}

static size_t skip_openings(struct slice text, size_t at, struct opening *out) {
    *out = (struct opening){0};
    for (;;) {
        at = skip_marks(text, at);
        size_t end = skip_phrase(text, at, RETRACT, N(RETRACT));
        out->retract |= end != at;
        if (end == at) {
            end = skip_phrase(text, at, HARD, N(HARD));
            out->hard |= end != at;
        }
        if (end == at) {
            end = skip_phrase(text, at, SOFT, N(SOFT));
            out->soft |= end != at;
        }
        if (end == at) {
            end = skip_no(text, at);
            out->no |= end != at;
        }
        if (end == at) return at;
        at = end;
    }
}

// "it is", "the correct one is", "I get": where they end, or `at`. `*plain`: it may as well explain
// what was said before ("that is 3 + 4").
static size_t skip_copula(struct slice text, size_t at, bool *plain) {
    static const char *const SUBJECTS[] = {"it",
                                           "that",
                                           "this",
                                           "the answer",
                                           "the correct answer",
                                           "my answer",
                                           "the right one",
                                           "the result",
                                           "the correct one",
                                           "the right answer",
                                           "the value",
                                           "the true one",
                                           "the true answer",
                                           "the real answer",
                                           "the actual answer",
                                           "the final answer",
                                           "the correct value",
                                           "the correct choice",
                                           "the correct option",
                                           "the correct result",
                                           "the right choice",
                                           "the right option",
                                           "the right value",
                                           "the correct solution"};
    static const char *const VERBS[] = {
        " is",     " should be",   " must be",          " has to be", " ought to be", " would be",
        " equals", " should read", " should have been", " was",       " becomes",     "'s",
        "’s"};
    static const char *const WHOLE[] = {
        "i get",      "i now get",    "we get",    "i obtain",    "we obtain", "i have",
        "this gives", "that gives",   "should be", "this leaves", "i choose",  "i go with",
        "i pick",     "i'll go with", "i'd say",   "i say",       "choose",    "make it"};
    static const char *const FILLERS[] = {
        "actually", "indeed",   "really",     "in fact",    "rather", "instead",
        "simply",   "just",     "then",       "therefore",  "option", "choice",
        "now",      "equal to", "the option", "the choice", "letter"};
    size_t end = skip_phrase(text, at, WHOLE, N(WHOLE));
    *plain = answer_is_word(text, at, "that") || answer_is_word(text, at, "this");
    for (size_t i = 0; i < N(SUBJECTS) && end == at; i++) {
        if (!answer_starts(text, at, SUBJECTS[i])) continue;
        const size_t verb = at + strlen(SUBJECTS[i]);
        const size_t behind = skip_phrase(text, verb, VERBS, N(VERBS));
        if (behind != verb) end = behind;
    }
    for (size_t i = end; end != at; end = i) {
        while (i < text.len && answer_is_one_of(" ,:*_\"", text.ptr[i])) i++;
        i = skip_phrase(text, i, FILLERS, N(FILLERS));
        if (i == end || text.ptr[i - 1] == ' ') return i;
    }
    return end;
}

// A value of mathematics: formulas, numbers, signs, up to the first word. `at` where there is none.
static size_t value_end(const void *context, struct slice text, size_t at) {
    (void)context;
    size_t end = at;
    if (at >= text.len || !answer_looks_like_value(answer_cut(text, at, text.len))) return at;
    for (size_t i = at; i < text.len && text.ptr[i] != '\n';) {
        const size_t formula = answer_formula_end(text, i);
        size_t next = formula == SIZE_MAX ? i : formula;
        while (next < text.len && !answer_is_space(text.ptr[next])) next++;
        const struct slice piece = answer_cut(text, i, next);
        const bool word =
            piece.len > 1 && ascii_is_alpha(piece.ptr[0]) && ascii_is_alpha(piece.ptr[1]);
        if (word) break;
        end = next;
        if (answer_ends_sentence(text, next - 1)) break;
        i = next;
        while (i < text.len && text.ptr[i] == ' ') i++;
    }
    while (end > at && answer_is_one_of(".,;:!)\"*_`", text.ptr[end - 1]) &&
           !(text.ptr[end - 1] == ')' && memchr(text.ptr + at, '(', end - at)))
        end--;
    return end;
}

const struct answer_values ANSWER_MATH = {value_end, NULL};

// Whether nothing but the end of the clause is behind a value.
static bool ends_clause(struct slice text, size_t at, bool hard) {
    while (at < text.len && answer_is_one_of("*_`\"')]$}", text.ptr[at])) at++;
    if (at < text.len && text.ptr[at] == '\\' && at + 1 < text.len) at += 2;
    if (at >= text.len || answer_is_one_of("\n\r<", text.ptr[at])) return true;
    if (text.ptr[at] == '?') return false;
    if (hard && answer_is_one_of(",;", text.ptr[at])) return true;
    return answer_is_one_of(".!", text.ptr[at]) || answer_starts(text, at, "。");
}

// A sum or the like, which rather explains than corrects.
static bool is_compound(struct slice value) {
    for (size_t i = 1; i < value.len; i++)
        if (answer_is_one_of("=+*", value.ptr[i]) ||
            (value.ptr[i] == '-' && value.ptr[i - 1] == ' '))
            return true;
    return false;
}

// A remark that begins at `at`. `adjacent`: nothing is between the statement and it.
static enum answer_fate read_remark(struct slice text, size_t at, bool adjacent,
                                    const struct answer_values *values, struct slice *value) {
    struct opening opening;
    bool plain = false;
    size_t i = skip_openings(text, at, &opening);
    const bool strong = opening.hard || opening.retract || opening.no;
    if (!adjacent && !opening.hard && !opening.retract) return ANSWER_STANDS;
    if (refutes(text, i) || (adjacent && opening.soft && rejects(text, i))) return ANSWER_REFUTED;
    const size_t from = skip_copula(text, i, &plain);
    const bool copula = from != i;
    const size_t to = values->end(values->context, text, from);
    if (to > from && (copula || strong) && ends_clause(text, to, strong) && (!plain || strong)) {
        *value = answer_cut(text, from, to);
        if (strong || !is_compound(*value)) return ANSWER_CORRECTED;
    }
    return opening.retract || (adjacent && opening.no) ? ANSWER_REFUTED : ANSWER_STANDS;
}

// Where a clause begins in a sentence, behind a mark or a word that joins.
static bool starts_clause(struct slice text, size_t at) {
    if (answer_is_one_of(",;:(", text.ptr[at]))
        return at + 1 < text.len && text.ptr[at + 1] != '\\';
    if (answer_starts(text, at, "—") || answer_starts(text, at, "–")) return true;
    if (text.ptr[at] == '.') return answer_starts(text, at, "... ");
    return text.ptr[at] == ' ' &&
           (answer_is_word(text, at + 1, "but") || answer_is_word(text, at + 1, "though") ||
            answer_is_word(text, at + 1, "although") || answer_starts(text, at, " - ") ||
            answer_is_word(text, at + 1, "i mean") || answer_is_word(text, at + 1, "however"));
}

enum answer_fate answer_remark_beside(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value) {
    const size_t end = answer_sentence_end(text, from);
    int n = 0;
    if (is_crossed(text, from)) return ANSWER_REFUTED;
    for (size_t i = from; i < end && n < MAX_CLAUSES; i++) {
        if (!starts_clause(text, i)) continue;
        n++;
        if (is_bare_denial(text, i)) return ANSWER_REFUTED;
        const enum answer_fate fate = read_remark(text, i, true, values, value);
        if (fate != ANSWER_STANDS) return fate;
    }
    return end < text.len && text.ptr[end] != '?' ? read_remark(text, end, true, values, value)
                                                  : ANSWER_STANDS;
}

// Few sentences begin with what a remark begins with: by the first letter.
static bool may_be_remark(struct slice text, size_t at) {
    at = skip_marks(text, at);
    return at < text.len && answer_is_one_of("whasocelirutmndfbWHASOCELIRUTMNDFB", text.ptr[at]);
}

enum answer_fate answer_remark_behind(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value) {
    const enum answer_fate beside = answer_remark_beside(text, from, values, value);
    if (beside != ANSWER_STANDS) return beside;
    for (size_t i = answer_sentence_end(text, from); i < text.len; i++) {
        if (text.ptr[i] != '\n' && !answer_ends_sentence(text, i)) continue;
        if (!may_be_remark(text, i)) continue;
        const enum answer_fate fate = read_remark(text, i, false, values, value);
        if (fate != ANSWER_STANDS) return fate;
    }
    return ANSWER_STANDS;
}

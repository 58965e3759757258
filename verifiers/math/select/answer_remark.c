// What is said behind a statement: it is taken back, or another value is put in its place.
//
// A remark begins a clause or a sentence. "It is 13." behind a statement corrects it; farther
// behind only what begins like "Wait, actually" does, for a text may say many things about other
// values.
#include "verifiers/math/select/answer_remark.h"

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_opening.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

enum {
    MAX_CLAUSES = 64, // of one sentence
};

#define N(list) (sizeof(list) / sizeof *(list))

// "Erratum: replace 24 by 23.", "Errata: 24 should read 23."
static bool replaces(struct slice text, size_t at, const struct answer_values *values) {
    static const char *const VERBS[] = {"replace", "change", "swap", "substitute"};
    const size_t to = values->end(values->context, text, at);
    return answer_skip_phrase(text, at, VERBS, N(VERBS)) != at ||
           (to > at && answer_starts(text, to, " should "));
}

// "But 12 is extraneous.": the value of the statement that ends at `stated`, and what is bad of it.
static bool is_named_bad(struct slice text, size_t stated, size_t at,
                         const struct answer_values *values) {
    static const char *const NOUNS[] = {"option ", "choice ", "answer ", "the value "};
    for (size_t i = 0; i < N(NOUNS); i++)
        if (answer_starts(text, at, NOUNS[i])) at += strlen(NOUNS[i]);
    size_t to = values->end(values->context, text, at);
    if (to == at || !answer_refutes(text, to, true)) return false;
    while (at < to && answer_is_one_of("$\\(*", text.ptr[at])) at++;
    while (to > at && answer_is_one_of("$\\)*", text.ptr[to - 1])) to--;
    while (stated > 0 && answer_is_one_of(" $\\)]}*_`.", text.ptr[stated - 1])) stated--;
    const size_t len = to - at;
    return len > 0 && stated >= len && memcmp(text.ptr + stated - len, text.ptr + at, len) == 0 &&
           (stated == len || !ascii_is_alnum(text.ptr[stated - len - 1]));
}

// A sum or the like, which rather explains than corrects.
static bool is_compound(struct slice value) {
    for (size_t i = 1; i < value.len; i++)
        if (answer_is_one_of("=+*", value.ptr[i]) ||
            (value.ptr[i] == '-' && value.ptr[i - 1] == ' '))
            return true;
    return false;
}

// A remark that begins at `at`. `adjacent`: nothing is between it and the statement, which ends at
// `stated`.
static enum answer_fate read_remark(struct slice text, size_t at, bool adjacent, size_t stated,
                                    const struct answer_values *values, struct slice *value,
                                    bool *hard) {
    struct answer_opening opening;
    bool plain = false;
    size_t i = answer_skip_openings(text, at, &opening);
    *hard = opening.hard;
    // "The answer is 3, or maybe 4" is a list, "The answer is 3. Or is it 4?" a doubt.
    const size_t start = answer_skip_marks(text, at);
    const bool listed =
        answer_is_one_of(",;: (", text.ptr[at]) && answer_is_word(text, start, "or");
    if (adjacent && (answer_is_said_elsewhere(text, start, values) ||
                     (i != start && answer_is_said_elsewhere(text, i, values))))
        return ANSWER_REFUTED;
    if (adjacent && !listed &&
        (answer_doubts(text, start, false, values) ||
         (i != start && answer_doubts(text, i, opening.against, values))))
        return ANSWER_REFUTED;
    if (adjacent && !answer_is_one_of(",;:(", text.ptr[at]) &&
        (answer_is_short_denial(text, start) || answer_is_short_denial(text, i)))
        return ANSWER_REFUTED;
    const bool strong = opening.hard || opening.retract || opening.no;
    if (!adjacent && !opening.hard && !opening.retract) return ANSWER_STANDS;
    if (answer_refutes(text, i, false) || (adjacent && opening.soft && answer_rejects(text, i)))
        return ANSWER_REFUTED;
    if ((opening.hard && replaces(text, i, values)) || is_named_bad(text, stated, i, values))
        return ANSWER_REFUTED;
    if ((opening.hard || opening.retract || (adjacent && opening.soft)) &&
        answer_concludes(text, i, &opening, values, value))
        return ANSWER_CORRECTED;
    if (opening.hard && answer_starts(text, i, "to ")) i += strlen("to "); // "corrected to 13"
    const size_t from = answer_skip_copula(text, i, strong, &plain);
    const bool copula = from != i;
    const size_t to = values->end(values->context, text, from);
    if (adjacent && to > from && answer_admits(text, to)) return ANSWER_REFUTED;
    if (adjacent && to > from && answer_is_called_right(text, to)) {
        *value = answer_cut(text, from, to);
        return ANSWER_CORRECTED;
    }
    if (to > from && (copula || strong) && answer_ends_clause(text, to, strong) &&
        (!plain || strong)) {
        *value = answer_cut(text, from, to);
        if (strong || !is_compound(*value)) return ANSWER_CORRECTED;
    }
    // "Wait.", "On second thought, I'm not sure."; "Edit: typo fixed." has come to its end.
    static const char *const EDITS[] = {"edit",  "edited", "update",  "updated",
                                        "fixed", "typo",   "revised", "amended",
                                        "ps",    "p.s",    "addendum"};
    const bool edited = answer_skip_phrase(text, start, EDITS, N(EDITS)) != start;
    const bool lost = opening.hard && (opening.unsure || (i >= text.len && !edited));
    return opening.retract || lost || (adjacent && opening.no) ? ANSWER_REFUTED : ANSWER_STANDS;
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
            answer_starts(text, at, " -- ") || answer_is_word(text, at + 1, "i mean") ||
            answer_is_word(text, at + 1, "however"));
}

// "\boxed{12} is the wrong answer": what follows a statement at once is said of it.
static bool is_refuted(struct slice text, size_t at) {
    while (at < text.len && answer_is_one_of(" \t$\\)]*\"_`", text.ptr[at])) at++;
    if (answer_starts(text, at, "text{")) at += strlen("text{");
    while (at < text.len && text.ptr[at] == ' ') at++;
    return answer_refutes(text, at, true);
}

// "\boxed{12} <- wrong", "\boxed{12} // incorrect", "\boxed{12} [wrong]"
static bool is_marked_wrong(struct slice text, size_t at) {
    static const char *const MARKS[] = {"<-", "//", "←", "=", "[", "#", ":"};
    while (at < text.len && answer_is_one_of(" \t$)*_`", text.ptr[at])) at++;
    for (size_t i = 0; i < N(MARKS); i++)
        if (answer_starts(text, at, MARKS[i])) {
            at += strlen(MARKS[i]);
            while (at < text.len && answer_is_one_of("- ", text.ptr[at])) at++;
            return answer_is_bare_denial(text, at) || answer_refutes(text, at, false);
        }
    return false;
}

enum answer_fate answer_remark_beside(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value) {
    const size_t end = answer_sentence_end(text, from);
    bool hard;
    int n = 0;
    if (answer_is_crossed(text, from) || is_refuted(text, from) || is_marked_wrong(text, from))
        return ANSWER_REFUTED;
    for (size_t i = from; i < end && n < MAX_CLAUSES; i++) {
        if (!starts_clause(text, i)) continue;
        n++;
        if (answer_is_bare_denial(text, i)) return ANSWER_REFUTED;
        const enum answer_fate fate = read_remark(text, i, true, from, values, value, &hard);
        if (fate != ANSWER_STANDS) return fate;
    }
    if (end >= text.len || text.ptr[end] == '?') return ANSWER_STANDS;
    if (answer_is_bare_denial(text, end)) return ANSWER_REFUTED;
    if (answer_is_wrong_abroad(text, end)) return ANSWER_REFUTED;
    return read_remark(text, end, true, from, values, value, &hard);
}

// "Is it right? No.": the question ends at `at`.
static bool is_denied_question(struct slice text, size_t at) {
    static const char *const WORDS[] = {" right", " correct", " true", " sure", " valid", " work"};
    static const char *const NO[] = {"no",          "nope",       "not really", "not quite",
                                     "i think not", "i doubt it", "it isn't",   "it is not"};
    enum { MAX_ASKED = 40 };
    if (text.ptr[at] != '?') return false;
    size_t i = at;
    while (i > 0 && at - i < MAX_ASKED && !answer_ends_sentence(text, i - 1) &&
           text.ptr[i - 1] != '\n')
        i--;
    bool asked = false;
    for (; i < at && !asked; i++) asked = answer_skip_phrase(text, i, WORDS, N(WORDS)) != i;
    const size_t next = answer_skip_marks(text, at + 1);
    return asked && answer_skip_phrase(text, next, NO, N(NO)) != next;
}

// Few sentences begin with what a remark begins with: by the first letter, which is at `at`.
static bool may_be_remark(struct slice text, size_t at) {
    return at < text.len &&
           ((unsigned char)text.ptr[at] >= 0xD0 ||
            answer_is_one_of("whasocelirutmndfbpkqzvgWHASOCELIRUTMNDFBPKQZVG", text.ptr[at]));
}

enum answer_fate answer_remark_behind(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value) {
    const enum answer_fate beside = answer_remark_beside(text, from, values, value);
    if (beside != ANSWER_STANDS) return beside;
    static const struct answer_opening ANEW = {.hard = true, .again = true};
    bool hard;
    size_t begun = SIZE_MAX; // where it is said that something was wrong
    size_t start = 0;
    for (size_t at = answer_sentence_end(text, from); at < text.len; at++) {
        if (text.ptr[at] != '\n' && !answer_ends_sentence(text, at)) continue;
        if (is_denied_question(text, at)) return ANSWER_REFUTED;
        if (at < start) continue; // blank lines: what begins behind them has been read
        start = answer_skip_marks(text, at);
        if (!may_be_remark(text, start) && begun == SIZE_MAX) continue;
        const size_t next = text.ptr[at] == '?' ? answer_skip_marks(text, at + 1) : start;
        if (answer_check_fails(text, next)) return ANSWER_REFUTED;
        const bool again = begun < start;
        const bool last = again && answer_sentence_end(text, start) + 1 >= text.len;
        if (answer_results(text, at, again, values, value) ||
            (last && answer_concludes(text, start, &ANEW, values, value)))
            return ANSWER_CORRECTED;
        const enum answer_fate fate = read_remark(text, at, false, from, values, value, &hard);
        if (fate != ANSWER_STANDS) return fate;
        if (answer_ends_otherwise(text, next, from, begun < next)) return ANSWER_REFUTED;
        if (begun == SIZE_MAX && (hard || answer_begins_again(text, start))) begun = start;
        // "Let me reconsider." and no more
        struct answer_opening opening;
        const size_t anew = answer_skip_openings(text, at, &opening);
        if (answer_begins_again(text, anew) && answer_sentence_end(text, anew) + 1 >= text.len)
            return ANSWER_REFUTED;
    }
    return ANSWER_STANDS;
}

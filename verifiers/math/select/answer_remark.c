// What is said behind a statement: it is taken back, or another value is put in its place.
//
// A remark begins a clause or a sentence. "It is 13." behind a statement corrects it; farther
// behind only what begins like "Wait, actually" does, for a text may say many things about other
// values.
#include "verifiers/math/select/answer_remark.h"

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

enum {
    MAX_CLAUSES = 64, // of one sentence
};

#define N(list) (sizeof(list) / sizeof *(list))

// With what a remark begins.
struct opening {
    bool soft;    // "but", "in fact": it goes on
    bool hard;    // "wait", "actually", "correction": something was wrong
    bool retract; // "scratch that", "I was wrong": what was said is taken back
    bool no;      // "no", with a mark behind it
};

static const char *const SOFT[] = {
    "but",          "however",       "though",      "although",  "in fact",
    "so",           "thus",          "hence",       "therefore", "yet",
    "and",          "well",          "ok",          "okay",      "then",
    "in reality",   "in truth",      "still",       "oh",        "now",
    "please",       "rechecking",    "re-checking", "checking",  "double-checking",
    "recomputing",  "recalculating", "again",       "also",      "i am not sure",
    "i'm not sure", "not sure",      "i am unsure", "i'm unsure"};
static const char *const HARD[] = {"correction to the above",
                                   "wait",
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
                                   "let me correct this",
                                   "let me correct myself",
                                   "let me correct",
                                   "let me fix that",
                                   "upon reflection",
                                   "after checking",
                                   "after rechecking",
                                   "after re-checking",
                                   "after recomputing",
                                   "after recalculating",
                                   "upon checking",
                                   "thinking again",
                                   "looking again",
                                   "let me rephrase",
                                   "i should say",
                                   "or rather",
                                   "hang on",
                                   "my apologies",
                                   "pardon",
                                   "upon further review",
                                   "on further review",
                                   "upon review",
                                   "on further thought",
                                   "upon further reflection",
                                   "upon rechecking",
                                   "on rechecking",
                                   "update",
                                   "updated",
                                   "amended",
                                   "p.s",
                                   "ps",
                                   "correcting this",
                                   "correcting myself",
                                   "fixed",
                                   "revised",
                                   "errata",
                                   "addendum",
                                   "on second look",
                                   "on a second look",
                                   "on closer look",
                                   "on closer inspection",
                                   "revision",
                                   "to correct myself"};
// The same in scripts other than Latin.
static const char *const HARD_ABROAD[] = {"等等", "等一下", "不对", "不對", "更正",
                                          "抱歉", "修正",   "改正", "错了", "訂正",
                                          "いや", "아니",   "잠깐", "нет",  "исправление"};
static const char *const RETRACT[] = {
    "i take that back",
    "i take it back",
    "never mind",
    "just kidding",
    "kidding",
    "i'm kidding",
    "nevermind",
    "i disagree",
    "i was wrong",
    "i am wrong",
    "i'm wrong",
    "i was mistaken",
    "my mistake",
    "my bad",
    "i miscalculated",
    "i misread",
    "i miscounted",
    "i don't agree",
    "i do not agree",
    "i must correct myself",
    "there is some doubt",
    "there is a doubt",
    "i have doubts",
};

// Past a "no" that is a sentence of its own ("no, 13", "nope", "no wait", but not "no other").
static size_t skip_no(struct slice text, size_t at) {
    const size_t end = answer_is_word(text, at, "nope") ? at + 4 : at + 2;
    if (end == at + 2 && !answer_is_word(text, at, "no")) return at;
    const bool apart = end >= text.len || answer_is_one_of(",.!;:-\n", text.ptr[end]);
    return apart || answer_skip_phrase(text, end + 1, HARD, N(HARD)) != end + 1 ? end : at;
}

static size_t skip_openings(struct slice text, size_t at, struct opening *out) {
    *out = (struct opening){0};
    for (;;) {
        at = answer_skip_marks(text, at);
        size_t end = answer_skip_phrase(text, at, RETRACT, N(RETRACT));
        if (end == at) end = answer_skip_retraction(text, at);
        if (end == at) end = answer_skip_confession(text, at);
        out->retract |= end != at;
        if (end == at) {
            const bool latin = at < text.len && (unsigned char)text.ptr[at] < 0xC3;
            end = latin ? answer_skip_phrase(text, at, HARD, N(HARD))
                        : answer_skip_phrase(text, at, HARD_ABROAD, N(HARD_ABROAD));
            out->hard |= end != at;
        }
        if (end == at) {
            end = answer_skip_phrase(text, at, SOFT, N(SOFT));
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

// "the answer, however, is": past what stands between commas, but for the blank behind it.
static size_t skip_aside(struct slice text, size_t at) {
    static const char *const ASIDES[] = {", however,",   ", in fact,", ", actually,",
                                         ", of course,", ", though,",  ", then,",
                                         ", indeed,",    ", instead,", ", therefore,"};
    for (size_t i = 0; i < N(ASIDES); i++)
        if (answer_starts(text, at, ASIDES[i])) return at + strlen(ASIDES[i]);
    return at;
}

// Behind "wait" and its kin, what the value is of does not matter.
static const char *const NAMES[] = {"the sum",     "the total",   "the product", "the difference",
                                    "the count",   "the area",    "the number",  "the quotient",
                                    "the volume",  "the length",  "the price",   "the cost",
                                    "the average", "the maximum", "the minimum", "the probability",
                                    "the ratio",   "there",       "x",           "n"};

// "it is", "the correct one is", "I get": where they end, or `at`. `*plain`: it may as well explain
// what was said before ("that is 3 + 4").
static size_t skip_copula(struct slice text, size_t at, bool strong, bool *plain) {
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
                                           "the correct solution",
                                           "the box",
                                           "mine"};
    static const char *const VERBS[] = {
        " is",        " should be", " must be",     " has to be",        " ought to be",
        " would be",  " equals",    " should read", " should have been", " was",
        " becomes",   "'s",         "’s",           " should contain",   " should hold",
        " should say"};
    static const char *const WHOLE[] = {
        "i get",       "i now get",       "we get",      "i obtain",     "we obtain",
        "i have",      "this gives",      "that gives",  "should be",    "this leaves",
        "i choose",    "i go with",       "i pick",      "i'll go with", "i'd say",
        "i find",      "we find",         "i say",       "choose",       "make it",
        "i would say", "i would go with", "i'd go with", "it comes to"};
    static const char *const ABROAD[] = {"应该是", "应为",       "應該是",     "是",
                                         "答案是", "答案应该是", "正确答案是", "答案应为"};
    static const char *const FILLERS[] = {
        "actually", "indeed",   "really",     "in fact",    "rather", "instead",
        "simply",   "just",     "then",       "therefore",  "option", "choice",
        "now",      "equal to", "the option", "the choice", "letter"};
    const bool latin = at < text.len && (unsigned char)text.ptr[at] < 0xC3;
    size_t end = latin ? answer_skip_phrase(text, at, WHOLE, N(WHOLE))
                       : answer_skip_phrase(text, at, ABROAD, N(ABROAD));
    *plain = answer_is_word(text, at, "that") || answer_is_word(text, at, "this");
    for (size_t i = 0; i < N(SUBJECTS) && end == at; i++) {
        if (!answer_starts(text, at, SUBJECTS[i])) continue;
        const size_t verb = skip_aside(text, at + strlen(SUBJECTS[i]));
        const size_t behind = answer_skip_phrase(text, verb, VERBS, N(VERBS));
        if (behind != verb) end = behind;
    }
    for (size_t i = 0; strong && i < N(NAMES) && end == at; i++) {
        const size_t name = answer_skip_phrase(text, at, NAMES + i, 1);
        const size_t behind = answer_skip_phrase(text, name, VERBS, N(VERBS));
        if (name != at && behind != name) end = behind;
    }
    for (size_t i = end; end != at; end = i) {
        while (i < text.len && answer_is_one_of(" ,:*_\"", text.ptr[i])) i++;
        i = answer_skip_phrase(text, i, FILLERS, N(FILLERS));
        if (i == end || text.ptr[i - 1] == ' ') return i;
    }
    return end;
}

// A sum or the like, which rather explains than corrects.
static bool is_compound(struct slice value) {
    for (size_t i = 1; i < value.len; i++)
        if (answer_is_one_of("=+*", value.ptr[i]) ||
            (value.ptr[i] == '-' && value.ptr[i - 1] == ' '))
            return true;
    return false;
}

static const char *const LINKS[] = {"so", "hence", "thus", "making", "which makes", "therefore"};

// "Wait, I forgot n = 0, so the count is 13.", "Hold on, both ends count, so it must be 13.": the
// value in the clause that draws the conclusion.
static bool concludes(struct slice text, size_t at, bool strong, const struct answer_values *values,
                      struct slice *value) {
    static const char *const SLIPS[] = {
        "i forgot",         "i missed",      "i overlooked",  "i should have",  "i didn't",
        "i did not",        "i have missed", "i have not",    "i haven't",      "i double-counted",
        "i double counted", "i counted",     "i neglected",   "i ignored",      "i used the wrong",
        "we forgot",        "we missed",     "we overlooked", "we should have", "we didn't",
        "we did not",       "i also need",   "we also need",  "i need to",      "we need to",
        "that misses",      "this misses",   "that ignores",  "this ignores"};
    bool plain;
    const bool slip = answer_skip_phrase(text, at, SLIPS, N(SLIPS)) != at;
    if (!slip && !strong && !answer_is_word(text, at, "since") &&
        !answer_is_word(text, at, "because"))
        return false;
    const size_t end = answer_sentence_end(text, at);
    static const char *const GROUNDS[] = {"since", "because", "as", "given that"};
    const bool ground = answer_skip_phrase(text, at, GROUNDS, N(GROUNDS)) != at;
    for (size_t i = at; i < end; i++) {
        if (text.ptr[i] != ' ') continue;
        const bool comma = ground && text.ptr[i - 1] == ','; // "since n is odd, it is 37"
        const size_t link = answer_skip_phrase(text, i + 1, LINKS, N(LINKS));
        if (link == i + 1 && !comma) continue;
        const size_t verb = answer_skip_marks(text, link);
        const size_t from = skip_copula(text, verb, slip, &plain);
        const size_t to = values->end(values->context, text, from);
        if ((from == verb && !slip) || to == from || !answer_ends_clause(text, to, true)) continue;
        *value = answer_cut(text, from, to);
        return true;
    }
    return false;
}

// "Erratum: replace 24 by 23.", "Errata: 24 should read 23."
static bool replaces(struct slice text, size_t at, const struct answer_values *values) {
    static const char *const VERBS[] = {"replace", "change", "swap", "substitute"};
    const size_t to = values->end(values->context, text, at);
    return answer_skip_phrase(text, at, VERBS, N(VERBS)) != at ||
           (to > at && answer_starts(text, to, " should "));
}

// A remark that begins at `at`. `adjacent`: nothing is between the statement and it.
static enum answer_fate read_remark(struct slice text, size_t at, bool adjacent,
                                    const struct answer_values *values, struct slice *value) {
    struct opening opening;
    bool plain = false;
    size_t i = skip_openings(text, at, &opening);
    // "The answer is 3, or maybe 4" is a list, "The answer is 3. Or is it 4?" a doubt.
    const size_t start = answer_skip_marks(text, at);
    const bool listed =
        answer_is_one_of(",;: (", text.ptr[at]) && answer_is_word(text, start, "or");
    if (adjacent && !listed &&
        (answer_doubts(text, start, values) || (i != start && answer_doubts(text, i, values))))
        return ANSWER_REFUTED;
    const bool strong = opening.hard || opening.retract || opening.no;
    if (!adjacent && !opening.hard && !opening.retract) return ANSWER_STANDS;
    if (answer_refutes(text, i, false) || (adjacent && opening.soft && answer_rejects(text, i)))
        return ANSWER_REFUTED;
    if (opening.hard && replaces(text, i, values)) return ANSWER_REFUTED;
    if ((opening.hard || opening.retract || (adjacent && opening.soft)) &&
        concludes(text, i, opening.hard || opening.retract, values, value))
        return ANSWER_CORRECTED;
    if (opening.hard && answer_starts(text, i, "to ")) i += strlen("to "); // "corrected to 13"
    const size_t from = skip_copula(text, i, strong, &plain);
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

enum answer_fate answer_remark_beside(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value) {
    const size_t end = answer_sentence_end(text, from);
    int n = 0;
    if (answer_is_crossed(text, from) || is_refuted(text, from)) return ANSWER_REFUTED;
    for (size_t i = from; i < end && n < MAX_CLAUSES; i++) {
        if (!starts_clause(text, i)) continue;
        n++;
        if (answer_is_bare_denial(text, i)) return ANSWER_REFUTED;
        const enum answer_fate fate = read_remark(text, i, true, values, value);
        if (fate != ANSWER_STANDS) return fate;
    }
    if (end >= text.len || text.ptr[end] == '?') return ANSWER_STANDS;
    if (answer_is_bare_denial(text, end)) return ANSWER_REFUTED;
    return read_remark(text, end, true, values, value);
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

// Few sentences begin with what a remark begins with: by the first letter.
static bool may_be_remark(struct slice text, size_t at) {
    at = answer_skip_marks(text, at);
    return at < text.len &&
           ((unsigned char)text.ptr[at] >= 0xD0 ||
            answer_is_one_of("whasocelirutmndfbpWHASOCELIRUTMNDFBP", text.ptr[at]));
}

// "Let me recompute."
static bool begins_again(struct slice text, size_t at) {
    static const char *const WORDS[] = {"let me", "let us", "let's", "let’s", "i will", "i'll"};
    static const char *const VERBS[] = {"recompute", "recalculate",  "redo",        "re-do",
                                        "recount",   "re-calculate", "re-evaluate", "reconsider",
                                        "recheck",   "re-check",     "rework",      "check again"};
    at = answer_skip_marks(text, at);
    const size_t end = answer_skip_phrase(text, at, WORDS, N(WORDS));
    if (end == at || end >= text.len) return false;
    return answer_skip_phrase(text, end + 1, VERBS, N(VERBS)) != end + 1;
}

// "So 23." at the end of a text: the result of what was done again.
static bool results(struct slice text, size_t at, const struct answer_values *values,
                    struct slice *value) {
    bool plain;
    at = answer_skip_marks(text, at);
    const size_t link = answer_skip_phrase(text, at, LINKS, N(LINKS));
    if (link == at) return false;
    const size_t verb = answer_skip_marks(text, link);
    const size_t from = skip_copula(text, verb, true, &plain);
    const size_t to = values->end(values->context, text, from);
    *value = answer_cut(text, from, to);
    return to > from && answer_skip_marks(text, to) == text.len;
}

enum answer_fate answer_remark_behind(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value) {
    const enum answer_fate beside = answer_remark_beside(text, from, values, value);
    if (beside != ANSWER_STANDS) return beside;
    bool again = false;
    for (size_t i = answer_sentence_end(text, from); i < text.len; i++) {
        if (text.ptr[i] != '\n' && !answer_ends_sentence(text, i)) continue;
        if (is_denied_question(text, i)) return ANSWER_REFUTED;
        if (!may_be_remark(text, i)) continue;
        again |= begins_again(text, i);
        if (again && results(text, i, values, value)) return ANSWER_CORRECTED;
        const enum answer_fate fate = read_remark(text, i, false, values, value);
        if (fate != ANSWER_STANDS) return fate;
    }
    return ANSWER_STANDS;
}

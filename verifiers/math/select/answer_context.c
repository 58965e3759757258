// Whether a statement is meant: not negated, questioned, quoted, supposed or taken back.

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

enum {
    MAX_WORDS = 8,      // in front of a statement
    MAX_QUESTION = 100, // bytes behind it within which a question mark makes it a question
};

#define N(list) (sizeof(list) / sizeof *(list))

// Words between a negation and what it negates: "is not equal to", "rule out the value".
static bool is_filler(struct slice word) {
    static const char *const FILLERS[] = {
        "a",       "an",      "the",     "that",     "this",        "it",       "its",     "our",
        "my",      "your",    "any",     "of",       "to",          "be",       "is",      "are",
        "was",     "been",    "equal",   "equals",   "as",          "out",      "just",    "simply",
        "exactly", "really",  "yet",     "quite",    "actually",    "possibly", "get",     "give",
        "have",    "write",   "put",     "box",      "use",         "obtain",   "accept",  "choose",
        "pick",    "take",    "include", "say",      "claim",       "conclude", "believe", "think",
        "mean",    "true",    "case",    "final",    "correct",     "right",    "value",   "values",
        "number",  "numbers", "answer",  "option",   "result",      "at",       "with",    "in",
        "from",    "likely",  "here",    "possible", "possibility", "would",    "these",   "those",
        "me",      "us",      "them",    "answers",  "options",     "choices",  "it's",    "it’s",
        "that's",  "that’s",  "only"};
    if (word.len <= 1 || (unsigned char)word.ptr[0] >= 0x80) return true; // x, =, markup
    return answer_is_in(word, FILLERS, N(FILLERS));
}

static bool is_negation(struct slice word) {
    static const char *const NEGATIONS[] = {
        "rule",       "ruled",       "rules",         "ruling",      "wrong",       "incorrect",
        "nor",        "neither",     "reject",        "rejected",    "rejecting",   "rejects",
        "exclude",    "excluded",    "excluding",     "excludes",    "discard",     "discarded",
        "discarding", "eliminate",   "eliminated",    "eliminating", "false",       "untrue",
        "unlikely",   "disprove",    "impossible",    "instead",     "doubt",       "doubts",
        "deny",       "denies",      "disagree",      "doubtful",    "nobody",      "trap",
        "naive",      "tempting",    "decoy",         "bogus",       "fake",        "misleading",
        "mistake",    "absurd",      "foolish",       "contrary",    "avoid",       "avoids",
        "avoided",    "avoiding",    "misconception", "fallacy",     "myth",        "tempted",
        "temptation", "pitfall",     "illusion",      "mistaken",    "erroneously", "naively",
        "erroneous",  "contradicts", "contradicting", "violates",    "disproves",   "refutes",
        "contradict", "distractor"};
    return answer_is_negation(word) || answer_is_in(word, NEGATIONS, N(NEGATIONS));
}

static bool is_supposition(struct slice word) {
    static const char *const WORDS[] = {"if",      "suppose", "supposing", "assume",  "assuming",
                                        "whether", "unless",  "imagine",   "might",   "could",
                                        "thought", "pretend", "wonder",    "wondered"};
    return answer_is_in(word, WORDS, N(WORDS));
}

// "x \neq 5" and its kin at the end of what is in front of a statement.
static bool ends_unequal(struct slice before) {
    static const char *const SIGNS[] = {"\\neq", "\\ne", "≠", " !=", "\\not=", "<>"};
    while (before.len && answer_is_one_of(" $({", before.ptr[before.len - 1])) before.len--;
    for (size_t i = 0; i < N(SIGNS); i++) {
        const size_t len = strlen(SIGNS[i]);
        if (before.len >= len && memcmp(before.ptr + before.len - len, SIGNS[i], len) == 0)
            return true;
    }
    return false;
}

// Takes the last word off `before`, without markup around it. `*pause` is set where a comma or
// semicolon is behind it, `*colon` where a colon is.
static struct slice last_word(struct slice *before, bool *pause, bool *colon) {
    *pause = *colon = false;
    while (before->len &&
           answer_is_one_of(" \t\r\n$\\([*_{:\"`'=,;-", before->ptr[before->len - 1])) {
        *pause |= answer_is_one_of(",;", before->ptr[before->len - 1]);
        *colon |= before->ptr[before->len - 1] == ':';
        before->len--;
    }
    size_t len = 0;
    while (len < before->len && !answer_is_space(before->ptr[before->len - 1 - len])) len++;
    struct slice word = {before->ptr + before->len - len, len};
    before->len -= len;
    const char *tag = memrchr(word.ptr, '>', word.len); // "<answer>neither"
    if (tag) word = answer_cut(word, (size_t)(tag - word.ptr) + 1, word.len);
    while (word.len && answer_is_one_of("*_\"`($[{", word.ptr[0])) word.ptr++, word.len--;
    return word;
}

// "my friend says the answer is 5": `word` says it, the word in front who does.
static bool is_attributed(struct slice word, struct slice before) {
    static const char *const VERBS[] = {"says",      "said",     "thinks",   "thought", "claims",
                                        "claimed",   "believes", "believed", "argues",  "argued",
                                        "insists",   "insisted", "guesses",  "guessed", "suggests",
                                        "suggested", "told",     "wrote",    "writes",  "answered"};
    static const char *const OURS[] = {"I",    "we",   "this",    "it",    "which",
                                       "that", "rule", "theorem", "logic", "formula"};
    bool pause, colon;
    if (!answer_is_in(word, VERBS, N(VERBS))) return false;
    return !answer_is_in(last_word(&before, &pause, &colon), OURS, N(OURS));
}

// "many would say the answer is 5": `said` is a verb of saying behind `word`.
static bool is_of_others(struct slice word, bool said) {
    static const char *const OTHERS[] = {"many", "most",   "some",    "others",   "people",
                                         "them", "they",   "one",     "students", "somebody",
                                         "who",  "anyone", "someone", "everyone", "beginners"};
    return said && answer_is_in(word, OTHERS, N(OTHERS));
}

static bool is_saying(struct slice word) {
    static const char *const VERBS[] = {"say", "think", "claim", "believe", "conclude", "answer"};
    return answer_is_in(word, VERBS, N(VERBS));
}

// "the first digit of the answer is 5", "one more than the answer is 5": what is said is of
// another.
static bool is_other_value(struct slice word) {
    static const char *const WORDS[] = {
        "digit",    "letter", "root",   "square",    "cube",    "half",       "third",   "quarter",
        "part",     "double", "digits", "remainder", "inverse", "negative",   "factor",  "multiple",
        "opposite", "more",   "less",   "greater",   "larger",  "reciprocal", "divisor", "tenth",
        "length",   "log",    "bigger", "smaller",   "fewer",   "logarithm",  "modulus", "letters"};
    if (word.len > 1 && word.ptr[word.len - 1] == 's') word.len--;
    return answer_is_in(word, WORDS, N(WORDS));
}

// "the old answer is 5"
static bool is_former(struct slice word) {
    static const char *const WORDS[] = {"old",         "previous", "earlier", "former",
                                        "outdated",    "draft",    "initial", "tentative",
                                        "preliminary", "sample",   "example"};
    return answer_is_in(word, WORDS, N(WORDS));
}

// "no option is 5"
static bool is_choice_word(struct slice word) {
    static const char *const WORDS[] = {"option", "choice", "answer", "value", "number"};
    return answer_is_in(word, WORDS, N(WORDS));
}

static bool is_multiple(struct slice word) {
    static const char *const WORDS[] = {"twice", "thrice", "double", "triple", "half"};
    return answer_is_in(word, WORDS, N(WORDS));
}

// The words in front of a statement, back to the first that is no filler.
static bool is_negated(struct slice before, bool phrase) {
    static const char *const OTHERS[] = {"rather", "other", "instead", "none", "neither"};
    struct slice behind = {NULL, 0}; // the word that was read before
    bool said = false;
    if (ends_unequal(before)) return true;
    for (int n = 0; n < MAX_WORDS; n++) {
        bool pause, colon;
        const struct slice word = last_word(&before, &pause, &colon);
        if (word.len == 0 || pause || (colon && n > 0)) return false;
        if (slice_is(word, "than") || slice_is(word, "of")) {
            const struct slice other = last_word(&before, &pause, &colon);
            return answer_is_in(other, OTHERS, N(OTHERS)) || (phrase && is_other_value(other));
        }
        static const char *const APART[] = {"apart", "aside", "away", "far"};
        if (slice_is(word, "for") || slice_is(word, "from")) { // "except for 5", "apart from 5"
            struct slice rest = before;
            const struct slice other = last_word(&rest, &pause, &colon);
            if (slice_is(word, "for") ? answer_is_in(other, (const char *const[]){"except"}, 1)
                                      : answer_is_in(other, APART, N(APART)))
                return true;
            pause = colon = false;
        }
        if (phrase && (is_multiple(word) || (n == 0 && is_former(word)))) return true;
        if (answer_is_in(word, (const char *const[]){"no"}, 1) && is_choice_word(behind))
            return true;
        if (answer_is_in(word, (const char *const[]){"way", "chance", "reason"}, 3)) {
            const struct slice other = last_word(&before, &pause, &colon);
            return answer_is_in(other, (const char *const[]){"no"}, 1); // "there is no way"
        }
        if (slice_is(word, "doubt")) { // "no doubt the answer is 5"
            const struct slice other = last_word(&before, &pause, &colon);
            return !(answer_is_in(other, (const char *const[]){"no", "without", "any"}, 3));
        }
        static const char *const ONCE_MORE[] = {"second", "further", "closer", "more"};
        if (slice_is(word, "thought")) { // "on second thought the answer is 5"
            struct slice rest = before;
            const struct slice which = last_word(&rest, &pause, &colon);
            if (answer_is_in(which, ONCE_MORE, N(ONCE_MORE))) return false;
        }
        static const char *const BUT[] = {"except", "excepting", "unlike", "besides"};
        if (n == 0 && answer_is_in(word, BUT, N(BUT))) return true; // "everything except 5"
        // "not only 5" has others beside it; "instead, 5" has its comma.
        if (is_negation(word)) return !slice_is(word, "instead");
        if (phrase && (is_supposition(word) || is_attributed(word, before))) return true;
        if (phrase && is_of_others(word, said)) return true;
        said |= is_saying(word);
        if (!is_filler(word)) return false;
        behind = word;
    }
    return false;
}

// "\boxed{12} would be the answer if all were red": `at` is behind the box.
static bool is_only_supposed(struct slice text, size_t at) {
    static const char *const WOULD[] = {"would be", "would have been", "could be", "might be"};
    static const char *const UNREAL[] = {" if ", " were ", " had ", " but "};
    bool would = false;
    for (size_t i = 0; i < N(WOULD); i++) would |= answer_is_word(text, at, WOULD[i]);
    for (size_t i = at; would && i < answer_sentence_end(text, at); i++)
        for (size_t k = 0; k < N(UNREAL); k++)
            if (answer_starts(text, i, UNREAL[k])) return true;
    return false;
}

// What is said of a statement at once behind it.
static const char *const REFUTED[] = {"is not",
                                      "is wrong",
                                      "is incorrect",
                                      "isn't",
                                      "isn’t",
                                      "was wrong",
                                      "cannot be",
                                      "can't be",
                                      "is false",
                                      "is too",
                                      "is invalid",
                                      "is ruled",
                                      "is impossible",
                                      "is excluded",
                                      "is extraneous",
                                      "is rejected",
                                      "is a trap",
                                      "is a red herring",
                                      "(for example",
                                      "(for instance",
                                      "(example",
                                      "(as an example",
                                      "for example",
                                      "for instance",
                                      "is a distractor",
                                      "is a decoy",
                                      "would be wrong",
                                      "would not",
                                      "wouldn't",
                                      "doesn't",
                                      "does not",
                                      "must be wrong",
                                      "can be ruled",
                                      "can be excluded",
                                      "seems wrong",
                                      "was not",
                                      "wasn't",
                                      "fails",
                                      "looks wrong",
                                      "is a wrong",
                                      "is an incorrect",
                                      "was my first",
                                      "is out of the question",
                                      "is what most",
                                      "is what many",
                                      "is what some",
                                      "is what a",
                                      "is what we had",
                                      "is what you want",
                                      "is what you expect",
                                      "is what people",
                                      "is what students",
                                      "is what others",
                                      "is the complement of",
                                      "is the opposite of",
                                      "are not",
                                      "are wrong",
                                      "are incorrect",
                                      "aren't",
                                      "aren’t",
                                      "were not",
                                      "were wrong",
                                      "weren't"};

// "12, although tempting, is wrong": past what stands between two commas at `at`, or `at`.
static size_t skip_aside(struct slice text, size_t at) {
    enum { MAX_ASIDE = 60 };
    static const char *const STARTS[] = {"although", "though", "while", "albeit",    "despite",
                                         "tempting", "even",   "which", "of course", "as"};
    if (at + 2 >= text.len || text.ptr[at] != ',') return at;
    if (answer_skip_phrase(text, at + 2, STARTS, N(STARTS)) == at + 2) return at;
    for (size_t i = at + 2; i + 1 < text.len && i - at < MAX_ASIDE; i++) {
        if (answer_ends_sentence(text, i) || text.ptr[i] == '\n') return at;
        if (text.ptr[i] == ',' && text.ptr[i + 1] == ' ') return i + 2;
    }
    return at;
}

// What is said behind a statement in its sentence: "... is wrong", "... is not right", "...?".
static bool is_refuted_behind(struct slice text, size_t at) {
    while (at < text.len && answer_is_one_of(" \t$\\)]*!\"_`.", text.ptr[at])) {
        if (answer_ends_sentence(text, at)) return false;
        at++;
    }
    at = skip_aside(text, at);
    for (size_t i = 0; i < N(REFUTED); i++)
        if (answer_is_word(text, at, REFUTED[i])) return true;
    if (answer_is_refuted_abroad(text, at) || is_only_supposed(text, at)) return true;
    for (size_t i = at; i < text.len && i - at < MAX_QUESTION; i++) {
        const char c = text.ptr[i];
        if (c == '\n' || c == '(' || (c == '\xE2' && answer_starts(text, i, "—")) ||
            (c == ' ' && answer_starts(text, i, " - ")))
            return false;
        if (answer_ends_sentence(text, i)) return text.ptr[i] == '?';
    }
    return false;
}

// "The answer would be 12 if x were 2", "Were x 2, the answer would be 12": `to` is behind what is
// said.
static bool is_counterfactual(struct slice text, size_t from, size_t to) {
    static const char *const STARTS[] = {"were", "had", "should"};
    const size_t start = answer_sentence_start(text, from);
    bool would = false;
    for (size_t i = start; i < to && !would; i++) would = answer_starts(text, i, " would ");
    if (!would) return false;
    for (size_t i = 0; i < N(STARTS); i++)
        if (answer_is_word(text, start + (start < from && text.ptr[start] == ' '), STARTS[i]))
            return true;
    const bool were = memmem(text.ptr + start, from - start, " were ", 6) != NULL;
    if (were && answer_is_word(text, start + (start < from && text.ptr[start] == ' '), "if"))
        return true;
    for (size_t i = to; i < answer_sentence_end(text, to); i++)
        if (answer_starts(text, i, " if ") || answer_starts(text, i, " were ")) return true;
    return false;
}

// Inside a pair of double quotes of its own line, straight or curly.
static bool is_quoted(struct slice text, size_t from, size_t to) {
    bool straight = false, curly = false, decided = false;
    size_t i = from;
    for (; i > 0 && from - i < ANSWER_MAX_CONTEXT && text.ptr[i - 1] != '\n'; i--) {
        straight ^= text.ptr[i - 1] == '"';
        if (text.ptr[i - 1] != '\xE2' || decided) continue;
        curly = answer_starts(text, i - 1, "“");
        decided = curly || answer_starts(text, i - 1, "”");
    }
    if (!straight && !curly) return false;
    for (i = to; i < text.len && i - to < ANSWER_MAX_CONTEXT && text.ptr[i] != '\n'; i++)
        if ((straight && text.ptr[i] == '"') || (curly && answer_starts(text, i, "”"))) return true;
    return false;
}

bool answer_is_changed_subject(struct slice behind) {
    static const char *const WORDS[] = {
        "plus",    "minus",      "times",   "squared", "cubed",  "divided",  "and",
        "rounds",  "multiplied", "doubled", "halved",  "modulo", "mod",      "increased",
        "reduced", "decreased",  "format",  "range",   "type",   "template", "length",
        "less",    "raised",     "over",    "rounded", "key",    "sheet"};
    if (answer_starts(behind, 0, "'s ") || answer_starts(behind, 0, "’s ")) return true;
    for (size_t i = 0; behind.len && behind.ptr[0] == ' ' && i < N(WORDS); i++)
        if (answer_is_word(behind, 1, WORDS[i])) return true;
    return false;
}

bool answer_is_of_another(struct slice before) {
    static const char *const OURS[] = {"problem", "question", "puzzle", "today", "exercise",
                                       "riddle",  "task",     "let",    "here",  "that"};
    before = answer_trim(before);
    const char *const ends[] = {"'s", "’s"};
    for (size_t k = 0; k < N(ends); k++) {
        const size_t len = strlen(ends[k]);
        if (before.len <= len || memcmp(before.ptr + before.len - len, ends[k], len)) continue;
        const size_t end = before.len - len;
        for (size_t i = 0; i < N(OURS); i++)
            if (end >= strlen(OURS[i]) && answer_starts(before, end - strlen(OURS[i]), OURS[i]))
                return false;
        return true;
    }
    return false;
}

// "E.g. 12", "Example output: 12": nothing but that in front, in a sentence whose beginning is
// `before`. "For example, if x = 2 we get 12" may be what was asked for.
static bool is_example(struct slice before) {
    static const char *const STARTS[] = {
        "for example",    "for instance",  "as an example",   "example output",
        "example answer", "sample output", "example",         "sample answer",
        "an example",     "e.g",           "expected format", "the expected format",
        "format"};
    static const char *const VERBS[] = {"is",  "would be", "the answer",
                                        "the", "answer",   "final answer"};
    enum { MAX_EXAMPLE = 60 };
    if (before.len > MAX_EXAMPLE) return false;
    size_t at = answer_skip_marks(before, 0);
    const size_t start = at;
    at = answer_skip_phrase(before, at, STARTS, N(STARTS));
    if (at == start) return false;
    at = answer_skip_marks(before, at);
    for (size_t next; (next = answer_skip_phrase(before, at, VERBS, N(VERBS))) != at;)
        at = answer_skip_marks(before, next);
    while (at < before.len && answer_is_one_of(" $\\([`", before.ptr[at])) at++;
    return at == before.len;
}

// "A common mistake: the answer", "A naive solution would end with", and no clause behind it that
// says what is right.
static bool is_of_mistake(struct slice before, size_t at) {
    static const char *const ARTICLES[] = {"a ", "an ", "the ", "one ", ""};
    static const char *const BAD[] = {
        "wrong",           "incorrect",     "false",        "mistaken",       "naive",
        "flawed",          "careless",      "erroneous",    "common mistake", "common error",
        "typical mistake", "typical error", "common wrong", "suppose",        "assume",
        "imagine",         "no one",        "nobody",       "under no",       "in no case",
        "by no means",     "on no account"};
    size_t i = 0;
    while (ARTICLES[i][0] && !answer_starts(before, at, ARTICLES[i])) i++;
    at += strlen(ARTICLES[i]);
    const size_t end = answer_skip_phrase(before, at, BAD, N(BAD));
    return end != at && !answer_is_word(before, end + 1, "statement") && // which was asked for
           !memchr(before.ptr, ',', before.len) && !memchr(before.ptr, ';', before.len) &&
           !memmem(before.ptr, before.len, " but ", 5) &&
           !memmem(before.ptr, before.len, " then ", 6) &&
           !memmem(before.ptr, before.len, " so ", 4);
}

// "A common mistake: the answer is 12", "In the previous problem, the answer is 12": of a sentence
// whose beginning is `before`.
static bool is_of_other_matter(struct slice before) {
    static const char *const STARTS[] = {
        "is it true", "is it so",      "is it the case",      "in the previous", "it is false",
        "it's false", "it is untrue",  "it is incorrect",     "it is wrong",     "it is a lie",
        "it's wrong", "it isn't true", "in the last problem", "in the earlier"};
    static const char *const ANYWHERE[] = {"wrong key",   "wrongly",   "mistakenly",
                                           "incorrectly", "refuse to", "fool would",
                                           "isn't so",    "is not so", "falsely"};
    const size_t start = answer_skip_marks(before, 0);
    enum { MAX_TASK = 30 }; // "Prove that the answer is"
    static const char *const TASKS[] = {"prove that", "show that"};
    if (answer_skip_phrase(before, start, STARTS, N(STARTS)) != start ||
        is_of_mistake(before, start))
        return true;
    if (before.len < MAX_TASK && answer_skip_phrase(before, start, TASKS, N(TASKS)) != start)
        return true;
    for (size_t at = start; at < before.len;) {
        if (answer_is_one_of("wmirfWMIRF", before.ptr[at]) &&
            answer_skip_phrase(before, at, ANYWHERE, N(ANYWHERE)) != at)
            return true;
        const char *blank = memchr(before.ptr + at, ' ', before.len - at);
        at = blank ? (size_t)(blank - before.ptr) + 1 : before.len;
    }
    return false;
}

bool answer_is_of_others(struct slice text, size_t from, size_t to) {
    enum { MAX_BETWEEN = 24 };
    static const char *const VERBS[] = {"is", "be", "was", ":", "="};
    struct slice before = answer_cut(text, answer_sentence_start(text, from), from);
    bool pause, colon;
    const struct slice word = last_word(&before, &pause, &colon);
    // "Tom wrote \boxed{5}.", but "Tom wrote \boxed{5} letters."
    if (is_attributed(word, before) && answer_ends_clause(text, to, true)) return true;
    size_t end = from;
    while (end > 0 && answer_is_one_of(" $\\([*_", text.ptr[end - 1])) end--;
    const bool verb = answer_back_phrase(text, 0, end, VERBS, N(VERBS)) != end;
    for (size_t at = end; verb && at-- > 0 && end - at < MAX_BETWEEN;) {
        if (!answer_is_word(text, at, "answer")) continue;
        const size_t start = answer_sentence_start(text, from);
        return start <= at &&
               (is_negated(answer_cut(text, start, at), true) || is_counterfactual(text, at, to));
    }
    return false;
}

bool answer_is_denied_of(struct slice text, size_t from, size_t to, bool phrase,
                         const struct answer_values *values) {
    const struct slice before = answer_cut(text, answer_sentence_start(text, from), from);
    struct slice value;
    return is_negated(before, phrase) || is_example(before) || is_of_other_matter(before) ||
           is_refuted_behind(text, to) || is_quoted(text, from, to) ||
           answer_is_unseen(text, from) ||
           (phrase && (answer_is_conditional(before) || is_counterfactual(text, from, to))) ||
           answer_remark_beside(text, to, values, &value) == ANSWER_REFUTED;
}

bool answer_is_denied(struct slice text, size_t from, size_t to, bool phrase) {
    return answer_is_denied_of(text, from, to, phrase, &ANSWER_MATH);
}

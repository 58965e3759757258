// What a last sentence without a number says: "The function is odd.", "There is no solution.", and
// a condition that it states: "x is greater than 3".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum {
    MAX_BYTES = 160,   // of the sentence
    MAX_PREDICATE = 5, // words
};

static size_t skip_blanks(struct slice s, size_t at) {
    while (at < s.len && answer_is_one_of(" \t\r\n,:*_", s.ptr[at])) at++;
    return at;
}

// Past the first of the phrases that stands at `at`, or `at`.
static size_t skip_one(struct slice s, size_t at, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (answer_is_word(s, at, list[i])) return skip_blanks(s, at + strlen(list[i]));
    return at;
}

// Behind the words that lead to what is said: "Therefore, ".
static size_t skip_leads(struct slice s) {
    static const char *const LEADS[] = {"so",
                                        "thus",
                                        "therefore",
                                        "hence",
                                        "then",
                                        "and",
                                        "finally",
                                        "this means",
                                        "consequently",
                                        "in conclusion",
                                        "that",
                                        "as a result",
                                        "we see that",
                                        "it follows that",
                                        "we conclude that",
                                        "in short",
                                        "overall",
                                        "altogether",
                                        "we find that",
                                        "this shows that",
                                        "we have that",
                                        "which means",
                                        "clearly",
                                        "accordingly",
                                        "in other words",
                                        "it is clear that"};
    size_t at = skip_blanks(s, 0);
    for (size_t next; (next = skip_one(s, at, LEADS, N(LEADS))) != at;) at = next;
    return at;
}

// Words with which a sentence does not simply say something.
static bool is_doubtful(struct slice s) {
    static const char *const WORDS[] = {
        "not",      "never",     "neither",    "nor",        "if",        "whether",
        "unless",   "or",        "either",     "maybe",      "perhaps",   "might",
        "could",    "may",       "would",      "but",        "however",   "although",
        "though",   "unlike",    "than",       "hardly",     "barely",    "false",
        "wrong",    "incorrect", "doubt",      "suppose",    "assume",    "assuming",
        "claim",    "claims",    "say",        "says",       "think",     "thinks",
        "believe",  "believes",  "said",       "thought",    "seems",     "seem",
        "appears",  "other",     "another",    "unclear",    "unknown",   "cannot",
        "instead",  "rather",    "almost",     "nearly",     "nobody",    "nothing",
        "none",     "only",      "untrue",     "people",     "some",      "many",
        "most",     "when",      "while",      "provided",   "should",    "because",
        "since",    "except",    "possibly",   "probably",   "sometimes", "always",
        "no",       "both",      "impossible", "guess",      "once",      "until",
        "before",   "after",     "and",        "which",      "who",       "what",
        "first",    "second",    "third",      "previous",   "earlier",   "initial",
        "original", "opposite",  "next",       "starting",   "recall",    "note",
        "remember", "called",    "without",    "definition", "for",       "case",
        "cases",    "how",       "why",        "negation",   "converse",  "contrapositive",
        "inverse",  "initially", "let",        "consider",   "show",      "prove"};
    for (size_t at = 0; at < s.len; at++) {
        if (at > 0 && ascii_is_alpha(s.ptr[at - 1])) continue;
        for (size_t i = 0; i < N(WORDS); i++)
            if (answer_is_word(s, at, WORDS[i])) return true;
    }
    return memmem(s.ptr, s.len, "n't", 3) || memmem(s.ptr, s.len, "n’t", strlen("n’t")) ||
           memchr(s.ptr, '"', s.len) || memchr(s.ptr, '?', s.len) || memchr(s.ptr, '\n', s.len) ||
           memchr(s.ptr, '~', s.len);
}

static int count_words(struct slice s) {
    int n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += !answer_is_space(s.ptr[i]) && (i == 0 || answer_is_space(s.ptr[i - 1]));
    return n;
}

// "all real numbers except 2", "x is greater than 3": what the numbers are, which the reader of
// such words decides about.
static bool is_condition(struct slice s) {
    static const char *const SUBJECTS[] = {"all", "any", "every", "the set of all"};
    static const char *const RELATIONS[] = {
        " than ", " at least ", " at most ", " except ", " such that",  " excluding ",
        " with ", " equal to ", " between ", " from ",   " exceeding ", " including "};
    const bool letter = s.len > 1 && ascii_is_alpha(s.ptr[0]) && s.ptr[1] == ' ';
    const bool formula =
        s.len > 3 && s.ptr[0] == '$' && ascii_is_alpha(s.ptr[1]) && s.ptr[2] == '$';
    if (!letter && !formula && skip_one(s, 0, SUBJECTS, N(SUBJECTS)) == 0) return false;
    for (size_t at = 1; at < s.len; at++)
        for (size_t i = 0; s.ptr[at] == ' ' && i < N(RELATIONS); i++)
            if (answer_starts(s, at, RELATIONS[i])) return true;
    return false;
}

// "The domain is all real numbers except 2.": where the condition starts, or SIZE_MAX.
static size_t find_condition(struct slice s, size_t at) {
    static const char *const NAMES[] = {
        "the solution set", "the solutions", "the solution", "the domain",
        "the range",        "the answer",    "it",           "these"};
    static const char *const VERBS[] = {"is", "are", "consists of", "is given by"};
    const size_t verb = skip_one(s, at, NAMES, N(NAMES));
    if (verb != at) {
        const size_t next = skip_one(s, verb, VERBS, N(VERBS));
        if (next == verb) return SIZE_MAX;
        at = next;
    }
    return is_condition(answer_cut(s, at, s.len)) ? at : SIZE_MAX;
}

// Sentences that end in what is not there: "has no real solutions", "does not exist".
static size_t find_nothing(struct slice s, size_t at) {
    static const char *const ENDS[] = {
        "no solution",       "no solutions",       "no real solution",
        "no real solutions", "no solution exists", "no solutions exist",
        "does not exist",    "doesn't exist",      "doesn’t exist",
        "undefined",         "diverges",           "converges",
        "divergent",         "convergent",         "infinitely many solutions"};
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < N(ENDS); i++) {
        const size_t len = strlen(ENDS[i]);
        if (s.len < at + len || !answer_starts(s, s.len - len, ENDS[i])) continue;
        const size_t from = s.len - len;
        const bool whole = from == at || s.ptr[from - 1] == ' ';
        if (whole && (best == SIZE_MAX || from < best)) best = from;
    }
    return best;
}

// "A square is a rectangle": of any of them.
static bool is_general(struct slice s, size_t at) {
    static const char *const WORDS[] = {"a", "an", "every", "any", "all", "each", "such"};
    return skip_one(s, at, WORDS, N(WORDS)) != at;
}

// How many words of the sentence are finite verbs, and where the last of them ends.
static int count_verbs(struct slice s, size_t at, size_t *end) {
    static const char *const LINKS[] = {"is on",    "is in",    "are in",  "lies in", "lies on",
                                        "falls on", "falls in", "must be", "will be", "comes to",
                                        "is",       "are",      "was",     "were",    "equals",
                                        "has",      "have",     "remain",  "remains"};
    static const char *const OTHERS[] = {
        "gives", "makes", "gets",  "becomes", "means", "can",    "will", "must", "does",
        "do",    "did",   "holds", "needs",   "be",    "being",  "had",  "got",  "leaves",
        "shows", "asks",  "wants", "follows", "works", "checks", "use",  "know"};
    int n = 0;
    for (; at < s.len; at++) {
        if (at > 0 && !answer_is_space(s.ptr[at - 1])) continue;
        const size_t next = skip_one(s, at, LINKS, N(LINKS));
        const bool other = skip_one(s, at, OTHERS, N(OTHERS)) != at;
        if (next == at && !other) continue;
        n += other && next == at ? 2 : 1;
        *end = next;
        if (next != at) at = next - 1;
    }
    return n;
}

// What is said of the subject: "odd" of "the function is odd".
static size_t find_predicate(struct slice s, size_t at) {
    static const char *const ARTICLES[] = {"a total of", "exactly", "therefore", "thus",
                                           "indeed",     "clearly", "simply",    "on",
                                           "in",         "the",     "a",         "an"};
    static const char *const NOT_SAID[] = {"one",     "that",  "this", "given",     "found", "such",
                                           "it",      "done",  "as",   "to",        "of",    "at",
                                           "correct", "right", "same", "following", "clear"};
    size_t from = at;
    if (is_general(s, at) || count_verbs(s, at, &from) != 1 || from >= s.len) return SIZE_MAX;
    for (size_t next; (next = skip_one(s, from, ARTICLES, N(ARTICLES))) != from;) from = next;
    const struct slice rest = answer_cut(s, from, s.len);
    if (rest.len == 0 || count_words(rest) > MAX_PREDICATE || memchr(rest.ptr, ',', rest.len) ||
        skip_one(rest, 0, NOT_SAID, N(NOT_SAID)) != 0 || !ascii_is_alpha(rest.ptr[0]))
        return SIZE_MAX;
    for (size_t i = 0; i < rest.len; i++)
        if (!ascii_is_alpha(rest.ptr[i]) && !answer_is_one_of(" -'*", rest.ptr[i])) return SIZE_MAX;
    return from;
}

// "He arrives on Tuesday.": the day of the week with which a sentence ends that names no other.
static size_t find_day(struct slice s, size_t at) {
    static const char *const DAYS[] = {"monday", "tuesday",  "wednesday", "thursday",
                                       "friday", "saturday", "sunday"};
    static const char *const ON[] = {" on ", " on a "};
    if (s.len < 6 || ascii_lower(s.ptr[s.len - 1]) != 'y') return SIZE_MAX;
    size_t found = SIZE_MAX;
    for (size_t i = at; i < s.len; i++) {
        if (answer_skip_phrase(s, i, DAYS, N(DAYS)) == i) continue;
        if (found != SIZE_MAX) return SIZE_MAX;
        found = i;
    }
    const bool last = found != SIZE_MAX && answer_skip_phrase(s, found, DAYS, N(DAYS)) == s.len;
    return last && answer_back_phrase(s, at, found, ON, N(ON)) != found ? found : SIZE_MAX;
}

// A few words that are all there is: "all real numbers".
static bool is_lone(struct slice s) {
    size_t end = 0;
    if (count_words(s) > MAX_PREDICATE || count_verbs(s, 0, &end) > 0) return false;
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alpha(s.ptr[i]) && !answer_is_one_of(" -*", s.ptr[i])) return false;
    return s.len > 0;
}

// "The sum of two even numbers is even" is true of all of them.
static bool repeats_subject(struct slice s, size_t at) {
    size_t end = at;
    while (end < s.len && ascii_is_alpha(s.ptr[end])) end++;
    for (size_t i = 0; end > at && i < at; i++)
        if (i + (end - at) <= at && ascii_same(s.ptr + i, s.ptr + at, end - at)) return true;
    return false;
}

bool answer_find_said(struct slice text, struct answer *out) {
    size_t from, to;
    if (!answer_last_sentence(&text, &from, &to) || to - from > MAX_BYTES) return false;
    const struct slice s = answer_cut(text, from, to);
    const size_t lead = skip_leads(s);
    size_t at = find_condition(s, lead);
    bool doubtful = at != SIZE_MAX && is_doubtful(answer_cut(s, lead, at));
    if (at == SIZE_MAX) {
        at = find_nothing(s, lead);
        if (at == SIZE_MAX) {
            at = find_day(s, lead);
            if (at == SIZE_MAX) at = from == 0 && is_lone(s) ? 0 : find_predicate(s, lead);
            doubtful = is_doubtful(answer_cut(s, lead, s.len)) ||
                       (at != SIZE_MAX && repeats_subject(s, at));
        } else {
            doubtful = is_doubtful(answer_cut(s, lead, at)) ||
                       count_words(answer_cut(s, lead, at)) > 2 * MAX_PREDICATE;
        }
    }
    if (at == SIZE_MAX || doubtful || answer_is_denied(text, from + at, to, true)) return false;
    struct slice said = answer_trim(answer_cut(s, at, s.len));
    while (said.len && answer_is_one_of("*_", said.ptr[0])) said = answer_cut(said, 1, said.len);
    while (said.len && answer_is_one_of("*_", said.ptr[said.len - 1])) said.len--;
    *out = (struct answer){.n_parts = 1, .parts = {said}, .prose = true, .rule = "last"};
    return said.len > 0;
}

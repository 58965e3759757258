// Whether the words of a sentence in front of a letter say it: "it is B", "this leaves us with B".
#include "verifiers/choice/choice_find.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"

#define N(list) (sizeof(list) / sizeof *(list))

static bool ends_word(char c) {
    return answer_is_one_of(" \t\n,:\"(", c);
}

// The word in front of `*at`, which becomes where it starts.
static struct slice word_before(struct slice text, size_t start, size_t *at) {
    size_t end = *at;
    while (end > start && answer_is_one_of(" \t\n", text.ptr[end - 1])) end--;
    *at = end;
    while (*at > start && !ends_word(text.ptr[*at - 1])) --*at;
    return answer_cut(text, *at, end);
}

// "es la opción B", "é a letra B": a copula in front of an article at `at`, or nothing.
static bool is_copula_before(struct slice text, size_t start, size_t at, bool or_none) {
    static const char *const COPULAS[] = {"é",     "es",    "est",   "ist", "è",   "será",
                                          "sería", "seria", "c'est", "это", "под", "sea"};
    static const char *const ARTICLES[] = {"a", "la", "el", "le", "o", "die", "l'"};
    struct slice word = word_before(text, start, &at);
    if (answer_is_in(word, ARTICLES, N(ARTICLES)) && ascii_is_lower(word.ptr[0]))
        word = word_before(text, start, &at);
    return word.len == 0 ? or_none : answer_is_in(word, COPULAS, N(COPULAS));
}

// "This points to B", "it corresponds to B": the verb in front of "to" at `at`.
static bool is_led_to(struct slice text, size_t start, size_t at) {
    static const char *const VERBS[] = {
        "points",  "point",   "leads",    "lead",    "corresponds",   "equal",      "goes",
        "amounts", "equates", "pointing", "leading", "corresponding", "equivalent", "down"};
    static const char *const US[] = {"us", "me"};
    struct slice word = word_before(text, start, &at);
    if (answer_is_in(word, US, N(US))) word = word_before(text, start, &at);
    return answer_is_in(word, VERBS, N(VERBS));
}

// Whether a letter stands alone in text[start, at): "D supports B" is no answer. An A in front of
// the verb at `at` is no article.
static bool names_letter(struct slice text, size_t start, size_t at) {
    bool strong;
    size_t end, subject = at;
    if (slice_is(word_before(text, start, &subject), "A")) return true;
    for (size_t i = start; i < at; i++)
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'J' && choice_letter(text, i, &strong, &end))
            return true;
    return false;
}

bool find_is_denied_in_clause(struct slice text, size_t start, size_t at) {
    static const char *const ENDS[] = {"so",    "hence", "thus", "therefore", "but", "and",
                                       "since", "as",    "then", "because",   "only"};
    static const char *const WHICH[] = {"that", "which", "who", "what", "whether", "or", "sure"};
    static const char *const SAYING[] = {"say",    "choose",    "pick",     "answer",  "select",
                                         "accept", "recommend", "conclude", "support", "justify"};
    enum { MAX_BACK = 10 };
    bool saying = false;
    for (int n = 0; n < MAX_BACK; n++) {
        const struct slice word = word_before(text, start, &at);
        if (word.len == 0 || answer_is_in(word, ENDS, N(ENDS)) ||
            answer_is_in(word, WHICH, N(WHICH)))
            return false;
        saying |= answer_is_in(word, SAYING, N(SAYING));
        if (answer_is_negation(word)) return saying;
    }
    return false;
}

// Whether an "option" at `at` is what the sentence says: "it matches option B", but not "let's
// consider option B".
static bool is_noun_said(struct slice text, size_t start, size_t at) {
    static const char *const WORDS[] = {
        "i",        "i'd",         "i’d",       "that's",   "that’s",     "is",
        "be",       "it's",        "it’s",      "to",       "matches",    "match",
        "matching", "gives",       "with",      "so",       "therefore",  "thus",
        "hence",    "select",      "choose",    "pick",     "chose",      "by",
        "in",       "only",        "favors",    "supports", "favours",    "as",
        "answer",   "namely",      "likely",    "probably", "leaves",     "leaving",
        "yields",   "us",          "indicates", "suggests", "means",      "and",
        "or",       "not",         "either",    "neither",  "nor",        "both",
        "actually", "correct",     "right",     "best",     "the",        "say",
        "think",    "believe",     "then",      "i.e.",     "yes",        "are",
        "of",       "that",        "than",      "no",       "definitely", "ist",
        "est",      "implies",     "equals",    "between",  "but",        "clearly",
        "guess",    "conclusion",  "wait",      "from",     "represents", "satisfies",
        "also",     "equivalently"};
    while (at > start && answer_is_one_of(" \t\n,:.\"'*_", text.ptr[at - 1])) at--;
    size_t from = at;
    while (from > start && !answer_is_one_of(" \t\n,:\"(", text.ptr[from - 1])) from--;
    const struct slice word = answer_cut(text, from, at);
    static const char *const WILL[] = {"would", "must", "will", "shall"}; // "I would answer B"
    if (answer_is_in(word, WILL, N(WILL)))
        return answer_is_in(word_before(text, start, &from), (const char *const[]){"i", "we"}, 2);
    if (answer_is_in(word, (const char *const[]){"the"}, 1)) return is_noun_said(text, start, from);
    return word.len == 0 || !ascii_is_alpha(word.ptr[word.len - 1]) ||
           answer_is_in(word, WORDS, N(WORDS));
}

// Whether a letter at `at` is what its sentence says: it stands behind a word such as "is", or is
// the first of all.
bool find_is_said(struct slice text, size_t start, size_t at) {
    static const char *const WORDS[] = {
        "is",          "be",         "it's",       "it’s",       "option",    "choice",
        "answer",      "either",     "or",         "and",        "nor",       "not",
        "no",          "both",       "so",         "actually",   "thus",      "hence",
        "therefore",   "leaves",     "leaving",    "guess",      "likely",    "says",
        "elimination", "think",      "believe",    "say",        "get",       "probably",
        "choices",     "options",    "yes",        "definitely", "vs",        "vs.",
        "versus",      "plus",       "und",        "oder",       "then",      "but",
        "wait",        "mean",       "clearly",    "obviously",  "certainly", "surely",
        "conclusion",  "summary",    "with",       "first",      "ist",       "est",
        "es",          "é",          "è",          "это",        "donc",      "also",
        "sondern",     "sino",       "mais",       "الخيار",     "letra",     "lettre",
        "вариант",     "c'est",      "that's",     "that’s",     "this's",    "like",
        "Это",         "ultimately", "overall",    "considered", "finally",   "consequently",
        "accordingly", "ergo",       "eventually", "personally", "lastly",    "evidently",
        "tl;dr",       "tldr",       "line",       "decision",   "vote"};
    static const char *const ARTICLES[] = {"a", "la", "el", "le", "o", "die"};
    static const char *const PROOFS[] = {"support",  "supports", "matches",   "match",    "gives",
                                         "yields",   "favors",   "indicates", "suggests", "us",
                                         "indicate", "suggest",  "give",      "yield"};
    static const char *const ABROAD[] = {"opción",    "opção",    "opzione",  "antwort", "réponse",
                                         "respuesta", "resposta", "risposta", "буквой",  "буква"};
    const size_t letter = at;
    if (at > start && answer_is_one_of("&/|+", text.ptr[at - 1])) return true;
    while (at > start && answer_is_one_of(" \t\n,:.\"'", text.ptr[at - 1])) at--;
    size_t from = at;
    while (from > start && !answer_is_one_of(" \t\n,:\"(", text.ptr[from - 1])) from--;
    const struct slice word = answer_cut(text, from, at);
    static const char *const NOUNS[] = {"option", "choice", "answer", "options", "choices"};
    const bool at_once = from + word.len + 1 == letter; // "the second option, B"
    if (at_once && answer_is_in(word, NOUNS, N(NOUNS)) && !is_noun_said(text, start, from))
        return false;
    if (answer_is_in(word, ARTICLES, N(ARTICLES))) // "A correta é a C."
        return ascii_is_lower(word.ptr[0]) && is_copula_before(text, start, from, false);
    if (slice_is(word, "like")) // "it looks like B"
        return at >= start + 11 && (answer_starts(text, at - 10, "looks like") ||
                                    answer_starts(text, at - 10, "seems like"));
    static const char *const BETS[] = {"money is on", "bet is on", "betting on", "vote is on"};
    if (slice_is(word, "on") && answer_back_phrase(text, start, at, BETS, N(BETS)) != at)
        return true;
    if (slice_is(word, "to")) return is_led_to(text, start, from);
    if (answer_is_in(word, PROOFS, N(PROOFS))) return !names_letter(text, start, from);
    if (answer_is_in(word, ABROAD, N(ABROAD))) return is_copula_before(text, start, from, true);
    if (slice_is(word, "with")) return at >= start + 9 && answer_starts(text, at - 9, "left with");
    return word.len == 0 || answer_is_in(word, WORDS, N(WORDS));
}

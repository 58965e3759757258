// Whether "answer" is the subject of a statement of the answer: "the most likely answer", but not
// "the worst answer", "another answer", "the answer most students give".
#include "verifiers/choice/choice_find.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"

#define N(list) (sizeof(list) / sizeof *(list))

// The word that ends at `*at`, which becomes where it starts; empty at a mark or the line's start.
static struct slice word_before(struct slice text, size_t *at) {
    size_t end = *at;
    while (end > 0 && answer_is_one_of(" \t*_\"", text.ptr[end - 1])) end--;
    size_t from = end;
    while (from > 0 &&
           (ascii_is_alpha(text.ptr[from - 1]) || answer_is_one_of("-'", text.ptr[from - 1]) ||
            (unsigned char)text.ptr[from - 1] >= 0x80))
        from--;
    *at = from;
    return answer_cut(text, from, end);
}

// Adjectives in front of "answer" with which it is still the answer.
static const char *const FIT[] = {"correct",
                                  "right",
                                  "best",
                                  "final",
                                  "only",
                                  "true",
                                  "accurate",
                                  "proper",
                                  "valid",
                                  "appropriate",
                                  "suitable",
                                  "actual",
                                  "real",
                                  "exact",
                                  "official",
                                  "definitive",
                                  "resulting",
                                  "required",
                                  "expected",
                                  "desired",
                                  "intended",
                                  "chosen",
                                  "selected",
                                  "closest",
                                  "nearest",
                                  "likeliest",
                                  "optimal",
                                  "ideal",
                                  "logical",
                                  "overall",
                                  "single",
                                  "short",
                                  "quick",
                                  "strongest",
                                  "simplest",
                                  "safest",
                                  "matching",
                                  "corresponding",
                                  "choice",
                                  "option",
                                  "letter",
                                  "multiple",
                                  "multiple-choice",
                                  "mc",
                                  "complete",
                                  "credited",
                                  "better",
                                  "preferred",
                                  "obvious",
                                  "clear",
                                  "unique",
                                  "sole",
                                  "remaining",
                                  "model",
                                  "direct",
                                  "concise",
                                  "probable",
                                  "plausible",
                                  "reasonable",
                                  "likely",
                                  "test",
                                  "quiz",
                                  "exam",
                                  "gold",
                                  "verified",
                                  "definite",
                                  "good",
                                  "predicted",
                                  "generated",
                                  "revised",
                                  "updated",
                                  "corrected",
                                  "new",
                                  "modified",
                                  "amended",
                                  "adjusted",
                                  "improved",
                                  "ultimate",
                                  "mathematically",
                                  "technically",
                                  "clearly",
                                  "uniquely",
                                  "conclusive",
                                  "quirky",
                                  "surprising",
                                  "unexpected",
                                  "counterintuitive",
                                  "interesting",
                                  "funny",
                                  "honest",
                                  "simple",
                                  "easy",
                                  "neat",
                                  "nice",
                                  "elegant",
                                  "beautiful",
                                  "boring",
                                  "sought",
                                  "requested",
                                  "computed",
                                  "calculated",
                                  "derived",
                                  "numerical",
                                  "numeric",
                                  "happy",
                                  "winning",
                                  "lucky"};

static bool is_fit(struct slice word) {
    return answer_starts(word, 0, "best-") || answer_is_in(word, FIT, N(FIT));
}

// What stands in front of a noun phrase and belongs to another answer.
static bool is_foreign_determiner(struct slice word) {
    static const char *const WORDS[] = {"a",     "an",    "another", "your",   "his", "her",
                                        "their", "other", "one",     "some",   "no",  "any",
                                        "every", "each",  "user",    "student"};
    return answer_is_in(word, WORDS, N(WORDS));
}

// "the", or the end of what is in front of the noun phrase.
static bool is_determiner(struct slice word) {
    static const char *const WORDS[] = {"the",    "these",  "those", "my",   "our",  "this",
                                        "that",   "its",    "so",    "thus", "then", "hence",
                                        "and",    "is",     "as",    "give", "mark", "pick",
                                        "select", "choose", "to",    "with", "of",   "therefore"};
    return answer_is_in(word, WORDS, N(WORDS)) ||
           (word.len > 0 && (unsigned char)word.ptr[0] >= 0x80);
}

// Whether words in front of the noun at `noun` make it another answer. `colon`: "Your answer: B" is
// the end of a prompt, said again.
static bool is_other_before(struct slice text, size_t noun, bool colon) {
    enum { MAX_WORDS = 5 };
    // "the only possible answer"
    static const char *const ONLY[] = {"possible", "viable",    "consistent", "sensible",
                                       "feasible", "allowed",   "acceptable", "workable",
                                       "tenable",  "surviving", "admissible", "defensible"};
    bool unfit = false;
    size_t at = noun;
    for (int n = 0; n < MAX_WORDS; n++) {
        const struct slice word = word_before(text, &at);
        if (answer_is_in(word, ONLY, N(ONLY))) {
            size_t before = at;
            if (answer_is_in(word_before(text, &before), (const char *const[]){"only", "sole"}, 2))
                continue;
        }
        if (is_foreign_determiner(word)) {
            const struct slice next = word_before(text, &at); // "the one correct answer"
            return !is_determiner(next) && !(colon && answer_is_word(word, 0, "your"));
        }
        if (is_determiner(word)) return unfit;
        if (answer_is_in(word, (const char *const[]){"least"}, 1)) return true;
        if (answer_is_in(word, (const char *const[]){"most"}, 1)) {
            unfit = false; // "the most elegant answer"
            continue;
        }
        if (word.len == 0) { // "Bad answer: B" at the start of a line
            const bool start = at == 0 || text.ptr[at - 1] == '\n';
            return unfit && n == 1 && start;
        }
        if (n > 0 && !is_fit(word) && unfit) return false; // a sentence: "we then choose answer"
        unfit |= !is_fit(word);
    }
    return false;
}

// "the answer to avoid is", "the option most students pick is": from..to is between the noun and
// its verb.
static bool is_other_behind(struct slice between) {
    static const char *const WORDS[] = {
        "avoid",      "reject",  "rejected",   "rule",     "ruled",     "eliminate",
        "eliminated", "exclude", "excluded",   "discard",  "discarded", "previous",
        "earlier",    "last",    "people",     "students", "many",      "everyone",
        "part",       "before",  "others",     "they",     "than",      "tempting",
        "fooled",     "trap",    "candidates", "wrongly",  "first",     "beginners",
        "ignore",     "dismiss", "user",       "he",       "she",       "least likely to be",
        "former",     "other",   "example",    "never",    "student",   "skip"};
    for (size_t at = 0; at < between.len; at++)
        if ((at == 0 || !ascii_is_alpha(between.ptr[at - 1])) &&
            answer_skip_phrase(between, at, WORDS, N(WORDS)) != at)
            return true;
    return false;
}

bool find_is_of_other(struct slice text, size_t noun, size_t end, size_t verb) {
    return is_other_before(text, noun, verb < text.len && text.ptr[verb] == ':') ||
           is_other_behind(answer_cut(text, end, verb));
}

// "anything but B", "all but B", "the other options than B", "e.g. B"
bool find_is_excepted(struct slice text, size_t start, size_t at) {
    static const char *const WORDS[] = {
        "anything but ", "everything but ",    "all but ",   "any but ",     "anything except ",
        "all except ",   "everything except ", "so is ",     "so does ",     "so would ",
        "as is ",        "used to be ",        "such as ",   "for example ", "for example, ",
        "for instance ", "for instance, ",     "except ",    "except for ",  "apart from ",
        "besides ",      "other than ",        "excluding ", "aside from "};
    static const char *const EXAMPLES[] = {"e.g. ", "e.g., ", "e.g.: ", "eg. "};
    static const char *const NOUNS[] = {"option ", "choice ", "answer ", "letter "};
    for (size_t noun; (noun = answer_back_phrase(text, start, at, NOUNS, N(NOUNS))) != at;)
        at = noun;
    if (answer_back_phrase(text, start, at, WORDS, N(WORDS)) != at) return true;
    if (answer_back_phrase(text, 0, at, EXAMPLES, N(EXAMPLES)) != at)
        return true; // behind what may look like the end of a sentence
    // "any option but B"
    static const char *const ALL[] = {"any", "every", "all", "anything", "everything", "each"};
    static const char *const OTHERS[] = {"other", "others", "different", "differs", "differ"};
    const bool but = at >= start + 4 && answer_starts(text, at - 4, "but ");
    const bool than = at >= start + 5 && answer_starts(text, at - 5, "than ");
    if (!but && !than) return false;
    for (size_t i = start; i < at; i++) {
        const size_t word = but ? answer_skip_phrase(text, i, ALL, N(ALL))
                                : answer_skip_phrase(text, i, OTHERS, N(OTHERS));
        if (word != i && (i == 0 || !ascii_is_alpha(text.ptr[i - 1])))
            return !(than && i >= 5 && answer_starts(text, i - 5, "none "));
    }
    return false;
}

bool find_names_other(struct slice text, size_t start, size_t end) {
    static const char *const NOUNS[] = {"answers", "answer", "options", "option",
                                        "choices", "choice", "letter"};
    static const char *const VERBS[] = {" is", " are", " was", " were", " would", " must"};
    for (size_t at = start; at < end; at++) {
        if (at > start && ascii_is_alpha(text.ptr[at - 1])) continue;
        const size_t behind = answer_skip_phrase(text, at, NOUNS, N(NOUNS));
        if (behind == at) continue;
        size_t verb = behind;
        while (verb < end && !answer_is_one_of(":,;", text.ptr[verb]) &&
               answer_skip_phrase(text, verb, VERBS, N(VERBS)) == verb)
            verb++;
        const bool verbal = verb < end && !answer_is_one_of(",;", text.ptr[verb]);
        if (verbal && find_is_of_other(text, at, behind, verb)) return true;
    }
    return false;
}

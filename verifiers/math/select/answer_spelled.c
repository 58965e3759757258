// A number in words that is the result of a last sentence: "Hence the farmer owns forty-two sheep."
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/base/change.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static struct slice piece(struct slice text, const struct answer_piece *p) {
    struct slice word = answer_piece_text(text, p);
    while (word.len && answer_is_one_of(".,;:!*_", word.ptr[word.len - 1])) word.len--;
    return word;
}

static bool is_number(struct slice text, const struct answer_piece *p) {
    const struct slice word = piece(text, p);
    return word.len && p->kind == PIECE_WORD && answer_number_words_end(word, 0) == word.len;
}

// The "and" of "three hundred and fifty" at p[at].
static bool is_joint(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const BEFORE[] = {"hundred", "thousand"};
    return p[at].kind == PIECE_JOINT && at + 1 < n && is_number(text, &p[at + 1]) &&
           answer_is_in(piece(text, &p[at - 1]), BEFORE, 2);
}

// Where "and a half", "and two thirds" behind a number ends, and at a sentence's end the "third" of
// "one third": its last piece, or `at`.
static int part_end(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const PARTS[] = {"half",  "third",    "thirds", "quarter",
                                        "fifth", "quarters", "fifths", "fourths"};
    if (at + 2 == n && answer_is_in(piece(text, &p[at + 1]), PARTS, N(PARTS))) return at + 1;
    if (at + 3 >= n || p[at + 1].kind != PIECE_JOINT) return at;
    const struct slice count = piece(text, &p[at + 2]);
    if (!slice_is(count, "a") && !is_number(text, &p[at + 2])) return at;
    return answer_is_in(piece(text, &p[at + 3]), PARTS, N(PARTS)) ? at + 3 : at;
}

int answer_clock_start(struct slice text, const struct answer_piece *p, int first) {
    static const char *const SIDES[] = {"past", "to"};
    static const char *const PARTS[] = {"half", "quarter"};
    if (first < 2 || !answer_is_in(piece(text, &p[first - 1]), SIDES, N(SIDES)) ||
        !answer_is_in(piece(text, &p[first - 2]), PARTS, N(PARTS)))
        return first;
    const bool article = first > 2 && slice_is(piece(text, &p[first - 3]), "a");
    return article ? first - 3 : first - 2;
}

bool answer_spelled_run(struct slice text, struct answer_piece *p, int n, int *first, int *last) {
    static const char *const VERBS[] = {
        "is",    "are",   "was",   "were",    "has",  "have",  "had",  "owns",   "needs", "gets",
        "makes", "costs", "earns", "be",      "sold", "pays",  "ate",  "bought", "left",  "equals",
        "takes", "saves", "spent", "exactly", "need", "baked", "sees", "made",   "read",  "total"};
    int n_runs = 0;
    for (int i = 0; i < n; i++) {
        if (p[i].kind == PIECE_MATH) return false;
        if (!is_number(text, &p[i])) continue;
        *first = i;
        while (i + 1 < n && (is_number(text, &p[i + 1]) || is_joint(text, p, n, i + 1))) i++;
        *last = part_end(text, p, n, i);
        i = *last;
        n_runs++;
    }
    if (n_runs != 1) return false;
    if (*last + 1 < n && change_word(piece(text, &p[*last + 1]))) return false; // "twelve dozen"
    const struct slice word = piece(text, &p[*first]);
    if (*first == *last && answer_is_in(word, (const char *const[]){"one", "zero"}, 2))
        return false;
    const int clock = answer_clock_start(text, p, *first);
    const bool is_clock = clock < *first;
    *first = clock;
    int verb = *first - 1;
    if (verb >= 0 && is_clock && slice_is(piece(text, &p[verb]), "at")) verb = -1;
    if (verb >= 0 && slice_is(piece(text, &p[verb]), "of")) verb--; // "a total of twelve"
    if (verb >= 0 && !answer_is_in(piece(text, &p[verb]), VERBS, N(VERBS))) return false;
    for (int i = *first; i <= *last; i++) p[i].kind = PIECE_MATH;
    return true;
}

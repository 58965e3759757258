// Clauses behind a number in a sentence: which of them only say more about it.
#include "verifiers/math/select/answer_clause.h"

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

bool answer_piece_is_operator(struct slice text, const struct answer_piece *p) {
    for (size_t i = p->from; i < p->to; i++)
        if (ascii_is_digit(text.ptr[i])) return false; // "-5,"
    return p->kind == PIECE_MATH && p->to - p->from <= 3 &&
           (!ascii_is_alnum(text.ptr[p->from]) && text.ptr[p->from] != '$');
}

// Whether a verb is among the words of p[from..n): then they go on to say something else.
bool answer_clause_has_verb(struct slice text, const struct answer_piece *p, int n, int from) {
    static const char *const VERBS[] = {"is",   "are",  "has",   "have",   "had",   "was",
                                        "were", "will", "gets",  "equals", "makes", "gives",
                                        "=",    "got",  "needs", "can",    "would", "leaves"};
    for (int i = from; i < n; i++) {
        const struct slice word = answer_piece_text(text, &p[i]);
        for (size_t k = 0; k < N(VERBS); k++)
            if (word.len == strlen(VERBS[k]) && answer_starts(word, 0, VERBS[k])) return true;
        if (memchr(word.ptr, '=', word.len)) return true;
    }
    return false;
}

bool answer_says_again(struct slice text, size_t at) {
    static const char *const WORDS[] = {"i.e.",    "namely",  "that is to say",
                                        "that is", "meaning", "in other words"};
    enum { N_ALWAYS = 2 }; // the others where a number follows
    at += at < text.len && text.ptr[at] == '(';
    for (size_t i = 0; i < N(WORDS); i++) {
        if (!answer_starts(text, at, WORDS[i])) continue;
        size_t next = at + strlen(WORDS[i]);
        while (next < text.len && answer_is_one_of(", $", text.ptr[next])) next++;
        return i < N_ALWAYS || (next < text.len && answer_is_digit(text, next)) ||
               answer_number_words_end(text, next) != next;
    }
    return false;
}

// A word with which a clause about the number before it begins: "which is", "since", "because".
static bool begins_reason(struct slice text, const struct answer_piece *p) {
    static const char *const WORDS[] = {"since",    "because", "which",   "i.e.",   "i.e.,",
                                        "as",       "where",   "namely",  "(which", "(since",
                                        "(because", "(i.e.",   "meaning", "given",  "e.g.,",
                                        "instead",  "(=",      "(out",    "having", "(see"};
    const struct slice word = answer_piece_text(text, p);
    if (answer_starts(text, p->from, "of which") || answer_says_again(text, p->from)) return true;
    for (size_t i = 0; i < N(WORDS); i++)
        if (word.len == strlen(WORDS[i]) && answer_starts(word, 0, WORDS[i])) return true;
    return false;
}

// "$150 a year, up from $100", "fell to $150 from $100": the words in front of the "from" at `at`.
static bool ends_change(struct slice text, const struct answer_piece *p, int at) {
    static const char *const WAYS[] = {"up", "down"};
    if (answer_is_in(answer_piece_text(text, &p[at - 1]), WAYS, 2)) return true;
    return at > 1 && p[at - 1].kind == PIECE_MATH &&
           slice_is(answer_piece_text(text, &p[at - 2]), "to");
}

// "45 miles after two hours and 135 miles at the end": another value of the same kind behind `at`.
static bool counts_again(struct slice text, const struct answer_piece *p, int n, int at) {
    int value = at - 1;
    while (value >= 0 && p[value].kind != PIECE_MATH) value--;
    if (value < 0 || value + 1 >= at) return false;
    const struct slice unit = answer_piece_text(text, &p[value + 1]);
    for (int i = at; i + 2 < n; i++)
        if (p[i].kind == PIECE_JOINT && p[i + 1].kind == PIECE_MATH &&
            slice_equal(unit, answer_piece_text(text, &p[i + 2])))
            return true;
    return false;
}

// "12 apples in her 3 baskets", "12 dollars on the 2 houses", "he will be 12 in 2030": the end of a
// sentence that tells where.
static bool is_place(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const PREPOSITIONS[] = {"in", "on", "from", "for", "across", "over"};
    static const char *const OWNERS[] = {"the", "his",   "her",   "their", "its",
                                         "our", "these", "those", "all"};
    if (!answer_is_in(answer_piece_text(text, &p[at]), PREPOSITIONS, N(PREPOSITIONS))) return false;
    if (at + 4 == n)
        return p[at + 2].kind == PIECE_MATH && p[at + 3].kind == PIECE_WORD &&
               answer_is_in(answer_piece_text(text, &p[at + 1]), OWNERS, N(OWNERS));
    const struct slice year = answer_piece_text(text, &p[at + 1]);
    return at + 2 == n && slice_is(answer_piece_text(text, &p[at]), "in") && year.len == 4 &&
           (answer_starts(year, 0, "19") || answer_starts(year, 0, "20")) &&
           ascii_is_digit(year.ptr[2]) && ascii_is_digit(year.ptr[3]);
}

// "8 of the 20 numbers are prime": behind the whole at p[at] words alone.
static bool tells_of_whole(struct slice text, const struct answer_piece *p, int n, int at) {
    if (at + 1 >= n || p[at].kind != PIECE_MATH) return false;
    for (int i = at + 1; i < n; i++)
        if (p[i].kind != PIECE_WORD && !slice_is(answer_piece_text(text, &p[i]), "a")) return false;
    return true;
}

// "12 dollars instead of 10", "12 dollars after spending 5", "12 dollars in 5 years", "12 of the
// 30": what stands behind the number only says more about it.
static bool begins_adjunct(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const WORDS[] = {"compared", "instead", "rather", "after",
                                        "before",   "versus",  "unlike"};
    static const char *const SPANS[] = {"years",   "year",   "months",  "month", "weeks",
                                        "week",    "days",   "day",     "hours", "hour",
                                        "minutes", "minute", "seconds", "second"};
    static const char *const ARTICLES[] = {"the", "his", "her", "their", "these", "those", "all"};
    const struct slice word = answer_piece_text(text, &p[at]);
    if (counts_again(text, p, n, at)) return false;
    const struct slice next =
        at + 1 < n ? answer_piece_text(text, &p[at + 1]) : (struct slice){"", 0};
    if (answer_is_in(word, WORDS, N(WORDS))) return !answer_clause_has_verb(text, p, n, at + 1);
    if (slice_is(word, "from") && at > 0 && ends_change(text, p, at))
        return !answer_clause_has_verb(text, p, n, at + 1);
    static const char *const MORE[] = {"more", "fewer", "less", "extra", "additional"};
    if (slice_is(word, "to") && at > 1 &&
        p[at - 1].kind == PIECE_WORD) { // "12 more eggs to have 30"
        const bool more =
            at > 2 && answer_is_in(answer_piece_text(text, &p[at - 2]), MORE, N(MORE));
        if (p[more ? at - 3 : at - 2].kind == PIECE_MATH)
            return at + 1 < n && p[at + 1].kind == PIECE_WORD &&
                   !answer_clause_has_verb(text, p, n, more ? at + 2 : at + 1);
    }
    if (slice_is(word, "not") && answer_is_one_of(",;", text.ptr[p[at - 1].to - 1]))
        return at + 2 == n && p[at + 1].kind == PIECE_MATH; // "12 days, not 13"
    if (slice_is(word, "of") && p[at - 1].kind == PIECE_MATH)
        return answer_is_in(next, ARTICLES, N(ARTICLES)) &&
               (!answer_clause_has_verb(text, p, n, at + 1) || tells_of_whole(text, p, n, at + 2));
    if (at + 1 < n && is_place(text, p, n, at)) return true;
    if (!slice_is(word, "in") || at + 3 != n || p[at + 1].kind != PIECE_MATH) return false;
    return answer_is_in(answer_piece_text(text, &p[at + 2]), SPANS, N(SPANS));
}

// "which is 12", "which gives 3 \cdot 4 = 12": the result stands in the clause. Not so where the
// clause takes the number apart: "which is $200 minus $130".
static bool concludes(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const RESULTS[] = {"gives", "makes",      "leaves", "equals", "yields",
                                          "means", "brings",     "comes",  "totals", "results",
                                          "leads", "simplifies", "becomes"};
    int n_math = 0;
    if (!answer_starts(text, p[at].from, "which") || at + 1 >= n) return false;
    const struct slice verb = answer_piece_text(text, &p[at + 1]);
    for (size_t i = 0; i < N(RESULTS); i++)
        if (verb.len == strlen(RESULTS[i]) && answer_starts(verb, 0, RESULTS[i])) return true;
    for (int i = at + 1; i < n; i++)
        n_math += p[i].kind == PIECE_MATH && !answer_piece_is_operator(text, &p[i]);
    const int last = p[n - 1].kind == PIECE_WORD ? n - 2 : n - 1; // "which is 160 minutes"
    return slice_is(verb, "is") && n_math == 1 && p[last].kind == PIECE_MATH;
}

// "72 clips, 48 of them in April": a part of what was counted.
static bool begins_part(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const WHOLES[] = {"them", "which", "these", "those", "whom"};
    return at + 2 < n && p[at].kind == PIECE_MATH &&
           slice_is(answer_piece_text(text, &p[at + 1]), "of") &&
           answer_is_in(answer_piece_text(text, &p[at + 2]), WHOLES, 5);
}

// "There are 6 ways: AB, AC, ...": of what is only counted a list is no answer.
static bool begins_listing(struct slice text, const struct answer_piece *p, int at) {
    static const char *const COUNTED[] = {
        "ways",    "cases", "possibilities", "outcomes", "arrangements", "combinations",
        "subsets", "paths", "permutations",  "orders",   "orderings",    "sequences"};
    if (at < 2 || text.ptr[p[at - 1].to - 1] != ':' || p[at - 1].kind != PIECE_WORD) return false;
    const struct slice noun = answer_cut(text, p[at - 1].from, p[at - 1].to - 1);
    const struct answer_piece *count = &p[at - 2];
    if (count->kind == PIECE_WORD && at > 2) count--; // "6 possible outcomes:"
    return answer_is_in(noun, COUNTED, N(COUNTED)) && count->kind == PIECE_MATH &&
           answer_is_one_of("0123456789$", text.ptr[count->to - 1]);
}

// "18 of them, 6 more than yesterday": how far it is from another number.
static bool begins_distance(struct slice text, const struct answer_piece *p, int n, int at) {
    static const char *const MORE[] = {"more", "less", "fewer"};
    for (int i = at + 1; i + 1 < n && i < at + 4; i++) // "6 eggs more than"
        if (answer_is_in(answer_piece_text(text, &p[i]), MORE, 3))
            return p[at].kind == PIECE_MATH && slice_is(answer_piece_text(text, &p[i + 1]), "than");
    return false;
}

// "15 down from 20, so 5 fewer", "84 before and 74 after": what is behind `at` comes to another
// value.
static bool goes_on(struct slice text, const struct answer_piece *p, int n, int at, bool joins) {
    static const char *const LINKS[] = {"so", "hence", "thus", "therefore", "leaving",
                                        "→",  "⇒",     "=>",   "⟹",         "->"};
    bool linked = false;
    for (int i = at > 0 ? at - 1 : at; i < n; i++) {
        const bool joined = joins && i > at && p[i - 1].kind == PIECE_JOINT;
        if (p[i].kind == PIECE_MATH && (linked || joined)) return true;
        linked |= answer_is_in(answer_piece_text(text, &p[i]), LINKS, N(LINKS));
    }
    return false;
}

static bool begins_aside(struct slice text, const struct answer_piece *p, int n, int i) {
    const bool pause = i > 0 && answer_is_one_of(",;:", text.ptr[p[i - 1].to - 1]);
    const bool sure = answer_starts(text, p[i].from, "because") ||
                      answer_says_again(text, p[i].from) || text.ptr[p[i].from] == '(' ||
                      answer_starts(text, p[i].from, "since ");
    if ((pause || sure) && begins_reason(text, &p[i])) return !concludes(text, p, n, i);
    if (pause && (begins_part(text, p, n, i) || begins_distance(text, p, n, i))) return true;
    if (begins_listing(text, p, i)) return true;
    return begins_adjunct(text, p, n, i);
}

// How many pieces of a sentence are left without a clause that only says why.
int answer_without_clauses(struct slice text, const struct answer_piece *p, int n) {
    bool math = false;
    for (int i = 0; i < n; i++) {
        if (math && answer_begins_attainment(text, p, n, i) && !goes_on(text, p, n, i, false))
            return i;
        if (math && begins_aside(text, p, n, i) && !goes_on(text, p, n, i, true)) return i;
        math |= p[i].kind == PIECE_MATH && !answer_piece_is_operator(text, &p[i]);
    }
    return n;
}

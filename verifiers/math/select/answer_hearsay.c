// A last sentence that tells what somebody else says, what was expected, or what would have been:
// "The textbook gives 7", "one might think it is 7", "it would have cost 7".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static bool is_one(struct slice text, const struct answer_piece *p, const char *const *list,
                   size_t n) {
    return answer_is_in(answer_piece_text(text, p), list, n);
}

// "One might think it is 7", "you may be tempted to say 7", "we expected 7"
static bool is_thought(struct slice text, const struct answer_piece *p, int first) {
    enum { MAX_BACK = 6 };
    static const char *const MODALS[] = {"might",  "may",  "would", "could",   "you'd",
                                         "people", "they", "one",   "tempted", "many"};
    static const char *const THINK[] = {"think",  "guess",   "say",    "expect",  "believe",
                                        "assume", "suppose", "answer", "imagine", "argue"};
    static const char *const HOPED[] = {"expected",    "hoped",   "guessed", "predicted", "feared",
                                        "anticipated", "thought", "assumed", "wanted"};
    static const char *const US[] = {"we", "i", "you", "one"};
    for (int i = first - 1; i > 0 && first - i <= MAX_BACK; i--) {
        if (answer_is_one_of(",;:", text.ptr[p[i].to - 1])) return false;
        const bool near = i + 1 == first || i + 3 >= first;
        if (near && is_one(text, &p[i], HOPED, N(HOPED)) && is_one(text, &p[i - 1], US, N(US)))
            return true;
        static const char *const HOPES[] = {"hopes", "wishes", "hoped", "dreams", "wished"};
        if (is_one(text, &p[i], HOPES, N(HOPES)) && i + 1 < first &&
            slice_is(answer_piece_text(text, &p[i + 1]), "to"))
            return true; // "she hopes to have 7"
        if (!is_one(text, &p[i], THINK, N(THINK))) continue;
        const bool to =
            i > 1 && slice_is(answer_piece_text(text, &p[i - 1]), "to"); // "tempted to say"
        if (is_one(text, &p[to ? i - 2 : i - 1], MODALS, N(MODALS))) return true;
    }
    return false;
}

static const char *const BOOKS[] = {"textbook",  "book",      "key",      "manual",   "teacher",
                                    "friend",    "classmate", "hint",     "internet", "forum",
                                    "author",    "student",   "sources",  "others",   "books",
                                    "website",   "wikipedia", "neighbor", "brother",  "sister",
                                    "professor", "tutor",     "source",   "expert",   "colleague"};
static const char *const GIVES[] = {"gives", "says", "has",      "lists",  "claims",  "states",
                                    "shows", "got",  "gave",     "said",   "claimed", "prints",
                                    "give",  "say",  "reports",  "wrote",  "finds",   "found",
                                    "gets",  "get",  "answered", "thinks", "suggests"};

// "The textbook gives 7": "her sister has 7 apples" may be what was asked for.
static bool is_of_book(struct slice text, const struct answer_piece *p, int first) {
    static const char *const PERSONS[] = {"friend",   "classmate", "student",   "brother", "sister",
                                          "neighbor", "colleague", "professor", "teacher", "tutor",
                                          "expert",   "author",    "others"};
    static const char *const OWN[] = {"has",   "got",   "gave", "gets", "gives",
                                      "found", "finds", "get",  "give"};
    if (first < 2 || !is_one(text, &p[first - 1], GIVES, N(GIVES)) ||
        !is_one(text, &p[first - 2], BOOKS, N(BOOKS)))
        return false;
    return !(is_one(text, &p[first - 2], PERSONS, N(PERSONS)) &&
             is_one(text, &p[first - 1], OWN, N(OWN)));
}

// "Without the discount, it would have cost 7", "ignoring the tax, we would get 7"
static bool is_unreal(struct slice text, const struct answer_piece *p, int first) {
    static const char *const STARTS[] = {"without",    "ignoring", "neglecting", "disregarding",
                                         "forgetting", "omitting", "otherwise"};
    static const char *const DONE[] = {"been", "cost", "paid", "had", "taken", "got", "made"};
    const bool starts = first > 0 && is_one(text, &p[0], STARTS, N(STARTS));
    for (int i = 0; i + 1 < first; i++) {
        const struct slice word = answer_piece_text(text, &p[i]);
        if (!slice_is(word, "would") && !slice_is(word, "we'd") && !slice_is(word, "you'd"))
            continue;
        if (starts) return true;
        if (i + 2 >= first || !slice_is(answer_piece_text(text, &p[i + 1]), "have")) continue;
        const struct slice verb = answer_piece_text(text, &p[i + 2]);
        if (answer_is_in(verb, DONE, N(DONE)) ||
            (verb.len > 3 && answer_starts(verb, verb.len - 2, "ed") &&
             p[i + 2].kind == PIECE_WORD))
            return true;
    }
    return false;
}

// "According to the solution manual, 7", "overcounting gives 7", "the uncorrected value is 7"
static bool is_of_source(struct slice text, const struct answer_piece *p, int first) {
    static const char *const SOURCES[] = {"manual",  "book",     "textbook", "key",
                                          "teacher", "internet", "friend",   "forum",
                                          "hint",    "website",  "wikipedia"};
    static const char *const SLIPS[] = {"overcounting", "undercounting", "double-counting",
                                        "miscounting",  "misreading",    "guessing"};
    static const char *const RAW[] = {"uncorrected", "unadjusted", "unrounded",  "erroneous",
                                      "faulty",      "mistaken",   "provisional"};
    for (int i = 0; i < first; i++) {
        struct slice word = answer_piece_text(text, &p[i]);
        if (word.len && word.ptr[word.len - 1] == ',') word.len--;
        if (answer_is_in(word, RAW, N(RAW)) && i + 3 >= first) return true;
        if (i == 0 && answer_is_in(word, SLIPS, N(SLIPS)) && first < 4) return true;
        if (i > 1 && slice_is(answer_piece_text(text, &p[0]), "According") &&
            answer_is_in(word, SOURCES, N(SOURCES)))
            return true;
    }
    return false;
}

// "There are not enough: only 7"
static bool is_not_enough(struct slice text, const struct answer_piece *p, int first) {
    for (int i = 0; i + 1 < first; i++)
        if (slice_is(answer_piece_text(text, &p[i]), "not") &&
            answer_is_word(text, p[i + 1].from, "enough"))
            return true;
    return false;
}

bool answer_is_hearsay(struct slice text, const struct answer_piece *p, int first) {
    return is_thought(text, p, first) || is_of_book(text, p, first) || is_unreal(text, p, first) ||
           is_not_enough(text, p, first) || is_of_source(text, p, first);
}

// "He had 7, so he needs more", "7 were thrown away, leaving none"
bool answer_leads_on(struct slice rest) {
    static const char *const LINKS[] = {", so ",
                                        ", hence ",
                                        ", therefore ",
                                        ", thus ",
                                        "; so ",
                                        "; hence ",
                                        " leaving no",
                                        ", which means ",
                                        " leaving nothing",
                                        ", contradiction",
                                        ", a contradiction",
                                        "; thus ",
                                        "; therefore "};
    for (size_t at = 0; at < rest.len; at++)
        for (size_t i = 0; answer_is_one_of(",; ", rest.ptr[at]) && i < N(LINKS); i++)
            if (answer_starts(rest, at, LINKS[i]) && !answer_starts(rest, at, ", so that"))
                return true;
    return false;
}

bool answer_is_said_elsewhere(struct slice text, size_t at, const struct answer_values *values) {
    static const char *const WHO[] = {"the answer key",
                                      "the key",
                                      "the book",
                                      "the textbook",
                                      "my textbook",
                                      "the official solution",
                                      "the official key",
                                      "the solution manual",
                                      "my teacher",
                                      "the teacher",
                                      "the manual",
                                      "the given answer",
                                      "the back of the book",
                                      "the reference",
                                      "the expected answer",
                                      "one"};
    static const char *const SAYS[] = {" says",
                                       " gives",
                                       " has",
                                       " lists",
                                       " claims",
                                       " states",
                                       " shows",
                                       " could also argue for",
                                       " could argue for",
                                       " might argue for",
                                       " would argue for",
                                       " could also say",
                                       " might also say",
                                       " may also say",
                                       " could also get",
                                       " could also answer"};
    const size_t who = answer_skip_phrase(text, at, WHO, N(WHO));
    const size_t says = who == at ? at : answer_skip_phrase(text, who, SAYS, N(SAYS));
    if (who == at || says == who) return false;
    size_t from = says;
    while (from < text.len && answer_is_one_of(" :,\"*", text.ptr[from])) from++;
    if (answer_is_word(text, from, "that it is")) from += strlen("that it is ");
    const size_t to = values->end(values->context, text, from);
    return to > from && answer_ends_clause(text, to, false);
}

// Remarks that come to a value by what they say before: "I forgot n = 0, so it is 13".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_opening.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static const char *const LINKS[] = {"so",          "hence",        "thus",   "making",
                                    "which makes", "therefore",    "giving", "leaving",
                                    "which gives", "which leaves", "we get"};
enum { N_BEGINNING = 6 }; // of them begin a sentence too

// One value, and no sum or list, which rather explains than corrects.
static bool is_single(struct slice value) {
    for (size_t i = 1; i < value.len; i++)
        if (answer_is_one_of("=+*|", value.ptr[i]) ||
            (answer_is_one_of("-,", value.ptr[i]) &&
             (value.ptr[i - 1] == ' ' || value.ptr[i] == ',') && i + 1 < value.len &&
             value.ptr[i + 1] == ' '))
            return false;
    return true;
}

// "I forgot n = 0": what was wrong.
static bool is_slip(struct slice text, size_t at) {
    static const char *const SLIPS[] = {
        "i forgot",         "i missed",      "i overlooked",  "i should have",  "i didn't",
        "i did not",        "i have missed", "i have not",    "i haven't",      "i double-counted",
        "i double counted", "i counted",     "i neglected",   "i ignored",      "i used the wrong",
        "we forgot",        "we missed",     "we overlooked", "we should have", "we didn't",
        "we did not",       "i also need",   "we also need",  "i need to",      "we need to",
        "that misses",      "this misses",   "that ignores",  "this ignores",   "i dropped",
        "i lost",           "i mixed",       "i swapped",     "i confused",     "i misplaced",
        "i skipped",        "i added",       "i left out",    "we must",        "i must"};
    return answer_skip_phrase(text, at, SLIPS, N(SLIPS)) != at;
}

bool answer_concludes(struct slice text, size_t at, const struct answer_opening *opening,
                      const struct answer_values *values, struct slice *value) {
    static const char *const GROUNDS[] = {"since", "because", "as", "given that"};
    const bool slip = is_slip(text, at), strong = opening->hard || opening->retract;
    const bool turned = slip || strong || opening->against;
    const bool ground = answer_skip_phrase(text, at, GROUNDS, N(GROUNDS)) != at;
    if (!turned && !answer_is_word(text, at, "since") && !answer_is_word(text, at, "because"))
        return false;
    const size_t end = answer_sentence_end(text, at);
    for (size_t i = at; i < end; i++) {
        if (text.ptr[i] != ' ' || i == 0) continue;
        // "since n is odd, it is 37", "I dropped a sign: -37"
        const bool colon = (slip || strong) && text.ptr[i - 1] == ':';
        const bool comma = (ground && text.ptr[i - 1] == ',') || colon;
        const size_t link = answer_skip_phrase(text, i + 1, LINKS, turned ? N(LINKS) : N_BEGINNING);
        if (link == i + 1 && !comma) continue;
        bool plain;
        const size_t verb = answer_skip_marks(text, link);
        const size_t from = answer_skip_copula(text, verb, slip || opening->again, &plain);
        const size_t to = values->end(values->context, text, from);
        const bool bare = from == verb; // "so 13"
        if (to == from || !answer_ends_clause(text, to, !bare || slip) || (bare && !turned))
            continue;
        *value = answer_cut(text, from, to);
        if (is_single(*value) || (!bare && !colon)) return true;
    }
    return false;
}

bool answer_begins_again(struct slice text, size_t at) {
    static const char *const WORDS[] = {"let me", "let us", "let's", "let’s", "i will", "i'll"};
    static const char *const VERBS[] = {"recompute", "recalculate",  "redo",        "re-do",
                                        "recount",   "re-calculate", "re-evaluate", "reconsider",
                                        "recheck",   "re-check",     "rework",      "check again"};
    at = answer_skip_marks(text, at);
    const size_t end = answer_skip_phrase(text, at, WORDS, N(WORDS));
    if (end == at || end >= text.len) return false;
    return answer_skip_phrase(text, end + 1, VERBS, N(VERBS)) != end + 1;
}

bool answer_results(struct slice text, size_t at, bool again, const struct answer_values *values,
                    struct slice *value) {
    bool plain;
    at = answer_skip_marks(text, at);
    const size_t link = answer_skip_phrase(text, at, LINKS, N_BEGINNING);
    if (link == at && !again) return false;
    const size_t verb = link == at ? at : answer_skip_marks(text, link);
    const size_t from = answer_skip_copula(text, verb, again, &plain);
    const size_t to = values->end(values->context, text, from);
    *value = answer_cut(text, from, to);
    return to > from && is_single(*value) &&
           (answer_skip_marks(text, to) == text.len || answer_is_called_right(text, to));
}

// What leaves a choice open that was named: "B if T is constant", "B, but C is more likely".
#include "verifiers/choice/choice.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_REST = 400 };

// "B, but C is more likely": the letter that is put above the one in front of `at`.
static choice_set preferred(const struct choice_options *o, struct slice text, struct slice folded,
                            size_t at) {
    static const char *const ABOVE[] = {"more",    "most",   "better", "best",     "likelier",
                                        "correct", "right",  "also",   "probably", "the",
                                        "likely",  "closer", "truer",  "as"};
    static const char *const BUT[] = {"but", "though", "although", "however,", "yet"};
    bool strong;
    size_t end, len;
    for (size_t i = at; i < text.len && i - at < MAX_REST && !answer_ends_sentence(text, i); i++) {
        if (text.ptr[i] != ' ') continue;
        const size_t but = answer_skip_phrase(text, i + 1, BUT, N(BUT));
        const size_t letter = answer_skip_spaces(text, but);
        if (but == i + 1 || letter >= text.len) continue;
        choice_set other = choice_letter(text, letter, &strong, &end);
        if (!other && (other = choice_option_at(o, text, folded, letter, &len)) != 0)
            end = letter + len;
        if (!other || !answer_starts(text, end, " is ")) continue;
        for (size_t k = 0; k < N(ABOVE); k++)
            if (answer_is_word(text, end + strlen(" is "), ABOVE[k])) return other;
    }
    return 0;
}

// "B if T is constant": said for one case only.
static bool is_conditioned(struct slice text, size_t at) {
    static const char *const IFS[] = {
        "if",        "only if",      "provided", "unless", "as long as", "so long as", "assuming",
        "only when", "on condition", "si",       "wenn",   "falls",      "если"};
    static const char *const OURS[] = {"i", "you", "we", "one", "anything", "not", "any"};
    while (at < text.len && answer_is_one_of(" ,*", text.ptr[at])) at++;
    for (size_t i = 0; i < N(IFS); i++) {
        if (!answer_is_word(text, at, IFS[i])) continue;
        const size_t next = answer_skip_spaces(text, at + strlen(IFS[i]));
        for (size_t k = 0; k < N(OURS); k++)
            if (answer_is_word(text, next, OURS[k])) return false;
        return true;
    }
    return false;
}

// "B in some cases", "B?": not for sure.
static bool is_partial(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "in some cases", "in certain cases", "in most cases", "sometimes",  "in part",
        "partly",        "partially",        "for some",      "under some", "under certain",
        "half the time", "일 수도",          "일지도",        "かもしれ"};
    while (at < text.len && answer_is_one_of("\"')]*", text.ptr[at])) at++;
    size_t mark = at;
    while (mark < text.len && answer_is_one_of(" ([", text.ptr[mark])) mark++;
    if (mark < text.len && text.ptr[mark] == '?') return true;
    const size_t next = answer_skip_spaces(text, at);
    return answer_skip_phrase(text, next, WORDS, N(WORDS)) != next;
}

// Past what only closes a statement, and one mark that goes on: "C, ", "C (", "C... ". `*stop`: a
// sentence ends there.
static size_t skip_close(struct slice text, size_t at, bool *stop) {
    *stop = false;
    for (; at < text.len && answer_is_one_of(" \t\r\n.,;:!\"'*_()[]-", text.ptr[at]); at++)
        *stop |= answer_ends_sentence(text, at) || text.ptr[at] == '\n';
    for (size_t i = at; answer_starts(text, i, "—") || answer_starts(text, i, "–"); i = at)
        at = answer_skip_spaces(text, i + strlen("—"));
    return at;
}

// "or not", "or maybe not", "maybe, maybe not"
static bool is_or_not(struct slice text, size_t at) {
    static const char *const WORDS[] = {"or", "maybe", "perhaps", "possibly", "probably"};
    size_t i = at;
    for (size_t next; (next = answer_skip_phrase(text, i, WORDS, N(WORDS))) != i; i = next)
        while (next < text.len && answer_is_one_of(" ,", text.ptr[next])) next++;
    if (i == at || !answer_is_word(text, i, "not")) return false;
    i += strlen("not");
    return i == text.len || answer_is_one_of(".,;)!*?\"'\n<", text.ptr[i]);
}

// "or something like that", "or the one below": what stands behind "or" is no choice, and no other
// way to say the same ("or equivalently 12 J", "or Rome").
static bool is_other_thing(struct slice text, size_t at) {
    static const char *const SAME[] = {"equivalently", "rather", "in",      "simply",
                                       "more",         "just",   "that is", "i.e",
                                       "if",           "option", "choice",  "answer"};
    static const char *const THE[] = {"the one",    "the other",  "the next",   "the previous",
                                      "the choice", "the option", "the letter", "the answer"};
    if (at >= text.len || !ascii_is_lower(text.ptr[at])) return false;
    if (answer_is_word(text, at, "the")) return answer_skip_phrase(text, at, THE, N(THE)) != at;
    if (at + 1 >= text.len || !ascii_is_alpha(text.ptr[at + 1])) return false;
    return answer_skip_phrase(text, at, SAME, N(SAME)) == at;
}

// "B and others", "B, among others", "B etc."
static bool is_one_of_several(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "etc",       "among others", "among other", "and others",    "and more",        "and so on",
        "and other", "and some",     "and similar", "and something", "and maybe others"};
    static const char *const ENDS[] = {"one of these", "one of them", "both",   "both of them",
                                       "all of them",  "either one",  "either", "any of them"};
    const size_t end = answer_skip_phrase(text, at, ENDS, N(ENDS));
    if (end != at && (end == text.len || answer_is_one_of(".!)\n", text.ptr[end]))) return true;
    return answer_skip_phrase(text, at, WORDS, N(WORDS)) != at;
}

// "B, or rather C"
static bool is_rather_letter(struct slice text, size_t at) {
    bool strong;
    size_t end;
    if (!answer_is_word(text, at, "rather")) return false;
    for (at += strlen("rather"); at < text.len && answer_is_one_of(", *(", text.ptr[at]);) at++;
    return choice_letter(text, at, &strong, &end) && ascii_is_upper(text.ptr[at]);
}

// "B or maybe not", "B or something like that", "B, among others": more is behind it.
static bool goes_on(const struct choice_options *o, struct slice text, struct slice folded,
                    size_t at) {
    bool stop, strong;
    size_t end;
    at = skip_close(text, at, &stop);
    if (is_or_not(text, at)) return true;
    if (stop) return false;
    if (is_one_of_several(text, at)) return true;
    if (!answer_is_word(text, at, "or")) return false;
    const size_t next = answer_skip_spaces(text, at + strlen("or"));
    if (is_rather_letter(text, next)) return true;
    if (next >= text.len || choice_letter(text, next, &strong, &end) ||
        choice_option_at(o, text, folded, next, &end))
        return false; // choice_joined takes it
    return is_other_thing(text, next);
}

// "it could go either way", "nobody knows": in the rest of the sentence at `at`.
static bool is_left_open(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "either way",  "nobody knows", "no one knows", "who knows",    "a toss-up",
        "a coin flip", "a coin toss",  "hard to say",  "hard to tell", "impossible to tell"};
    const size_t end = answer_sentence_end(text, at);
    for (size_t i = at; i < end; i++)
        if (text.ptr[i] == ' ' && answer_skip_phrase(text, i + 1, WORDS, N(WORDS)) != i + 1)
            return !answer_starts(text, i + 1, "either way,");
    return false;
}

// A capital by itself at `at`, also an A that goes on, which in mid-sentence is no article; or 0.
static choice_set capital_at(struct slice text, size_t at) {
    const bool alone = at < text.len && (at == 0 || !ascii_is_alnum(text.ptr[at - 1])) &&
                       (at + 1 == text.len || !ascii_is_alnum(text.ptr[at + 1]));
    return alone && text.ptr[at] >= 'A' && text.ptr[at] <= 'J' ? 1u << (text.ptr[at] - 'A') : 0;
}

// The letter that ends in front of `at`, or 0.
static choice_set letter_before(struct slice text, size_t at) {
    while (at > 0 && answer_is_one_of(" )]*\"'.,", text.ptr[at - 1])) at--;
    return at == 0 ? 0 : capital_at(text, at - 1);
}

// "so both are right", "which means both": at `at`, to the end of a clause.
static bool is_of_both(struct slice text, size_t at) {
    static const char *const SO[] = {"means", "meaning", "so",    "hence", "thus",
                                     "and",   "which",   "where", ",",     "therefore"};
    static const char *const BOTH[] = {" both", " either"};
    static const char *const GOOD[] = {
        " are correct",    " are right",    " are the answer", " are true",
        " are valid",      " fit",          " work",           " is right",
        " is fine",        " is correct",   " would be right", " are fine",
        " could be right", " works",        " are answers",    " are right answers",
        " are equal",      " are possible", " apply",          " are acceptable",
        " is acceptable",  " would work",   " can be right",   " hold",
        " must be right"};
    const size_t both = answer_skip_phrase(text, at, BOTH, N(BOTH));
    if (both == at || answer_back_phrase(text, 0, at, SO, N(SO)) == at) return false;
    const size_t end = answer_skip_phrase(text, both, GOOD, N(GOOD));
    return end == text.len || answer_is_one_of(".,;!)\n", text.ptr[end]);
}

// "B, since D is the same as B", "B, since B and D are equivalent": the letter beside `own` in the
// rest of the sentence at `at` that is put beside the letter at `letter`, or 0.
static choice_set same_as(struct slice text, choice_set own, choice_set letter, size_t end) {
    static const char *const SAME[] = {
        " is the same as",   " is identical to",   " is equivalent to",
        " says the same as", " means the same as", " is the same thing as",
        " amounts to",       " is equal to",       " equals"};
    static const char *const ARE[] = {" are the same", " are equivalent", " are identical",
                                      " say the same", " mean the same",  " are equal",
                                      " coincide",     " are both right", " are both correct",
                                      " are both true"};
    bool strong;
    size_t to;
    const size_t and = answer_starts(text, end, " and ") ? end + strlen(" and ") : end;
    const size_t next =
        and != end ? and : answer_skip_spaces(text, answer_skip_phrase(text, end, SAME, N(SAME)));
    if (next >= text.len || next == answer_skip_spaces(text, end)) return 0;
    const choice_set other = choice_letter(text, next, &strong, &to);
    if (!other || (letter | other) == own || !((letter | other) & own)) return 0;
    return and == end || answer_skip_phrase(text, to, ARE, N(ARE)) != to ? letter | other : 0;
}

// "B, since D is the same as B, which means both", "B, which means D as well": what the rest of
// the sentence puts beside the letter that ends at `at`.
static choice_set shared(struct slice text, size_t at) {
    static const char *const MEANS[] = {"means ", "so ", "meaning ", "mean "};
    static const char *const TOO[] = {" as well", " too"};
    const choice_set own = letter_before(text, at);
    choice_set others = 0, found = 0;
    for (size_t i = at; own && i < text.len && i - at < MAX_REST && !answer_ends_sentence(text, i);
         i++) {
        bool strong;
        size_t end;
        if (others && text.ptr[i] == ' ' && is_of_both(text, i)) return found | CHOICE_NONE;
        if (text.ptr[i] < 'A' || text.ptr[i] > 'J') continue;
        const choice_set letter = choice_letter(text, i, &strong, &end);
        if (!letter) continue;
        others |= letter & ~own;
        found |= same_as(text, own, letter, end);
        if (answer_back_phrase(text, at, i, MEANS, N(MEANS)) != i &&
            answer_skip_phrase(text, end, TOO, N(TOO)) != end)
            found |= letter;
    }
    return found;
}

choice_set choice_unsettled(const struct choice_options *o, struct slice text, struct slice folded,
                            size_t at) {
    const bool open = is_conditioned(text, at) || is_partial(text, at) ||
                      goes_on(o, text, folded, at) || is_left_open(text, at);
    return preferred(o, text, folded, at) | shared(text, at) | (open ? CHOICE_NONE : 0);
}

// "I would answer B, but the data do not support it", "I was about to say B": the letter is
// start..at, its sentence begins before it.
bool choice_is_only_meant(struct slice text, size_t at, size_t end) {
    static const char *const NEVER[] = {
        "about to",  "was going to", "were going to", "almost",       "nearly",
        "wanted to", "tempted to",   "used to",       "was ready to", "i'd have",
        "i’d have",  "would have",   "hesitate to"};
    static const char *const WOULD[] = {"would", "i'd",     "i’d",         "want to",
                                        "might", "like to", "inclined to", "lean"};
    static const char *const SURE[] = {
        "i'm not",        "i am not",         "it's close", "it is close", "i could be wrong",
        "i may be wrong", "i might be wrong", "only",       "just"};
    bool would = false;
    for (size_t i = answer_sentence_start(text, at); i < at; i++) {
        if (i > 0 && ascii_is_alpha(text.ptr[i - 1])) continue;
        if (answer_skip_phrase(text, i, NEVER, N(NEVER)) != i) return true;
        would |= answer_skip_phrase(text, i, WOULD, N(WOULD)) != i;
    }
    while (end < text.len && answer_is_one_of(" ,)*\"'", text.ptr[end])) end++;
    if (!would || !answer_is_word(text, end, "but")) return false;
    const size_t next = answer_skip_spaces(text, end + strlen("but"));
    return answer_skip_phrase(text, next, SURE, N(SURE)) == next;
}

// Where the first of the phrases that stands at `at` ends; words of scripts without spaces go on.
static size_t skip_any(struct slice text, size_t at, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)list[i][0] >= 0xE3 ? answer_starts(text, at, list[i])
                                              : answer_is_word(text, at, list[i]))
            return at + strlen(list[i]);
    return at;
}

// "Nein, doch C.", "いや、Cです": past a word that says no in another language and is one by
// itself, or `at`. "no" is for the remarks of all answers.
static size_t skip_no(struct slice text, size_t at) {
    static const char *const NO[] = {
        "nein",   "non",       "não",        "nee",    "nej",    "нет",  "不对", "不對",
        "错了",   "錯了",      "不",         "いいえ", "いや",   "違う", "아니", "아니요",
        "moment", "korrektur", "corrección", "perdón", "pardon", "等等", "更正"};
    size_t end = at;
    for (size_t i = 0; i < N(NO); i++)
        if (answer_starts(text, at, NO[i]) && at + strlen(NO[i]) > end) end = at + strlen(NO[i]);
    if (end == at || end == text.len) return end;
    if (answer_is_one_of(" ,.!:;\n", text.ptr[end])) return end;
    static const char *const MARKS[] = {"，", "。", "、", "！", "：", "；"};
    for (size_t i = 0; i < N(MARKS); i++)
        if (answer_starts(text, end, MARKS[i])) return end;
    return at;
}

// A letter behind nothing but pronouns, copulas and "also": "Could also be C.", "en fait c'est C".
static choice_set bare_letter(struct slice text, struct slice folded, size_t at) {
    enum { MAX_WORDS = 6 };
    static const char *const WORDS[] = {
        "it",     "that",    "this",    "c'est",    "es",       "ce",        "is",     "be",
        "could",  "might",   "may",     "also",     "equally",  "well",      "as",     "just",
        "maybe",  "perhaps", "or",      "possibly", "actually", "really",    "doch",   "en",
        "fait",   "in",      "fact",    "the",      "answer",   "correct",   "right",  "ist",
        "est",    "sondern", "sino",    "è",        "é",        "это",       "option", "choice",
        "letter", "la",      "réponse", "antwort",  "die",      "respuesta", "应该是", "应为",
        "是",     "選",      "选",      "正解は",   "答案是",   "正しくは",  "mais",   "pero",
        "aber",   "but",     "und",     "et",       "y",        "lo",        "siento"};
    bool strong;
    size_t end;
    for (int n = 0; n <= MAX_WORDS; n++) {
        for (size_t next; (next = answer_skip_marks(text, at)) != at;) at = next;
        while (answer_starts(text, at, "、") || answer_starts(text, at, "！")) at += strlen("、");
        const choice_set letter = at < text.len ? choice_letter(text, at, &strong, &end) : 0;
        const bool upper = letter && (ascii_is_upper(text.ptr[at]) || text.ptr[at] == '(');
        static const char *const CLOSES[] = {" as well", " too", "です", "だ",
                                             "입니다",   "。",   "」"};
        if (upper && strong) {
            size_t to = skip_any(text, end, CLOSES, N(CLOSES));
            while (to < text.len && answer_is_one_of(")*.!\"'", text.ptr[to])) to++;
            const bool ends = to == text.len || text.ptr[to] == '\n';
            if (ends || to != end || answer_starts(text, to, "。")) return ends ? letter : 0;
        }
        const size_t next = skip_any(folded, at, WORDS, N(WORDS));
        if (next == at) return 0;
        at = next;
    }
    return 0;
}

// "Then again, it could be D.": a letter that the sentence text[at, end) calls possible.
static choice_set possible_letter(struct slice text, size_t at, size_t end) {
    static const char *const MODALS[] = {"could be",      "might be",      "may be",
                                         "could also be", "might also be", "may also be",
                                         "could well be", "might well be", "may well be"};
    static const char *const SUBJECTS[] = {"it ", "answer "};
    for (size_t i = at; i < end; i++) {
        bool strong, subject = false;
        size_t to;
        const size_t verb = answer_skip_phrase(text, i, MODALS, N(MODALS));
        for (size_t k = 0; verb != i && k < N(SUBJECTS); k++) {
            const size_t len = strlen(SUBJECTS[k]);
            subject |= i >= len && answer_starts(text, i - len, SUBJECTS[k]);
        }
        const size_t from = subject ? answer_skip_spaces(text, verb) : end;
        if (from >= end) continue;
        const choice_set letter = choice_letter(text, from, &strong, &to);
        if (letter && strong && answer_ends_clause(text, to, true)) return letter;
    }
    return 0;
}

// "Alternative answer: D": the letter of a second choice in the sentence at `at`.
static choice_set second_letter(struct slice text, size_t at) {
    static const char *const WHICH[] = {"alternative", "alternatively", "other",     "another",
                                        "second",      "backup",        "runner-up", "also"};
    static const char *const NOUNS[] = {"possible", "answer", "choice", "option", "correct"};
    bool strong;
    size_t end = answer_skip_phrase(text, at, WHICH, N(WHICH)), to;
    if (end == at) return 0;
    for (size_t next = end;; end = next) {
        next = answer_skip_spaces(text, end);
        next = answer_skip_phrase(text, next, NOUNS, N(NOUNS));
        if (next == answer_skip_spaces(text, end)) break;
    }
    if (answer_starts(text, end, " is ")) end += strlen(" is ");
    while (end < text.len && answer_is_one_of(" :*", text.ptr[end])) end++;
    if (end >= text.len) return 0;
    const choice_set letter = choice_letter(text, end, &strong, &to);
    return letter && strong && answer_ends_clause(text, to, true) ? letter : 0;
}

// "D is just as likely": another letter that the sentence text[at, end) admits.
static choice_set admitted_letter(struct slice text, size_t at, size_t end) {
    for (size_t i = at; i < end; i++) {
        bool strong;
        size_t to;
        if (text.ptr[i] < 'A' || text.ptr[i] > 'J') continue;
        const choice_set letter = choice_letter(text, i, &strong, &to);
        if (letter && answer_admits(text, to)) return letter;
    }
    return 0;
}

// Whether a word that denies stands in text[start, at), not far in front of `at`.
static bool is_negated_before(struct slice text, size_t start, size_t at) {
    enum { MAX_BACK = 3 };
    static const char *const MORE[] = {"can't", "can’t", "unable", "hard", "difficult"};
    for (int n = 0; n < MAX_BACK; n++) {
        while (at > start && answer_is_one_of(" *_", text.ptr[at - 1])) at--;
        size_t from = at;
        while (from > start && !answer_is_one_of(" ,;:.!?\n(", text.ptr[from - 1])) from--;
        const struct slice word = answer_cut(text, from, at);
        if (word.len == 0) return false;
        if (answer_is_negation(word) || answer_is_in(word, MORE, N(MORE))) return true;
        at = from;
    }
    return false;
}

// "rule out A", "certain that it isn't A": where a letter may be that the words at `at` exclude, or
// SIZE_MAX.
static size_t excluded_at(struct slice text, size_t at) {
    static const char *const OUT[] = {"rule out", "exclude",  "dismiss", "eliminate",
                                      "discount", "disprove", "refute",  "reject"};
    static const char *const SURE[] = {"certain", "sure", "positive", "convinced", "prove", "say"};
    static const char *const ISNT[] = {" it isn't", " it's not",    " it is not",   " it isn’t",
                                       " it’s not", " it can't be", " it cannot be"};
    const size_t out = answer_skip_phrase(text, at, OUT, N(OUT));
    if (out != at)
        return answer_skip_spaces(text, out + (answer_is_word(text, out, " option") ? 7 : 0));
    size_t end = answer_skip_phrase(text, at, SURE, N(SURE));
    if (end == at) return SIZE_MAX;
    if (answer_is_word(text, end, " that")) end += strlen(" that");
    const size_t isnt = answer_skip_phrase(text, end, ISNT, N(ISNT));
    return isnt == end ? SIZE_MAX : answer_skip_spaces(text, isnt);
}

// "I can't be certain it isn't A", "I cannot rule out A", "A cannot be excluded": a letter that the
// sentences text[at, end) speak of and do not exclude.
static choice_set unexcluded_letter(struct slice text, size_t at, size_t end) {
    static const char *const STAYS[] = {
        " cannot be ruled out", " can't be ruled out", " can’t be ruled out",  " isn't ruled out",
        " is not ruled out",    " cannot be excluded", " can't be excluded",   " isn't excluded",
        " is not excluded",     " can't be dismissed", " cannot be dismissed", " remains possible",
        " remains a candidate"};
    choice_set found = 0;
    for (size_t i = at; i < end; i++) {
        const choice_set letter = capital_at(text, i);
        if (letter && answer_skip_phrase(text, i + 1, STAYS, N(STAYS)) != i + 1) found |= letter;
        if (!ascii_is_lower(text.ptr[i]) || (i > at && ascii_is_alnum(text.ptr[i - 1]))) continue;
        const size_t from = excluded_at(text, i);
        if (from < end && is_negated_before(text, at, i))
            found |= capital_at(text, from + (text.ptr[from] == '('));
    }
    return found;
}

choice_set choice_retorted(struct slice text, struct slice folded, size_t at, choice_set named) {
    size_t next = answer_sentence_end(text, at);
    static const char *const COMMAS[] = {"，", "、", ", ", "; ", ","};
    bool no = false;
    for (size_t i = at; i < next && !no; i++) // "答案是B，不，是C"
        for (size_t k = 0; k < N(COMMAS); k++)
            if (answer_starts(text, i, COMMAS[k]) &&
                skip_no(folded, i + strlen(COMMAS[k])) != i + strlen(COMMAS[k])) {
                next = i + strlen(COMMAS[k]);
                no = true;
                break;
            }
    next = answer_skip_marks(text, next);
    while (answer_starts(text, next, "！")) next = answer_skip_marks(text, next + strlen("！"));
    const size_t behind = skip_no(folded, next);
    no = behind != next;
    if (next < text.len) {
        const size_t end = answer_sentence_end(text, next);
        named |= possible_letter(text, next, end) | second_letter(text, next) |
                 admitted_letter(text, next, end) | unexcluded_letter(text, at, end);
    } else {
        named |= unexcluded_letter(text, at, text.len);
    }
    const choice_set other = bare_letter(text, folded, behind);
    if (other && !(other & named)) return no ? other : named | other;
    return no ? 0 : named;
}

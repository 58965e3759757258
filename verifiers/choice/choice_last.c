// What the last sentence names, where nothing is stated: "So it must be B.", an option's text.
#include "verifiers/choice/choice_find.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"

#define N(list) (sizeof(list) / sizeof *(list))

// Nothing but what joins letters: in "not A, B or C" all of them are denied.
static bool is_joint(struct slice text, size_t from, size_t to) {
    while (from < to) {
        if (answer_is_word(text, from, "and"))
            from += 3;
        else if (answer_is_word(text, from, "or"))
            from += 2;
        else if (answer_is_one_of(" ,/&()", text.ptr[from]))
            from++;
        else
            return false;
    }
    return true;
}

// Whether a text is too short for several sentences ("B vs. C"), or has no word ("B?? C").
static bool is_one_sentence(struct slice text) {
    enum { SHORT = 24, WORDLESS = 40 };
    for (size_t i = 0; i + 1 < text.len && text.len > SHORT; i++)
        if (ascii_is_alpha(text.ptr[i]) &&
            (ascii_is_alnum(text.ptr[i + 1]) || (unsigned char)text.ptr[i + 1] >= 0x80))
            return false;
    return text.len <= WORDLESS;
}

// "as good as option C", "(A) is better than (C)": another one is compared with it.
static bool is_compared(struct slice text, size_t start, size_t at) {
    static const char *const WORDS[] = {
        "as good as ",    "as likely as ", "as right as ",  "as well as ",     "similar to ",
        "close to ",      "better than ",  "worse than ",   "likely than ",    "likelier than ",
        "stronger than ", "weaker than ",  "correct than ", "plausible than ", "accurate than ",
        "closer than ",   "precise than ", "complete than "};
    static const char *const NOUNS[] = {"option ", "choice ", "answer "};
    for (size_t noun; (noun = answer_back_phrase(text, start, at, NOUNS, N(NOUNS))) != at;)
        at = noun;
    return answer_back_phrase(text, start, at, WORDS, N(WORDS)) != at;
}

// "A, B and C are wrong, so it must be D": letters of the list that goes on at `at`.
static bool are_wrong(struct slice text, size_t at) {
    static const char *const VERDICTS[] = {
        "are wrong",    "are incorrect",   "are false",      "are not",      "are all wrong",
        "aren't",       "are out",         "are eliminated", "are excluded", "are ruled",
        "cannot",       "can't",           "do not",         "don't",        "are both wrong",
        "fail",         "are impossible",  "are too",        "are invalid",  "can be eliminated",
        "can be ruled", "can be excluded", "must be wrong",  "were wrong"};
    while (at < text.len) {
        bool strong;
        size_t end;
        for (size_t i = 0; i < N(VERDICTS); i++)
            if (answer_is_word(text, at, VERDICTS[i])) return true;
        if (answer_is_word(text, at, "and") || answer_is_word(text, at, "or"))
            at += text.ptr[at] == 'a' ? 3 : 2;
        else if (answer_is_one_of(" ,&()", text.ptr[at]))
            at++;
        else if (choice_letter(text, at, &strong, &end))
            at = end;
        else
            return false;
    }
    return false;
}

// "Neither A nor C; B.": the letter at `at` is what is left when others are denied up to `from`.
static bool is_left(struct slice text, size_t from, size_t at) {
    return from > 0 && at == from + 2 && text.ptr[from] == ';';
}

// "CとDの", "B选项不": a script without spaces goes on behind the letter that ends at `at`, to say
// something of it.
static bool is_subject_abroad(struct slice text, size_t at) {
    static const char *const ENDS[] = {"。",   "！", "」",   "です", "だ",   "である", "입니다",
                                       "이다", "임", "예요", "번",   "选项", "，因",   "、"};
    if (at >= text.len || (unsigned char)text.ptr[at] < 0xE3) return false;
    for (size_t i = 0; i < N(ENDS); i++)
        if (answer_starts(text, at, ENDS[i]))
            return strcmp(ENDS[i], "选项") == 0 && answer_starts(text, at + strlen("选项"), "不");
    return true;
}

// The letter at `at` as the last sentence from `start` on says it; 0 where it does not.
static choice_set said_letter(const struct finder *f, size_t start, size_t at, bool by_text,
                              bool left, size_t *end) {
    const struct slice text = f->text;
    bool strong;
    choice_set letter = choice_letter(text, at, &strong, end);
    const bool other = at >= start + 3 && answer_is_word(text, at - 3, "or"); // "Rome, or A"
    if (!letter || !strong || (by_text && text.ptr[at] != '(' && !other)) return 0;
    const bool bracket = answer_is_one_of("([", text.ptr[at]);
    const char c = text.ptr[at + bracket];
    const bool sure =
        (left && ascii_is_upper(c)) || (bracket && ascii_is_upper(c)) ||
        ((bracket || (ascii_is_upper(c) && c != 'I')) && find_is_said(text, start, at));
    const bool question = letter == 1 && at == start && answer_starts(text, *end, ":"); // "A: 5"
    if (at >= start + 3 && answer_starts(text, at - 3, "no ")) return 0;
    if (find_is_excepted(text, start, at) || is_compared(text, start, at) || are_wrong(text, *end))
        return 0;
    if (!sure || question || choice_is_subject(text, *end)) return 0;
    const size_t next = answer_skip_spaces(text, *end);
    if (next < text.len && text.ptr[next] == '=') return 0; // "E = mc^2"
    static const char *const DENIED[] = {"it isn't", "it isn’t", "it is not", "it's not"};
    if (answer_skip_phrase(text, next, DENIED, N(DENIED)) != next) return 0; // "B it isn't"
    if (is_subject_abroad(text, *end) || find_is_denied_in_clause(text, start, at)) return 0;
    if (answer_is_word(text, next, "is as")) return letter | CHOICE_NONE; // "B is as good as D"
    if (choice_is_only_meant(text, at, *end) || choice_denied_abroad(text, start, at)) return 0;
    size_t from;
    letter |= find_joined_before(text, at, &from); // "between A and B"
    letter |= choice_unsettled(f->options, text, f->both.folded, *end);
    return letter | choice_joined(f->options, text, f->both.folded, *end, end);
}

// Behind a clause in front that says why: "Because Paris is in France, it is Rome."
static size_t claim_start(struct slice text, size_t start, size_t end) {
    const size_t at = answer_skip_spaces(text, start);
    if (!answer_is_word(text, at, "because") && !answer_is_word(text, at, "since")) return start;
    const char *comma = memchr(text.ptr + at, ',', end > at ? end - at : 0);
    return comma ? (size_t)(comma - text.ptr) : start;
}

// Where the clause that says why starts in text[start, end), or `end`.
static size_t reason_start(struct slice text, size_t start, size_t end) {
    for (size_t i = start; i < end; i++)
        if (text.ptr[i] == ' ' &&
            (answer_is_word(text, i, " because") || answer_is_word(text, i, " since")))
            return i;
    return end;
}

// "Option C (Rome)", "D, also known as Rome": a letter with the text of another option beside it.
static choice_set letter_in_front(const struct finder *f, size_t at, choice_set named) {
    static const char *const LEADS[] = {"option", "choice", "letter",
                                        "answer", "it is",  "the answer is"};
    bool strong;
    size_t end;
    at = answer_skip_spaces(f->text, answer_skip_phrase(f->text, at, LEADS, N(LEADS)));
    const choice_set letter = choice_letter(f->text, at, &strong, &end);
    return letter && choice_apposed(f->options, f->text, f->both.folded, end) == named ? letter : 0;
}

// Where nothing is stated: the choices that the last sentence names.
choice_set find_in_last_sentence(const struct finder *f) {
    const struct slice text = f->text;
    size_t end = text.len;
    while (end > 0 && answer_is_space(text.ptr[end - 1])) end--;
    while (end > 3 && (answer_starts(text, end - 3, "。") || answer_starts(text, end - 3, "！")))
        end -= 3;
    if (end == 0 || text.ptr[end - 1] == '?' || find_ends_with_list(text)) return 0;
    const size_t start = is_one_sentence(text) ? 0 : answer_sentence_start(text, end - 1);
    const size_t first = answer_skip_spaces(text, answer_sentence_start(text, end - 1));
    if (answer_is_word(text, first, "or")) return 0; // "A? Or B."
    for (size_t i = start; i < end; i++)             // "Tom's answer is B."
        if (answer_is_word(text, i, "answer") && answer_is_of_another(answer_cut(text, start, i)))
            return 0;
    if (find_names_other(text, start, end)) return 0;
    bool strong;
    size_t letter_end; // "B is right. C is also right."
    if (start > 0 && choice_letter(text, first, &strong, &letter_end) &&
        answer_admits(text, letter_end))
        return 0;
    choice_set named = choice_named(f->options, &f->both, claim_start(text, start, end),
                                    reason_start(text, start, end));
    if (named) named |= letter_in_front(f, first, named);
    if (answer_is_word(text, first, "let") && !answer_starts(text, first, "let me") &&
        !answer_starts(text, first, "let us"))
        return 0;                                       // "Let it be B."
    const size_t but = choice_skip_denied(text, first); // "不是D，是C"
    const bool by_text = named;                         // "vitamin C" names no letter then
    size_t denied_to = 0;                               // behind the last letter that is denied
    for (size_t i = start; i < end; i++) {
        size_t to;
        if (!choice_letter(text, i, &strong, &to)) continue;
        if (answer_admits(text, to)) return 0; // "A, but B is also possible"
        if (!strong) continue;
        if (answer_is_denied_of(text, i, to, true, &CHOICE_LETTERS) ||
            (denied_to && is_joint(text, denied_to, i)))
            denied_to = to;
        else
            named |= said_letter(f, start, i, by_text,
                                 is_left(text, denied_to, i) || (but != first && i == but), &to);
        i = to - 1;
    }
    return named;
}

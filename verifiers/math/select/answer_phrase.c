// "The answer is ...", "Answer: ...", "A: ...".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/base/change.h"
#include "verifiers/math/base/numeral_abroad.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

enum {
    MAX_SUBJECT = 80, // bytes between "answer" and its verb
    MAX_WORDS = 60,   // bytes of an answer in words alone
    MAX_TRIED = 200,  // phrases that are looked at, the last ones
    FOREIGN_COST = 5, // a phrase of another language counts as so many: more words are looked for
};

#define N(list) (sizeof(list) / sizeof *(list))

// Skips white space and emphasis, and words that say nothing ("therefore").
static size_t skip_filler(struct slice text, size_t at) {
    static const char *const FILLER[] = {
        "therefore",  "thus",     "then",        "simply",     "exactly",    "just",
        "clearly",    "equal to", "indeed",      "now",        "hence",      "found to be",
        "given by",   "probably", "most likely", "likely",     "definitely", "certainly",
        "actually",   "also",     "still",       "only",       "obviously",  "approximately",
        "about",      "roughly",  "around",      "maybe",      "perhaps",    "possibly",
        "presumably", "surely",   "again",       "as follows", "either"};
    for (bool more = true; more;) {
        more = false;
        while (at < text.len && answer_is_one_of(" \t_:,", text.ptr[at])) at++;
        if (answer_starts(text, at, "\u00a0")) at += strlen("\u00a0");
        if (answer_starts(text, at, "\u3000")) at += strlen("\u3000");
        if (at < text.len && (unsigned char)text.ptr[at] >= 0xE2)
            at = answer_skip_symbols(text, at);
        while (at < text.len && text.ptr[at] == ' ') at++;
        for (size_t i = 0; i < N(FILLER); i++) {
            const size_t end = at + strlen(FILLER[i]);
            if (answer_starts(text, at, FILLER[i]) && end < text.len &&
                answer_is_one_of(" ,:", text.ptr[end])) {
                at = end;
                more = true;
            }
        }
    }
    return at;
}

// Past the end of the line and emphasis, to a value on a line of its own.
static size_t skip_lines(struct slice text, size_t at) {
    size_t i = at;
    while (i < text.len && answer_is_one_of("*_ }", text.ptr[i])) i++;
    if (i == text.len || !answer_is_one_of("\r\n", text.ptr[i])) return at;
    while (i < text.len && (answer_is_space(text.ptr[i]) || answer_is_one_of("*>", text.ptr[i])))
        i++;
    return i;
}

// Behind the word "answer" at `at`: where its value starts, or SIZE_MAX. Understands "answer: X",
// "answer = X", "answer to the question is X", "answer would be X", "answers are X", and a heading
// "Answer" with X on the next line.
static size_t phrase_value(struct slice text, size_t at, bool heading) {
    static const char *const VERBS[] = {" is ",
                                        " is:",
                                        " are ",
                                        " are:",
                                        " equals ",
                                        " would be ",
                                        " is\n",
                                        " must be ",
                                        " should be ",
                                        " will be ",
                                        " becomes ",
                                        " comes to ",
                                        " comes out to be "};
    size_t i = at;
    if (i < text.len && (text.ptr[i] == 's' || text.ptr[i] == 'S')) i++;
    if (heading && skip_lines(text, i) != i) return skip_lines(text, i);
    if (answer_is_changed_subject(answer_cut(text, i, text.len))) return SIZE_MAX;
    for (const size_t end = text.len - i < MAX_SUBJECT ? text.len : i + MAX_SUBJECT; i < end; i++) {
        const char c = text.ptr[i];
        const bool equals = c == '=' && answer_trim(answer_cut(text, at, i)).len == 0 &&
                            i + 1 < text.len && text.ptr[i + 1] != '=';
        if (c == ':' || equals) {
            do i = skip_filler(text, i + 1); // "**Answer:** 5"
            while (i < text.len && answer_is_one_of("*}", text.ptr[i]));
            return skip_lines(text, i);
        }
        if (c == ' ')
            for (size_t v = 0; v < N(VERBS); v++)
                if (answer_starts(text, i, VERBS[v]))
                    return skip_lines(text, skip_filler(text, i + strlen(VERBS[v]) - 1));
        if (answer_starts(text, i, " is\u00a0") || answer_starts(text, i, " is\u3000"))
            return skip_filler(text, i + strlen(" is"));
        if (c == '\n' || c == ',' || c == ';' || answer_ends_sentence(text, i)) break;
    }
    return SIZE_MAX;
}

// "we may check our answer: ..." states none.
static bool is_check(struct slice before) {
    static const char *const CHECKS[] = {"check",   "checking",   "verify",      "verifying",
                                         "confirm", "confirming", "double-check"};
    for (int n_words = 0; n_words < 2; n_words++) {
        before = answer_trim(before);
        size_t len = 0;
        while (len < before.len && !answer_is_space(before.ptr[before.len - 1 - len])) len++;
        for (size_t i = 0; i < N(CHECKS); i++)
            if (len == strlen(CHECKS[i]) && answer_starts(before, before.len - len, CHECKS[i]))
                return true;
        before.len -= len;
    }
    return false;
}

// A letter of a choice: "C.", "C because", but not "a" or "I think".
static bool is_choice(struct slice s) {
    if (s.ptr[0] < 'A' || s.ptr[0] > 'J') return false;
    if (s.len == 1 || answer_is_one_of(".,)*:;\n$\"'", s.ptr[1])) return true;
    return s.ptr[0] != 'A' && s.ptr[0] != 'I' && s.ptr[1] == ' ';
}

// "answer is 5" but not "answer is correct": behind a verb only what may be a value counts.
static bool is_value_start(struct slice text, size_t at) {
    struct slice s = answer_cut(text, at, text.len);
    while (s.len && answer_is_one_of("*_`\"'", s.ptr[0])) s = answer_cut(s, 1, s.len);
    if (answer_looks_like_value(s)) return true;
    if (s.len == 0 || !ascii_is_alpha(s.ptr[0])) return false;
    static const char *const WORDS[] = {"yes",    "no",       "true", "false", "option",
                                        "choice", "infinity", "zero", "none"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_is_word(s, 0, WORDS[i])) return true;
    if (s.len > 1 && answer_is_one_of(" =", s.ptr[1]) && memchr(s.ptr, '=', s.len < 4 ? s.len : 4))
        return true; // "x = 5"
    return is_choice(s);
}

// Words that are an answer of their own: few, and not "correct" or "the same as before".
static bool are_answer_words(struct slice value) {
    static const char *const OTHERS[] = {
        "correct",    "right", "wrong", "incorrect", "clear",   "not",      "known", "given",
        "found",      "in",    "as",    "that",      "this",    "these",    "it",    "what",
        "whatever",   "below", "above", "obvious",   "unique",  "obtained", "valid", "easy",
        "consistent", "we",    "you",   "I",         "because", "when",     "if",    "to"};
    for (size_t i = 0; i < N(OTHERS); i++)
        if (answer_is_word(value, 0, OTHERS[i])) return false;
    return value.len > 0 && value.len <= MAX_WORDS && ascii_is_alpha(value.ptr[0]);
}

// "Tuesday, because 30 mod 7 is 2": the word or two in front of the reason, else len 0.
static struct slice before_reason(struct slice value) {
    static const char *const REASONS[] = {", because ", " because ", ", since ", ", as "};
    for (size_t at = 1; at < value.len && at < MAX_WORDS; at++)
        for (size_t i = 0; i < N(REASONS); i++) {
            const struct slice words = answer_cut(value, 0, at);
            if (!answer_starts(value, at, REASONS[i])) continue;
            for (size_t k = 0; k < at; k++) // a sentence has its verb
                if (!ascii_is_alpha(words.ptr[k]) && !answer_is_one_of("*-", words.ptr[k]))
                    return answer_cut(value, 0, 0);
            return are_answer_words(words) ? words : answer_cut(value, 0, 0);
        }
    return answer_cut(value, 0, 0);
}

// Whether `s` closes more braces than it opens: {"answer": 5}.
static bool is_unbalanced(struct slice s) {
    int depth = 0;
    for (size_t i = 0; i < s.len; i++) depth += (s.ptr[i] == '{') - (s.ptr[i] == '}');
    return depth < 0;
}

// Without emojis behind it.
static struct slice without_symbols(struct slice value) {
    for (size_t i = 1; i < value.len; i++)
        if ((unsigned char)value.ptr[i] >= 0xE2 && answer_skip_symbols(value, i) == value.len)
            return answer_trim(answer_cut(value, 0, i));
    return value;
}

// Emphasis and quotes that end with the value: the opening ones were skipped with the filler or
// stand in front of the phrase.
static struct slice unwrap(struct slice value) {
    value = without_symbols(value);
    while (value.len && value.ptr[value.len - 1] == '}' && is_unbalanced(value))
        value = answer_trim(answer_cut(value, 0, value.len - 1));
    while (value.len > 1 && answer_is_one_of("*_`", value.ptr[0]))
        value = answer_trim(answer_cut(value, 1, value.len));
    while (value.len && answer_is_one_of("*_`", value.ptr[value.len - 1]))
        value = answer_trim(answer_cut(value, 0, value.len - 1));
    if (value.len && value.ptr[value.len - 1] == '.') { // "**5**."
        struct slice s = answer_cut(value, 0, value.len - 1);
        while (s.len && answer_is_one_of("*_`", s.ptr[s.len - 1])) s.len--;
        if (s.len < value.len - 1) value = s;
    }
    return value;
}

// A word that begins another clause, at a blank or comma of `s`.
static bool begins_clause(struct slice s, size_t at) {
    static const char *const WORDS[] = {
        " because", " since",   " as ", " which",  " when ",  " where ",  " so ",    " given ",
        " -- ",     " - since", " — ",  " (since", " using ", " by the ", " - hope", " :)"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_starts(s, at, WORDS[i])) return true;
    size_t i = at + 1;
    if (answer_is_one_of(", ", s.ptr[at]) &&
        answer_says_again(s, at + 1 + (i < s.len && s.ptr[i] == ' ')))
        return true;
    if (!answer_is_one_of(",;", s.ptr[at]) || i >= s.len || s.ptr[i] != ' ') return false;
    while (i < s.len && s.ptr[i] == ' ') i++;
    if (i + 2 < s.len && s.ptr[i] == 'a' && s.ptr[i + 1] == ' ' && ascii_is_alpha(s.ptr[i + 2]))
        return true; // ", a multiple of 3"
    return i + 1 < s.len && ascii_is_alpha(s.ptr[i]) && ascii_is_alpha(s.ptr[i + 1]) &&
           !answer_is_word(s, i, "and") && !answer_is_word(s, i, "or");
}

static bool has_one_of(struct slice text, const char *const *words, size_t n) {
    for (size_t at = 0; at < text.len; at++)
        for (size_t i = 0; i < n; i++)
            if (text.ptr[at] == words[i][0] && answer_starts(text, at, words[i]) &&
                !answer_starts(text, at, " not mistaken"))
                return true;
    return false;
}

// Whether what is behind an answer names another one.
static bool names_more(struct slice rest) {
    static const char *const WORDS[] = {
        " or ",       " maybe ",    " perhaps ",      " possibly ",    " could ",     " might ",
        " also ",     " either ",   " in the second", " in the other", " unless ",    " but ",
        " not ",      " else ",     " otherwise ",    " alternative",  " and $",      " and \\(",
        "?",          " wrong",     " should ",       "(should ",      " failing ",   " corrected",
        "(corrected", "(exactly ",  ", exactly ",     "precisely ",    "(lower ",     "(upper ",
        "(a lower ",  "(an upper ", "(in thousand",   "(in million",   "(in hundred", "(in units",
        "(at least",  "(at most",   "(or more",       "(or less"};
    return has_one_of(rest, WORDS, N(WORDS));
}

// "36 pairs, so 72", "36, though 37 is better", "36, not": the clause behind `value` ends with
// another number, or in the air.
static bool turns(struct slice value, struct slice rest) {
    enum { N_AT_ONCE = 2 }; // behind which the number stands at once
    static const char *const LINKS[] = {" though ", " although ",    " so ",      " hence ",
                                        " thus ",   " therefore ",   " leaving ", " making ",
                                        " giving ", " which leaves "};
    rest = answer_trim(rest);
    while (rest.len && answer_is_one_of(".*_ ", rest.ptr[rest.len - 1])) rest.len--;
    if (rest.len == 0) return false;
    if (rest.len >= 3 && answer_is_word(rest, rest.len - 3, "not")) return true;
    if (rest.len >= 3 && answer_is_word(rest, rest.len - 3, " no")) return true;
    const struct slice lone =
        answer_trim(rest.ptr[0] == ',' ? answer_cut(rest, 1, rest.len) : rest);
    if (change_word(lone)) return true; // "36, doubled"
    for (size_t at = 0; at < rest.len; at++)
        for (size_t i = 0; rest.ptr[at] == ' ' && i < N(LINKS); i++) {
            if (!answer_starts(rest, at, LINKS[i])) continue;
            bool digit = false;
            size_t k = at + strlen(LINKS[i]);
            while (k < rest.len && answer_is_one_of(" $\\(*", rest.ptr[k])) k++;
            const size_t limit = i < N_AT_ONCE && k < rest.len ? k + 1 : rest.len;
            for (; k < limit; k++) digit |= ascii_is_digit(rest.ptr[k]);
            value = answer_trim(value);
            return digit && !memmem(rest.ptr + at, rest.len - at, value.ptr, value.len);
        }
    return false;
}

// A value without the clauses behind it, unless they name another one.
static struct slice without_clauses(struct slice value) {
    size_t to = 0;
    int depth = 0;
    for (size_t at = 1; at < value.len && to == 0; at++) {
        const size_t formula = answer_formula_end(value, at);
        depth += (value.ptr[at] == '(') - (value.ptr[at] == ')');
        if (formula != SIZE_MAX)
            at = formula - 1;
        else if (depth > 0) // "12 (i.e., twelve)"
            continue;
        else if (begins_clause(value, at) || answer_starts(value, at, "**"))
            to = at; // emphasis that opened in front of the value ends here
    }
    // "5, not 6" names 5 alone.
    const size_t rest = answer_starts(value, to, ", not ") ? to + 5 : to;
    if (to == 0 || names_more(answer_cut(value, rest, value.len)) ||
        turns(answer_cut(value, 0, to), answer_cut(value, to, value.len)))
        return value;
    return answer_trim(answer_cut(value, 0, to));
}

// The formulas with which a value begins, where words are behind them, or a number with a remark in
// parentheses behind it; else len 0.
static struct slice formulas(struct slice value) {
    size_t end = 0, to = 0;
    for (size_t at = 0; at < value.len; at = end) {
        end = answer_formula_end(value, at);
        if (end == SIZE_MAX) break;
        to = end;
        while (end < value.len && answer_is_one_of(" ,", value.ptr[end])) end++;
        if (answer_is_word(value, end, "and")) end += 3;
        if (answer_is_word(value, end, "or")) end += 2;
        while (end < value.len && value.ptr[end] == ' ') end++;
    }
    const char *remark = memmem(value.ptr, value.len, " (", 2);
    if (to == 0 && remark && ascii_is_digit(value.ptr[0]) && value.ptr[value.len - 1] == ')')
        to = (size_t)(remark - value.ptr);
    const struct slice rest = answer_cut(value, to, value.len);
    const size_t skip = answer_starts(rest, 0, " (not ") ? strlen(" (not ") : 0;
    const bool other = skip && !memmem(rest.ptr, rest.len, " or ", 4) &&
                       !memmem(rest.ptr, rest.len, " but ", 5) && rest.ptr[rest.len - 1] == ')';
    if (rest.len == 0 ||
        (!other && (names_more(rest) || change_words(answer_cut(rest, skip, rest.len)))))
        to = 0;
    return answer_cut(value, 0, to);
}

// Where the value that starts at `from` ends: a formula may go over several lines.
static size_t value_end(struct slice text, size_t from) {
    const size_t formula = answer_formula_end(text, from);
    return answer_sentence_end(text, formula == SIZE_MAX ? from : formula);
}

// Only markup in front of `at` on its line.
static bool opens_line(struct slice text, size_t at) {
    while (at > 0 && answer_is_one_of(" *_#>", text.ptr[at - 1])) at--;
    return at == 0 || text.ptr[at - 1] == '\n';
}

bool answer_names_other(struct slice rest) {
    static const char *const KEYS[] = {"\"alt",    "\"other",  "\"or\"",  "\"also", "\"second",
                                       "\"answer", "\"possib", "\"maybe", "\"final"};
    static const char *const VERDICTS[] = {"wrong\"", "incorrect\"", "rejected\"", "invalid\""};
    for (size_t at = 0; at < rest.len && at < ANSWER_MAX_SENTENCE; at++)
        for (size_t i = 0; rest.ptr[at] == '"' && i < N(KEYS); i++)
            if (answer_starts(rest, at, KEYS[i])) return true;
    for (size_t at = 0; at < rest.len && at < ANSWER_MAX_SENTENCE; at++)
        for (size_t i = 0; rest.ptr[at] == '"' && i < N(VERDICTS); i++)
            if (answer_starts(rest, at + 1, VERDICTS[i])) return true;
    return memmem(rest.ptr, rest.len, "correct\": false", strlen("correct\": false")) ||
           memmem(rest.ptr, rest.len, "valid\": false", strlen("valid\": false"));
}

// {"answer": "5", "unit": "m"}: the value behind the key at `at`, or len 0 and `*from` SIZE_MAX.
static struct slice member(struct slice text, size_t at, size_t *from) {
    *from = SIZE_MAX;
    size_t i = at + strlen("answer"), start = at;
    if (start >= 6 && answer_is_one_of("_- ", text.ptr[start - 1]) &&
        answer_starts(text, start - 6, "final"))
        start -= 6;
    if (start == 0 || text.ptr[start - 1] != '"' || i >= text.len || text.ptr[i] != '"')
        return answer_cut(text, 0, 0);
    for (i++; i < text.len && answer_is_one_of(" \t\r\n", text.ptr[i]); i++) {
    }
    if (i >= text.len || text.ptr[i] != ':') return answer_cut(text, 0, 0);
    for (i++; i < text.len && answer_is_one_of(" \t\r\n", text.ptr[i]); i++) {
    }
    if (i >= text.len) return answer_cut(text, 0, 0);
    *from = i; // whatever comes of it, the key states something
    const bool quoted = text.ptr[i] == '"', list = text.ptr[i] == '[';
    size_t end = quoted ? i + 1 : i;
    const size_t limit = text.len - i < ANSWER_MAX_SENTENCE ? text.len : i + ANSWER_MAX_SENTENCE;
    while (end < limit && !answer_is_one_of(quoted ? "\"" : list ? "]" : ",}\n", text.ptr[end]))
        end += quoted && text.ptr[end] == '\\' && end + 1 < limit ? 2 : 1;
    if (end >= limit && (quoted || list)) return answer_cut(text, i, i); // never closed
    *from = quoted ? i + 1 : i;
    if (answer_names_other(answer_cut(text, end, answer_line_end(text, end)))) end = *from;
    return answer_trim(answer_cut(text, *from, list ? end + 1 : end));
}

// "correct_answer" behind a key "answer" of its own: who wrote it knew both. "wrong_answer",
// "previous_answer" and the like are none.
static bool is_other_key(struct slice text, size_t at) {
    static const char KEY[] = "\"answer\"";
    static const char *const OWN[] = {"final",   "my",        "the",   "your",
                                      "correct", "numeric",   "short", "numerical",
                                      "model",   "predicted", "boxed", "exact"};
    const size_t end = at + strlen("answer");
    if (at == 0 || text.ptr[at - 1] != '_' || end >= text.len || text.ptr[end] != '"') return false;
    size_t start = at - 1;
    while (start > 0 && ascii_is_alpha(text.ptr[start - 1])) start--;
    if (!answer_is_in(answer_cut(text, start, at - 1), OWN, N(OWN))) return true;
    const struct slice before = answer_cut(text, answer_line_start(text, at), at);
    return memmem(before.ptr, before.len, KEY, strlen(KEY)) != NULL;
}

// "a:b = 2:5": what is behind the first colon.
static bool is_ratio(struct slice text, size_t at) {
    size_t i = at;
    while (i < text.len && ascii_is_alpha(text.ptr[i])) i++;
    if (i == at) return false;
    while (i < text.len && text.ptr[i] == ' ') i++;
    return i < text.len && text.ptr[i] == '=';
}

// The statement whose words start at `at`, if one does. Returns where its value starts, or
// SIZE_MAX.
static size_t read_phrase(struct slice text, size_t at, bool strong, struct answer *out) {
    const bool first =
        at == 0 || answer_is_one_of("\n*#_>{", text.ptr[at - 1]) ||
        (at > 1 && text.ptr[at - 1] == ' ' && answer_is_one_of("#\n", text.ptr[at - 2]));
    const bool titled = first || (at >= 6 && answer_starts(text, at - 6, "final "));
    const bool option =
        answer_starts(text, at, "A:") && opens_line(text, at) && !is_ratio(text, at + 2);
    size_t from;
    const struct slice value_of_key = member(text, at, &from);
    if (is_other_key(text, at)) return SIZE_MAX;
    if (from != SIZE_MAX) {
        *out = (struct answer){.n_parts = 1, .prose = true, .rule = "phrase"};
        out->parts[0] = value_of_key;
        return from;
    }
    if (option)
        from = skip_filler(text, at + 2);
    else if (answer_starts(text, at, "answer") &&
             (at == 0 ||
              !(ascii_is_alnum(text.ptr[at - 1]) || answer_is_one_of("<\\/", text.ptr[at - 1]))))
        from = phrase_value(text, at + 6, titled);
    if (from == SIZE_MAX || from >= text.len) return SIZE_MAX;
    const size_t to = option ? answer_line_end(text, from) : value_end(text, from);
    if (option && answer_starts(text, to + 1, "B:")) return SIZE_MAX; // one of several choices
    if (to < text.len && text.ptr[to] == '?') return SIZE_MAX;
    struct slice value = unwrap(answer_trim(answer_cut(text, from, to)));
    if (value.len == 0) return SIZE_MAX;
    struct answer inner = {0};
    const bool plain = is_value_start(text, from);
    if (!plain) {
        const bool colon = titled && memchr(text.ptr + at, ':', from - at);
        const struct slice words = before_reason(value);
        if (words.len) value = words;
        const bool expression = colon && answer_find_expression(value, &inner);
        if (!expression && ((strong && !colon) || !are_answer_words(value))) return SIZE_MAX;
    }
    const struct slice before = answer_cut(text, answer_sentence_start(text, at), at);
    if (is_check(before) || answer_is_of_another(before) || answer_is_denied(text, at, from, true))
        return SIZE_MAX;
    const bool endless =
        to - from >= ANSWER_MAX_SENTENCE && answer_formula_end(text, from) == SIZE_MAX;
    // No end in sight, or only said for a case: reads as nothing.
    if (endless || answer_is_conditioned(value)) value.len = 0;
    const struct slice whole = value;
    value = without_clauses(value);
    *out = (struct answer){.n_parts = 1, .parts = {value}, .prose = true, .rule = "phrase"};
    out->shorter = plain ? formulas(value) : inner.shorter.len ? inner.shorter : inner.parts[0];
    if (slice_equal(out->shorter, value)) out->shorter.len = 0;
    size_t clause = value.len;
    while (clause < whole.len && answer_is_one_of(", ", whole.ptr[clause])) clause++;
    if (clause < whole.len && answer_says_again(whole, clause)) { // its reading decides
        out->parts[0] = whole;
        out->shorter = value;
    }
    return from;
}

// Nothing but Chinese numerals, and words that count: "十二", "十二个".
static bool is_chinese_number(struct slice value) {
    static const char *const CHARACTERS[] = {"零", "〇", "一", "二", "两", "兩", "三", "四", "五",
                                             "六", "七", "八", "九", "十", "百", "千", "万", "萬",
                                             "个", "個", "只", "隻", "名", "人", "本", "件", "次"};
    size_t at = 0;
    for (size_t next = at; at < value.len; at = next) {
        for (size_t i = 0; i < N(CHARACTERS) && next == at; i++)
            if (answer_starts(value, at, CHARACTERS[i])) next += strlen(CHARACTERS[i]);
        if (next == at) return false;
    }
    return value.len > 0;
}

// "The answer is" in other languages, in front of what looks like a value, which starts at `from`.
static size_t read_foreign(struct slice text, size_t at, size_t from, struct answer *out) {
    while (from < text.len && answer_is_one_of("*_`", text.ptr[from])) from++;
    const size_t end = from < text.len ? value_end(text, from) : from;
    const size_t to = answer_other_denied(text, from, end);
    const struct slice value = unwrap(answer_trim(answer_cut(text, from, to)));
    const bool numeral = is_chinese_number(value) || numeral_abroad(value) >= 0;
    if ((!numeral && !answer_looks_like_value(value)) ||
        ((unsigned char)value.ptr[0] >= 0x80 && !answer_is_digit(value, 0) && !numeral &&
         !answer_starts(value, 0, "负") && !answer_starts(value, 0, "負")) ||
        answer_is_denied(text, at, from, true) || answer_is_denied_abroad(text, from))
        return SIZE_MAX;
    *out = (struct answer){.n_parts = 1, .parts = {value}, .prose = true, .rule = "phrase"};
    out->shorter = formulas(value);
    return from;
}

size_t answer_find_phrase(struct slice text, bool strong, struct answer *out) {
    int n_tried = 0;
    for (size_t i = text.len; i-- > 0 && n_tried < MAX_TRIED;) {
        size_t from = SIZE_MAX;
        if (!answer_may_begin(text.ptr[i])) continue;
        if (i > 0 && ascii_is_alpha(text.ptr[i - 1])) continue; // within a word
        if ((text.ptr[i] | 32) == 'a' &&
            (answer_starts(text, i, "answer") || answer_starts(text, i, "a:"))) {
            from = read_phrase(text, i, strong, out);
            n_tried++;
        } else if (answer_may_be_foreign(text, i)) {
            const size_t value = answer_foreign(text, i);
            if (value == SIZE_MAX) continue;
            from = read_foreign(text, i, value, out);
            n_tried += FOREIGN_COST;
        }
        if (from != SIZE_MAX) return from;
    }
    return SIZE_MAX;
}

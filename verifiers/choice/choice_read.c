// Reads a value: letters with or without brackets.
#include <stdint.h>

#include "protocol/base/utf8.h"
#include "verifiers/choice/choice.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_REST = 400 };

static bool is_letter_byte(char c) {
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80;
}

// Words that begin another clause: what is named behind them is no part of the answer.
static bool begins_clause(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "because",   "since",     "as",    "rather",    "instead",   "not",    "while",
        "unlike",    "whereas",   "but",   "so",        "which",     "where",  "when",
        "if",        "given",     "by",    "for",       "that",      "due",    "from",
        "with",      "therefore", "is",    "based",     "see",       "will",   "would",
        "must",      "was",       "gives", "has",       "fits",      "ruling", "eliminating",
        "excluding", "leaving",   "after", "rejecting", "discarding"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_is_word(text, at, WORDS[i])) return true;
    return false;
}

static bool joins_letters(struct slice text, size_t at) {
    static const char *const WORDS[] = {"or",   "and",  "vs",    "versus", "plus",    "nor",
                                        "oder", "und",  "ou",    "et",     "y",       "e",
                                        "then", "with", "to",    "else",   "through", "o",
                                        "или",  "либо", "eller", "oppure"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_is_word(text, at, WORDS[i])) return true;
    return false;
}

// "B以外", "B를 제외한": all but B.
static bool is_excepted_abroad(struct slice text, size_t at) {
    static const char *const WORDS[] = {"以外",    "之外",  "外",   "を除",  "을 제외",
                                        "를 제외", "를 빼", "を外", " 이외", "이외"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_starts(text, at, WORDS[i])) return true;
    return false;
}

// "B'dir" is "it is B" in Turkish.
static bool is_suffix(struct slice text, size_t at) {
    static const char *const SUFFIXES[] = {"'dir", "'dır", "'dur", "'dür", "'tir", "'tır"};
    for (size_t i = 0; i < N(SUFFIXES); i++) {
        const size_t end = at + strlen(SUFFIXES[i]);
        if (answer_starts(text, at, SUFFIXES[i]) && (end == text.len || text.ptr[end] == '.'))
            return true;
    }
    return false;
}

// "So B it is.", "B it is, then": behind the words at `at` with which the sentence ends, or `at`.
size_t choice_skip_it_is(struct slice text, size_t at) {
    if (!answer_is_word(text, at, "it is")) return at;
    size_t end = at + strlen("it is");
    if (answer_starts(text, end, ", then")) end += strlen(", then");
    return end == text.len || answer_is_one_of(".!\n", text.ptr[end]) ? end : at;
}

// "B cells", "C major", "E coli": the letter is a part of a name.
static bool is_kind(struct slice text, size_t at) {
    static const char *const WORDS[] = {"cell",  "cells",    "vitamin", "vitamins",  "lymphocytes",
                                        "major", "minor",    "flat",    "sharp",     "coli",
                                        "movie", "movies",   "battery", "batteries", "string",
                                        "note",  "language", "blood",   "chord",     "lymphocyte"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_is_word(text, at, WORDS[i])) return true;
    return false;
}

// Behind a letter at `end` that has no bracket: whether it stands for itself.
static bool stands_alone(struct slice text, size_t at, size_t end, bool *strong) {
    const char c = text.ptr[at];
    const bool upper = ascii_is_upper(c), article = c == 'A' || c == 'a' || c == 'I' || c == 'i';
    *strong = true;
    if (end == text.len) return true;
    const char next = text.ptr[end];
    if (next == '\'' && upper && is_suffix(text, end)) return true;
    if (next == '\'' && (at == 0 || text.ptr[at - 1] != '\'')) return false; // B'
    const bool last =
        end + 1 == text.len || !(is_letter_byte(text.ptr[end + 1]) || text.ptr[end + 1] == '(');
    if (next == '+' && last) return false; // B+, C++
    if (next == '"' && at > 0 && text.ptr[at - 1] == '"') return true;
    if (answer_is_one_of(".,:;!?)]}>\"'", next) || (next == '/' && upper)) {
        const bool more = end + 1 < text.len && is_letter_byte(text.ptr[end + 1]);
        return !more || next == ')' || (upper && answer_is_one_of(":/,", next));
    }
    if (next == '\n' || next == '<') return true;
    if (answer_starts(text, end, "”") || answer_starts(text, end, "»") ||
        answer_starts(text, end, "。") || answer_starts(text, end, "—"))
        return true;
    // Scripts that write no spaces go on at once: "B입니다".
    uint32_t wide = 0;
    if (is_excepted_abroad(text, end)) return false;
    if ((unsigned char)next >= 0x80)
        return upper && utf8_next(slice_from(text, end), &wide) > 0 && wide >= 0x2E80;
    if (next != ' ') return upper && answer_is_one_of("&|+", next);
    const size_t word = answer_skip_spaces(text, end);
    if (word == text.len || text.ptr[end] == '\n') return true;
    const bool clause = begins_clause(text, word);
    if (is_kind(text, word)) return false;
    if (!upper) return clause && !article;
    if (choice_skip_it_is(text, word) != word) return true;
    if (clause || answer_is_one_of("(-/&<=|+", text.ptr[word]) || answer_starts(text, word, "–") ||
        answer_starts(text, word, "—") || joins_letters(text, word) || text.ptr[word] == '\n')
        return true;
    *strong = false;
    return !article;
}

// Whether a letter at `at` is the rest of a word or of f(b). Chinese and its kin write no spaces.
static bool follows_word(struct slice text, size_t at) {
    uint32_t before;
    struct slice s = {text.ptr, at};
    if (at == 0) return false;
    if ((unsigned char)text.ptr[at - 1] < 0x80)
        return ascii_is_alnum(text.ptr[at - 1]) || answer_is_one_of("-\\^_([", text.ptr[at - 1]) ||
               (text.ptr[at - 1] == '\'' && at > 1 && is_letter_byte(text.ptr[at - 2]));
    return chars_last(&s, &before) && before < 0x2E80 && (char_classes(before) & CHAR_WORD);
}

choice_set choice_letter(struct slice text, size_t at, bool *strong, size_t *end) {
    size_t i = at;
    char close = 0;
    if (i < text.len && (text.ptr[i] == '(' || text.ptr[i] == '[')) {
        close = text.ptr[i] == '(' ? ')' : ']';
        i = answer_skip_spaces(text, i + 1);
    } else if (follows_word(text, i)) {
        return 0;
    }
    if (i >= text.len) return 0;
    const int k = ascii_upper(text.ptr[i]) - 'A';
    if (!ascii_is_alpha(text.ptr[i]) || k >= CHOICE_MAX) return 0;
    *end = i + 1;
    *strong = true;
    if (close) {
        const size_t behind = answer_skip_spaces(text, *end);
        if (behind < text.len && text.ptr[behind] == close) {
            // f(a) names no choice, and neither does "word(s)".
            if (at > 0 && is_letter_byte(text.ptr[at - 1])) return 0;
            *end = behind + 1;
            return 1u << k;
        }
        if (behind == *end && behind < text.len && !answer_is_one_of(".,:;/", text.ptr[behind]))
            return 0;
        if (ascii_is_lower(text.ptr[i])) return 0;
    }
    return stands_alone(text, i, *end, strong) ? 1u << k : 0;
}

// Past quotes and words that say that a choice follows.
static size_t skip_lead(struct slice text, size_t at) {
    static const char *const WORDS[] = {"option",  "choice",  "answer", "letter",
                                        "options", "choices", "the",    "either",
                                        "both",    "answers", "correct"};
    for (bool more = true; more;) {
        more = false;
        while (at < text.len && answer_is_one_of(" \t\r\n\"'#:><{", text.ptr[at])) at++;
        if (answer_starts(text, at, "“")) at += strlen("“"), more = true;
        if (answer_starts(text, at, "«")) at += strlen("«"), more = true;
        if (at < text.len && (unsigned char)text.ptr[at] >= 0xE2) {
            const size_t symbols = answer_skip_symbols(text, at); // "✅ B"
            more |= symbols != at;
            at = symbols;
        }
        for (size_t i = 0; i < N(WORDS); i++) {
            if (!answer_is_word(text, at, WORDS[i])) continue;
            const size_t end = at + strlen(WORDS[i]);
            if (end < text.len && !answer_is_one_of(" :(\n", text.ptr[end])) continue;
            at = end;
            more = true;
        }
    }
    return at;
}

// Whether one of the words stands in front of the letter at `at`; not so of "both A and C".
static bool is_behind(struct slice text, size_t from, size_t at) {
    static const char *const WORDS[] = {"or ", "and ", "is ", "be "};
    for (size_t i = 0; i < N(WORDS); i++) {
        const size_t len = strlen(WORDS[i]);
        if (at <= from + len + 2 || text.ptr[at - len - 1] != ' ' ||
            !answer_starts(text, at - len, WORDS[i]))
            continue;
        const size_t before = at - len - 2;
        return !(i == 1 && ascii_is_upper(text.ptr[before]) && text.ptr[before - 1] == ' ');
    }
    return false;
}

// "C in Europe", "C for the other".
static bool is_placed(struct slice text, size_t at) {
    static const char *const WORDS[] = {"in", "for", "on", "at", "under", "otherwise"};
    const size_t i = answer_skip_spaces(text, at);
    for (size_t k = 0; k < N(WORDS); k++)
        if (answer_is_word(text, i, WORDS[k])) return true;
    return false;
}

// "; to this one it is C": the letter with which a clause that begins at `at` ends.
static choice_set last_said(struct slice text, size_t at) {
    static const char *const VERBS[] = {" is ", " it is ", " must be "};
    bool strong;
    size_t end;
    for (size_t i = 0; i < N(VERBS); i++) {
        const size_t letter = at + strlen(VERBS[i]);
        if (!answer_starts(text, at, VERBS[i]) || letter >= text.len) continue;
        const choice_set other = choice_letter(text, letter, &strong, &end);
        const bool upper = other && (text.ptr[letter] == '(' || ascii_is_upper(text.ptr[letter]));
        if (upper && strong && (end == text.len || answer_is_one_of(".!;\n", text.ptr[end])))
            return other;
    }
    return 0;
}

// "for n even, for n odd it is D": the letter with which a sentence ends that told a case at `at`.
static choice_set said_of_case(struct slice text, size_t at) {
    static const char *const CASES[] = {"for", "if", "when", "in", "with"};
    static const char *const VERBS[] = {" it is ", " it's ", " the answer is "};
    if (answer_skip_phrase(text, at + 1, CASES, N(CASES)) == at + 1) return 0;
    for (size_t i = at; i < text.len && i - at < MAX_REST && !answer_ends_sentence(text, i); i++)
        for (size_t k = 0; text.ptr[i] == ' ' && k < N(VERBS); k++)
            if (answer_starts(text, i, VERBS[k])) return last_said(text, i + strlen(VERBS[k]) - 4);
    return 0;
}

// Other labels in the same sentence, "(A) 5 (B) 6", "A) 5 or B", up to the next clause.
static choice_set other_labels(struct slice text, size_t at) {
    choice_set found = 0;
    for (size_t i = at; i < text.len && i - at < MAX_REST && text.ptr[i] != '\n'; i++) {
        bool strong;
        size_t end;
        if (answer_ends_sentence(text, i)) break;
        if (text.ptr[i] == ' ' && begins_clause(text, i + 1))
            return found | last_said(text, i) | said_of_case(text, i);
        const bool bracket = answer_is_one_of("([", text.ptr[i]);
        if (i + 1 >= text.len || (i == at ? !bracket : !answer_is_one_of(" ,;)", text.ptr[i - 1])))
            continue;
        const choice_set other = choice_letter(text, i, &strong, &end);
        if (!other || !ascii_is_upper(text.ptr[i + bracket])) continue;
        const bool label = end < text.len && text.ptr[end] == ')';
        const bool joined = is_behind(text, at, i) && (strong || is_placed(text, end));
        if ((bracket || label || joined) && !choice_are_subjects(text, end + label)) found |= other;
    }
    return found;
}

// "A) 5" names two choices where 5 is the text of another one; "A. 5 is prime" gives a reason.
static bool is_digit_alone(struct slice text, size_t at) {
    const size_t end = at + 1;
    return ascii_is_digit(text.ptr[at]) &&
           (end == text.len || answer_is_one_of(".,;)\n", text.ptr[end]));
}

// Behind a letter: the text of its option, if that is another's, and other labels.
static choice_set read_beside(const struct choice_options *o, struct slice text,
                              struct slice folded, choice_set letter, size_t *end) {
    size_t i = *end, len = 0;
    const bool bracket = text.ptr[i - 1] == ')' || text.ptr[i - 1] == ']';
    const choice_set more = choice_unsettled(o, text, folded, i);
    const choice_set apposed = choice_apposed(o, text, folded, i);
    if (apposed && apposed != letter) return apposed | more;
    const size_t sign = answer_skip_spaces(text, i); // "E = mc^2"
    if (!bracket && !apposed && answer_starts(text, sign, "=") && !answer_starts(text, sign, "=>"))
        return more | CHOICE_NONE;
    if (!bracket && (i == text.len || !answer_is_one_of(".):]-", text.ptr[i])))
        return more | other_labels(text, i);
    while (i < text.len && answer_is_one_of(" .):]-\"\n", text.ptr[i])) i++;
    const choice_set beside = i < text.len ? choice_option_at(o, text, folded, i, &len) : 0;
    const bool own = len > 1 || (beside && is_digit_alone(text, i));
    if (beside && own) *end = i + len;
    return more | (own && beside != letter ? beside : 0) | other_labels(text, *end);
}

choice_set choice_read(const struct choice_options *options, struct choice_text value,
                       struct slice whole, struct arena *arena, size_t *end) {
    const struct slice text = value.text, folded = value.folded;
    size_t at = skip_lead(text, 0), len = 0;
    bool strong = false;
    *end = at;
    const choice_set all = choice_option_of(options, whole, arena);
    if (all) {
        *end = whole.len;
        return all | choice_unsettled(options, text, folded, *end);
    }
    if (answer_starts(text, at, "no ")) return 0;           // "no B"
    if (at < text.len && answer_is_word(text, at, "not")) { // "not A but B"
        size_t i = skip_lead(text, at + 3);
        if (!choice_letter(text, i, &strong, &i)) return 0;
        while (i < text.len && answer_is_one_of(" ,", text.ptr[i])) i++;
        if (!answer_is_word(text, i, "but")) return 0;
        at = skip_lead(text, i + 3);
        if (answer_is_word(text, at, "rather")) at = skip_lead(text, at + 6);
    }
    if (at >= text.len) return 0;
    choice_set found = choice_letter(text, at, &strong, end);
    const choice_set named =
        found && strong ? 0 : choice_option_at(options, text, folded, at, &len);
    if (named) {
        found = named;
        *end = at + len;
    } else if (found) {
        found |= read_beside(options, text, folded, found, end);
    } else {
        return 0;
    }
    if (named)
        found |= choice_unsettled(options, text, folded, *end) | choice_letter_apposed(text, *end);
    return found | choice_joined(options, text, folded, *end, end);
}

// Reads a value: letters with or without brackets, the texts of options, and what joins them.
#include <stdint.h>

#include "protocol/base/utf8.h"
#include "verifiers/choice/choice.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_JOINED = 16, MAX_REST = 400 };

static bool is_letter_byte(char c) {
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80;
}

// Words that begin another clause: what is named behind them is no part of the answer.
static bool begins_clause(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "because", "since", "as",   "rather", "instead", "not",  "while",     "unlike",
        "whereas", "but",   "so",   "which",  "where",   "when", "if",        "given",
        "by",      "for",   "that", "due",    "from",    "with", "therefore", "is",
        "based",   "see",   "will", "would",  "must",    "was",  "gives",     "has"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_is_word(text, at, WORDS[i])) return true;
    return false;
}

static size_t skip_spaces(struct slice text, size_t at) {
    while (at < text.len && answer_is_space(text.ptr[at])) at++;
    return at;
}

// Past one mark that is neither letter nor digit, or `at`.
static size_t skip_mark(struct slice text, size_t at) {
    uint32_t code = 0;
    const int size = at < text.len ? utf8_next(slice_from(text, at), &code) : 0;
    if (size == 0 || (char_classes(code) & CHAR_WORD) || code == '(' || code == '[') return at;
    return at + (size_t)size;
}

static bool joins_letters(struct slice text, size_t at) {
    static const char *const WORDS[] = {"or",   "and",  "vs", "versus", "plus",   "nor",
                                        "oder", "und",  "ou", "et",     "y",      "e",
                                        "then", "with", "to", "else",   "through"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_is_word(text, at, WORDS[i])) return true;
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

// Behind a letter at `end` that has no bracket: whether it stands for itself.
static bool stands_alone(struct slice text, size_t at, size_t end, bool *strong) {
    const char c = text.ptr[at];
    const bool upper = ascii_is_upper(c), article = c == 'A' || c == 'a' || c == 'I' || c == 'i';
    *strong = true;
    if (end == text.len) return true;
    const char next = text.ptr[end];
    if (next == '\'' && upper && is_suffix(text, end)) return true;
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
    if ((unsigned char)next >= 0x80)
        return upper && utf8_next(slice_from(text, end), &wide) > 0 && wide >= 0x2E80;
    if (next != ' ') return upper && answer_is_one_of("&|+", next);
    const size_t word = skip_spaces(text, end);
    if (word == text.len || text.ptr[end] == '\n') return true;
    const bool clause = begins_clause(text, word);
    if (!upper) return clause && !article;
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
        i = skip_spaces(text, i + 1);
    } else if (follows_word(text, i)) {
        return 0;
    }
    if (i >= text.len) return 0;
    const int k = ascii_upper(text.ptr[i]) - 'A';
    if (!ascii_is_alpha(text.ptr[i]) || k >= CHOICE_MAX) return 0;
    *end = i + 1;
    *strong = true;
    if (close) {
        const size_t behind = skip_spaces(text, *end);
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

// Whether text[from, to) can be an option's text: no part of a longer word, number or formula.
static bool is_bounded(struct slice text, size_t from, size_t to) {
    const char first = text.ptr[from], last = text.ptr[to - 1];
    const char before = from > 0 ? text.ptr[from - 1] : ' ';
    const char after = to < text.len ? text.ptr[to] : ' ';
    const char more = to + 1 < text.len ? text.ptr[to + 1] : ' ';
    const bool number = ascii_is_digit(first);
    if (is_letter_byte(first) && (is_letter_byte(before) || answer_is_one_of("-+*/^_.\\", before)))
        return false;
    if (is_letter_byte(last) && (is_letter_byte(after) || answer_is_one_of("%^+*/_<>(", after)))
        return false;
    if (answer_is_one_of(".,-'", after) && is_letter_byte(more) && is_letter_byte(last))
        return false;
    size_t i = from;
    while (i > 0 && text.ptr[i - 1] == ' ') i--;
    if (i > 0 && answer_is_one_of(number ? "+*/^<>-" : "+*/^<>", text.ptr[i - 1])) return false;
    i = to;
    while (i < text.len && text.ptr[i] == ' ') i++;
    return i == text.len || !answer_is_one_of("+*/^<>=", text.ptr[i]);
}

// The option whose text stands at `at`: the longest, as it is written before in another case. 0:
// none, or one cannot say which. `folded` is `text` in lower case.
static choice_set option_at(const struct choice_options *o, struct slice text, struct slice folded,
                            size_t at, size_t *len) {
    choice_set found = 0;
    bool exact = false;
    *len = 0;
    for (int i = 0; i < o->n; i++) {
        const size_t n = o->texts[i].len;
        if (n < *len || n > text.len - at || memcmp(folded.ptr + at, o->folded[i].ptr, n)) continue;
        const bool same = memcmp(text.ptr + at, o->texts[i].ptr, n) == 0;
        if (!is_bounded(text, at, at + n)) continue;
        if (n > *len || (same && !exact)) {
            *len = n;
            exact = same;
            found = 1u << i;
        } else if (same == exact) {
            found = 0;
        }
    }
    return found;
}

static bool equal_unspaced(struct slice a, struct slice b) {
    size_t i = 0, k = 0;
    for (;; i++, k++) {
        while (i < a.len && a.ptr[i] == ' ') i++;
        while (k < b.len && b.ptr[k] == ' ') k++;
        if (i == a.len || k == b.len) return i == a.len && k == b.len;
        if (a.ptr[i] != b.ptr[k]) return false;
    }
}

// The option that is the whole of a value of more than a letter.
static choice_set option_of(const struct choice_options *o, struct slice value,
                            struct arena *arena) {
    while (value.len && answer_is_one_of(" \"'\n!.", value.ptr[value.len - 1])) value.len--;
    while (value.len && answer_is_one_of(" \"'\n", value.ptr[0])) value = slice_from(value, 1);
    if (value.len < 2 || value.len > CHOICE_MAX_OPTION_BYTES || o->n == 0) return 0;
    const struct slice text = choice_collapse(value, arena), folded = choice_fold(text, arena);
    choice_set exact = 0, same = 0;
    for (int i = 0; i < o->n; i++) {
        if (slice_equal(o->texts[i], text)) exact |= 1u << i;
        if (slice_equal(o->folded[i], folded)) same |= 1u << i;
    }
    if (exact) same = exact;
    for (int i = 0; i < o->n && !same; i++) // "10^{-3} eV" and "10^{-3}eV"
        if (equal_unspaced(o->folded[i], folded)) exact |= 1u << i;
    if (!same) same = exact;
    return same & (same - 1) ? 0 : same;
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

// Past one of the words and the blanks and commas behind it, or `at`.
static size_t skip_one(struct slice text, size_t at, const char *const *words, size_t n) {
    for (size_t k = 0; k < n; k++) {
        if (!answer_is_word(text, at, words[k])) continue;
        at += strlen(words[k]);
        while (at < text.len && answer_is_one_of(" ,", text.ptr[at])) at++;
        break;
    }
    return at;
}

// Past "it could also be", "but it might be" and the like, or `at`.
static size_t skip_possibility(struct slice text, size_t at) {
    static const char *const LEADS[] = {"but", "though", "although", "however", "and", "or"};
    static const char *const SUBJECTS[] = {"it", "that", "the answer"};
    static const char *const VERBS[] = {"could", "might", "may", "can"};
    static const char *const FILLERS[] = {"also", "well", "just as well", "as well", "equally"};
    size_t i = skip_one(text, at, LEADS, N(LEADS));
    i = skip_one(text, i, SUBJECTS, N(SUBJECTS));
    const size_t verb = skip_one(text, i, VERBS, N(VERBS));
    if (verb == i) return at;
    i = skip_one(text, verb, FILLERS, N(FILLERS));
    return answer_is_word(text, i, "be") ? skip_spaces(text, i + 2) : at;
}

// Behind what joins two choices at `at`, or `at`. A new sentence goes on only with "or".
static size_t skip_joint(struct slice text, size_t at) {
    static const char *const WORDS[] = {"and/or",
                                        "and",
                                        "or else",
                                        "failing that",
                                        "alternatively",
                                        "or",
                                        "oder",
                                        "und",
                                        "ou",
                                        "et",
                                        "o",
                                        "y",
                                        "e",
                                        "または",
                                        "か",
                                        "또는",
                                        "혹은",
                                        "или",
                                        "veya",
                                        "ya da",
                                        "hoặc",
                                        "atau",
                                        "lub",
                                        "eller",
                                        "of",
                                        "або",
                                        "ή",
                                        "или же",
                                        "respectively",
                                        "xor",
                                        "或者",
                                        "或",
                                        "和",
                                        "possibly",
                                        "maybe",
                                        "perhaps",
                                        "alternatively",
                                        "plus",
                                        "as well as",
                                        "then",
                                        "vs",
                                        "versus",
                                        "also",
                                        "along with",
                                        "with",
                                        "to",
                                        "through",
                                        "else",
                                        "otherwise",
                                        "if not",
                                        "but also",
                                        "but maybe",
                                        "but possibly"};
    static const char *const FILLER[] = {"maybe",       "perhaps",    "possibly", "also",
                                         "even",        "option",     "choice",   "it is",
                                         "it could be", "it might be"};
    size_t i = at;
    bool stop = false, joint = false;
    for (size_t next; (next = skip_mark(text, i)) != i; i = next) {
        stop |= answer_is_one_of(".!?\n", text.ptr[i]);
        joint |= !answer_is_one_of(" \t\n\"'.!?)]", text.ptr[i]);
    }
    if (answer_is_word(text, i, "(but") || answer_is_word(text, i, "(though")) {
        i = skip_spaces(text, i + (text.ptr[i + 1] == 'b' ? 4 : 7));
        joint = true;
    }
    if (answer_is_word(text, i, "(or") || answer_is_word(text, i, "(maybe") ||
        answer_is_word(text, i, "(possibly") || answer_is_word(text, i, "(perhaps") ||
        answer_is_word(text, i, "(alternatively"))
        i++;
    const size_t possibility = skip_possibility(text, i);
    if (possibility != i) return possibility;
    for (size_t k = stop ? 2 : 0; k < N(WORDS); k++)
        if ((unsigned char)WORDS[k][0] < 0x80 ? answer_is_word(text, i, WORDS[k])
                                              : answer_starts(text, i, WORDS[k])) {
            i += strlen(WORDS[k]);
            if (i < text.len && answer_is_one_of(".,", text.ptr[i])) i++; // "vs.", "if not,"
            i = skip_spaces(text, i);
            joint = true;
            stop = false;
            break;
        }
    if (!joint || stop) return at;
    for (size_t k = 0; k < N(FILLER); k++)
        if (answer_is_word(text, i, FILLER[k])) i = skip_spaces(text, i + strlen(FILLER[k]));
    return i;
}

// "B, and C is wrong": the letter before `at` is the subject of another clause.
bool choice_is_subject(struct slice text, size_t at) {
    static const char *const VERBS[] = {"is",    "was",   "can",    "has",     "does",
                                        "would", "isn't", "cannot", "doesn't", "gives",
                                        "says",  "seems", "being"};
    static const char *const ALSO[] = {"also",      "possible",   "equally",   "another", "as",
                                       "plausible", "defensible", "arguable",  "fine",    "okay",
                                       "just",      "acceptable", "reasonable"};
    const size_t i = skip_spaces(text, at);
    for (size_t k = 0; k < N(VERBS); k++) {
        if (!answer_is_word(text, i, VERBS[k])) continue;
        const size_t next = skip_spaces(text, i + strlen(VERBS[k]));
        for (size_t n = 0; n < N(ALSO); n++) // "B is also possible" names one more
            if (answer_is_word(text, next, ALSO[n])) return false;
        return true;
    }
    return false;
}

// A letter that follows without a joint: "A B C", "A. B. C.". Returns where it starts, or `at`.
static size_t skip_gap(struct slice text, size_t at) {
    size_t i = at, end;
    bool strong;
    while (i < text.len && answer_is_one_of(" .?!", text.ptr[i])) i++;
    if (i == at || i >= text.len || !ascii_is_upper(text.ptr[i]) ||
        !choice_letter(text, i, &strong, &end) || choice_is_subject(text, end))
        return at;
    if (i - at > 1 || text.ptr[at] != ' ') // a new sentence starts with "A and C are wrong"
        return end == text.len || text.ptr[end] == '.' || text.ptr[end] == '\n' ? i : at;
    return i;
}

// "A if x > 0, otherwise B", "A when x is even, B when it is odd": the letters of the other cases.
static choice_set other_cases(struct slice text, size_t at) {
    static const char *const CASES[] = {"if", "when", "for", "unless", "in case", "in the"};
    static const char *const OTHERWISE[] = {"otherwise", "else", "or", "and", "then"};
    choice_set found = 0;
    size_t i = skip_spaces(text, at);
    if (skip_one(text, i, CASES, N(CASES)) == i) return 0;
    for (; i < text.len && i - at < MAX_REST && !answer_ends_sentence(text, i); i++) {
        bool strong;
        size_t end;
        if (text.ptr[i] != ' ' || i + 1 >= text.len) continue;
        const size_t letter = skip_one(text, i + 1, OTHERWISE, N(OTHERWISE));
        const bool joined = letter != i + 1 || text.ptr[i - 1] == ',' || text.ptr[i - 1] == ';';
        if (!joined || letter >= text.len || !ascii_is_upper(text.ptr[letter])) continue;
        const choice_set other = choice_letter(text, letter, &strong, &end);
        const size_t next = other ? skip_spaces(text, end) : 0;
        if (!other || (!strong && skip_one(text, next, CASES, N(CASES)) == next)) continue;
        if (next == text.len || answer_is_one_of(".,;", text.ptr[next]) ||
            skip_one(text, next, CASES, N(CASES)) != next ||
            answer_is_word(text, next, "otherwise"))
            found |= other;
    }
    return found;
}

// "B (60%), C (40%)", "B: 60%, C: 40%", "B (most likely), C (possible)": past the share of a
// choice, or `at`.
static size_t skip_share(struct slice text, size_t at) {
    enum { MAX_SHARE = 32 };
    static const char *const CHANCES[] = {"with probability", "with", "at"};
    size_t i = skip_spaces(text, at), end = i;
    if (i < text.len && text.ptr[i] == '(') {
        while (end < text.len && end - i < MAX_SHARE && !answer_is_one_of(")\n", text.ptr[end]))
            end++;
        for (size_t k = i; k < end; k++)
            if (ascii_is_upper(text.ptr[k])) return at; // "(though C is defensible)"
        return end < text.len && text.ptr[end] == ')' ? end + 1 : at;
    }
    if (i < text.len && answer_is_one_of(":=", text.ptr[i])) i = skip_spaces(text, i + 1);
    i = skip_one(text, i, CHANCES, N(CHANCES));
    for (end = i; end < text.len &&
                  (ascii_is_digit(text.ptr[end]) || (text.ptr[end] == '.' && end + 1 < text.len &&
                                                     ascii_is_digit(text.ptr[end + 1])));)
        end++;
    if (end == i) return at;
    return end < text.len && text.ptr[end] == '%' ? end + 1 : end;
}

choice_set choice_joined(const struct choice_options *o, struct slice text, struct slice folded,
                         size_t at, size_t *end) {
    choice_set found = 0;
    *end = at;
    for (int n = 0; n < MAX_JOINED; n++) {
        const size_t share = skip_share(text, *end);
        size_t joint = skip_joint(text, share);
        if (joint == share) joint = skip_joint(text, *end);
        const size_t i = joint == *end ? skip_gap(text, joint) : joint;
        size_t to = i, len;
        bool strong;
        if (i == *end || i >= text.len) break;
        choice_set next = choice_letter(text, i, &strong, &to);
        if (!next && (next = option_at(o, text, folded, i, &len)) != 0) to = i + len;
        if (!next || choice_is_subject(text, to)) break;
        found |= next;
        *end = to;
    }
    return found | other_cases(text, *end);
}

// Other labels in the same sentence, "(A) 5 (B) 6", "A) 5 or B", up to the next clause.
static choice_set other_labels(struct slice text, size_t at) {
    choice_set found = 0;
    for (size_t i = at; i < text.len && i - at < MAX_REST && text.ptr[i] != '\n'; i++) {
        bool strong;
        size_t end;
        if (answer_ends_sentence(text, i)) break;
        if (text.ptr[i] == ' ' && begins_clause(text, i + 1)) break;
        const bool bracket = answer_is_one_of("([", text.ptr[i]);
        if (i + 1 >= text.len || (i == at ? !bracket : !answer_is_one_of(" ,;)", text.ptr[i - 1])))
            continue;
        const choice_set other = choice_letter(text, i, &strong, &end);
        if (!other || !ascii_is_upper(text.ptr[i + bracket])) continue;
        const bool label = end < text.len && text.ptr[end] == ')';
        const bool joined = strong && i > at + 3 && answer_is_word(text, i - 3, "or");
        if ((bracket || label || joined) && !choice_is_subject(text, end + label)) found |= other;
    }
    return found;
}

// Behind a letter: the text of its option, if that is another's, and other labels.
static choice_set read_beside(const struct choice_options *o, struct slice text,
                              struct slice folded, choice_set letter, size_t *end) {
    size_t i = *end, len = 0;
    const bool bracket = text.ptr[i - 1] == ')' || text.ptr[i - 1] == ']';
    if (!bracket && (i == text.len || !answer_is_one_of(".):]-", text.ptr[i])))
        return other_labels(text, i);
    while (i < text.len && answer_is_one_of(" .):]-\"\n", text.ptr[i])) i++;
    const choice_set beside = i < text.len ? option_at(o, text, folded, i, &len) : 0;
    if (beside && len > 1) *end = i + len;
    return (len > 1 && beside != letter ? beside : 0) | other_labels(text, *end);
}

choice_set choice_read(const struct choice_options *options, struct choice_text value,
                       struct slice whole, struct arena *arena, size_t *end) {
    const struct slice text = value.text, folded = value.folded;
    size_t at = skip_lead(text, 0), len = 0;
    bool strong = false;
    *end = at;
    const choice_set all = option_of(options, whole, arena);
    if (all) {
        *end = whole.len;
        return all;
    }
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
    const choice_set named = found && strong ? 0 : option_at(options, text, folded, at, &len);
    if (named) {
        found = named;
        *end = at + len;
    } else if (found) {
        found |= read_beside(options, text, folded, found, end);
    } else {
        return 0;
    }
    return found | choice_joined(options, text, folded, *end, end);
}

choice_set choice_named(const struct choice_options *options, const struct choice_text *text,
                        size_t from, size_t to) {
    choice_set found = 0;
    if (options->n == 0) return 0;
    for (size_t i = from; i < to;) {
        size_t len;
        const struct slice part = {text->text.ptr, to};
        const choice_set option = option_at(options, part, text->folded, i, &len);
        if (option && !answer_is_denied(text->text, i, i + len, true)) found |= option;
        i += len ? len : 1;
    }
    return found;
}

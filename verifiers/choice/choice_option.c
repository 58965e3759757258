// The texts of options: where one stands, and those that a sentence names.
#include "verifiers/constraints/chars.h"
#include "verifiers/choice/choice.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/base/change.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static bool is_letter_byte(char c) {
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80;
}

// Behind an option's text and a blank: "12 more than 24", "Henry V" is more than that.
static bool is_longer(struct slice text, size_t at, bool number) {
    static const char *const WORDS[] = {"more", "less", "fewer", "times", "squared", "cubed"};
    for (size_t i = 0; number && i < N(WORDS); i++)
        if (answer_is_word(text, at, WORDS[i])) return true;
    size_t end = at;
    while (end < text.len && ascii_is_alpha(text.ptr[end])) end++; // "7 m/s faster than before"
    const bool compared = end > at + 3 && answer_starts(text, end - 2, "er");
    if ((compared || answer_is_word(text, at, "more") || answer_is_word(text, at, "less")) &&
        answer_is_word(text, end, " than"))
        return true;
    end = at;
    while (!number && end < text.len && answer_is_one_of("IVX", text.ptr[end])) end++;
    return end > at && (end == text.len || answer_is_one_of(".,;)\n", text.ptr[end]));
}

// Whether text[from, to) can be an option's text: no part of a longer word, number or formula.
static bool is_bounded(struct slice text, size_t from, size_t to) {
    const char first = text.ptr[from], last = text.ptr[to - 1];
    const char before = from > 0 ? text.ptr[from - 1] : ' ';
    const char after = to < text.len ? text.ptr[to] : ' ';
    const char more = to + 1 < text.len ? text.ptr[to + 1] : ' ';
    const bool number = ascii_is_digit(first);
    if (answer_is_one_of("!~", before) || (from > 1 && answer_starts(text, from - 2, "¬")))
        return false;
    if (is_letter_byte(first) && (is_letter_byte(before) || answer_is_one_of("-+*/^_.\\", before)))
        return false;
    if (is_letter_byte(last) && (is_letter_byte(after) || answer_is_one_of("%^+*/_<>(", after)))
        return false;
    if (answer_is_one_of(".,-'", after) && is_letter_byte(more) && is_letter_byte(last))
        return false;
    if (after == ' ' && is_longer(text, to + 1, ascii_is_digit(last))) return false;
    size_t i = from;
    while (i > 0 && text.ptr[i - 1] == ' ') i--;
    if (i > 0 && answer_is_one_of(number ? "+*/^<>-" : "+*/^<>", text.ptr[i - 1])) return false;
    i = to;
    while (i < text.len && text.ptr[i] == ' ') i++;
    return i == text.len || !answer_is_one_of("+*/^<>=", text.ptr[i]);
}

choice_set choice_option_at(const struct choice_options *o, struct slice text, struct slice folded,
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

choice_set choice_option_of(const struct choice_options *o, struct slice value,
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

static const char *const CHANGES[] = {"anything but ",
                                      "everything but ",
                                      "all but ",
                                      "near ",
                                      "anything except ",
                                      "unlike ",
                                      "next to ",
                                      "like ",
                                      "than ",
                                      "without ",
                                      "except ",
                                      "similar to ",
                                      "close to ",
                                      "related to ",
                                      "opposed to ",
                                      "followed by ",
                                      "preceded by ",
                                      "before ",
                                      "after ",
                                      "instead of ",
                                      "rather than ",
                                      "opposite of ",
                                      "reverse of ",
                                      "stage of ",
                                      "part of ",
                                      "phase of ",
                                      "half of ",
                                      "absence of ",
                                      "lack of ",
                                      "form of ",
                                      "version of ",
                                      "resembles ",
                                      "north of ",
                                      "south of ",
                                      "east of ",
                                      "west of ",
                                      "outside ",
                                      "not ",
                                      "besides ",
                                      "contrary of ",
                                      "inverse of ",
                                      "most of ",
                                      "dark ",
                                      "light ",
                                      "pale ",
                                      "deep ",
                                      "bright ",
                                      "partially ",
                                      "almost ",
                                      "nearly ",
                                      "hardly ",
                                      "barely ",
                                      "slightly ",
                                      "less ",
                                      "fewer ",
                                      "more ",
                                      "no "};

// "Paris or Rome", "anything but Rome", "near Rome": what is in front of an option's text.
static bool is_qualified(struct slice text, size_t from, size_t at, choice_set *found) {
    if (at >= from + 5 && answer_starts(text, at - 4, " or ")) *found |= CHOICE_NONE;
    static const char *const ARTICLES[] = {"the ", "a ", "an "};
    for (size_t i = 0; i < N(ARTICLES); i++) {
        const size_t len = strlen(ARTICLES[i]);
        if (at > from + len && text.ptr[at - len - 1] == ' ' &&
            answer_starts(text, at - len, ARTICLES[i])) {
            at -= len;
            break;
        }
    }
    return answer_back_phrase(text, from, at, CHANGES, N(CHANGES)) != at;
}

// "at least 6", "step 6", "6 years ago": the number at..end is another, or a bound, by the words
// beside it in text[from, to).
static bool is_other_number(struct slice text, size_t from, size_t at, size_t end, size_t to) {
    enum { MAX_PIECES = 5 };
    struct answer_piece pieces[MAX_PIECES + 1];
    int n = 0;
    size_t start = at;
    while (n < MAX_PIECES && start > from) { // the words in front, the last one first
        size_t stop = start;
        while (stop > from && answer_is_space(text.ptr[stop - 1])) stop--;
        start = stop;
        while (start > from && !answer_is_space(text.ptr[start - 1])) start--;
        if (start == stop) break;
        pieces[MAX_PIECES - 1 - n++] = (struct answer_piece){
            start, stop, ascii_is_digit(text.ptr[start]) ? PIECE_MATH : PIECE_WORD};
    }
    pieces[MAX_PIECES] = (struct answer_piece){at, end, PIECE_MATH};
    static const char *const ENDS[] = {"between", "from"}; // choice_joined takes the other
    if (n > 0 && answer_skip_phrase(text, pieces[MAX_PIECES - 1].from, ENDS, N(ENDS)) !=
                     pieces[MAX_PIECES - 1].from)
        return false;
    if (answer_is_changed_in_front(text, pieces + MAX_PIECES - n, n)) return true;
    static const char *const TIMES[] = {"ago", "earlier", "later"};
    const size_t behind = answer_skip_spaces(text, end);
    for (; end < to && !answer_ends_sentence(text, end); end++)
        if (text.ptr[end] == ' ' && answer_skip_phrase(text, end + 1, TIMES, N(TIMES)) != end + 1)
            return true;
    return behind < end && change_behind(answer_cut(text, behind, end));
}

choice_set choice_named(const struct choice_options *options, const struct choice_text *text,
                        size_t from, size_t to) {
    choice_set found = 0;
    if (options->n == 0) return 0;
    for (size_t i = from; i < to;) {
        size_t len;
        const struct slice part = {text->text.ptr, to};
        const choice_set option = choice_option_at(options, part, text->folded, i, &len);
        const bool number = option && ascii_is_digit(text->text.ptr[i]);
        if (number && is_other_number(text->text, from, i, i + len, to)) {
            i += len;
            continue;
        }
        static const char *const ABSENT[] = {" is absent", " are absent", " is missing",
                                             " are missing", " is lacking"};
        const bool absent =
            option && answer_skip_phrase(text->text, i + len, ABSENT, N(ABSENT)) != i + len;
        if (option && !absent && !is_qualified(text->text, from, i, &found) &&
            !answer_is_denied(text->text, i, i + len, true)) {
            size_t end;
            found |= option | choice_unsettled(options, part, text->folded, i + len) |
                     choice_letter_apposed(part, i + len);
            const bool unit = // "12 J"
                i + len + 1 < to && part.ptr[i + len] == ' ' &&
                ascii_is_upper(part.ptr[i + len + 1]);
            if (!unit) found |= choice_joined(options, part, text->folded, i + len, &end);
        }
        i += len ? len : 1;
    }
    return found;
}

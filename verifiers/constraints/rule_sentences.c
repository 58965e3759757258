// Sentences by the rules of IFEval's first splitter, which IF-RLVR's checkers use: every . ? and !
// ends a sentence but where a rule protects it (titles, initials, numbers, web addresses, companies
// and runs of dots). The rules are patterns that run one after the other over the whole text, each
// on what the ones before it left, and a match does not overlap the next one. Each of them is about
// a full stop and what stands close to it, so that here each full stop meets all rules in their
// order. tests/verifiers/constraints/test_rule_sentences.c has them one by one.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/rule_sentences.h"

// Bytes that UTF-8 does not have.
enum { PROTECTED = 0xFE, STOP = 0xFF, N_PASSES = 24 };

#define LETTER(c) ((uint64_t)1 << ((c) - 'A'))

struct word_list {
    uint64_t firsts; // their first letters, a bit each from 'A' on
    const char *words[21];
};

static const char *const TITLES[] = {"Mr", "St", "Mrs", "Ms", "Dr", NULL};
static const struct word_list SITES = {LETTER('c') | LETTER('n') | LETTER('o') | LETTER('i') |
                                           LETTER('g') | LETTER('e') | LETTER('m'),
                                       {"com", "net", "org", "io", "gov", "edu", "me", NULL}};
static const struct word_list COMPANIES = {LETTER('I') | LETTER('L') | LETTER('J') | LETTER('S') |
                                               LETTER('C'),
                                           {"Inc", "Ltd", "Jr", "Sr", "Co", NULL}};
// Words that start a sentence; one with a space at its end needs white space there.
static const struct word_list STARTERS = {
    LETTER('M') | LETTER('D') | LETTER('P') | LETTER('C') | LETTER('L') | LETTER('H') |
        LETTER('S') | LETTER('I') | LETTER('T') | LETTER('O') | LETTER('W') | LETTER('B'),
    {"Mr",  "Mrs",  "Ms",       "Dr",    "Prof",  "Capt",     "Cpt",
     "Lt",  "He ",  "She ",     "It ",   "They ", "Their ",   "Our ",
     "We ", "But ", "However ", "That ", "This ", "Wherever", NULL}};

static char at(struct slice s, size_t i) {
    return i < s.len ? s.ptr[i] : 0;
}

static bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_capital(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The length of the word of the list at `i`, or 0.
static size_t word_len(struct slice s, size_t i, const struct word_list *list) {
    if (!is_letter(at(s, i)) || !(list->firsts & LETTER(at(s, i)))) return 0;
    const struct slice rest = slice_part(s, i, s.len);
    for (const char *const *words = list->words; *words; words++) {
        if (**words != *rest.ptr) continue;
        struct slice word = slice_of(*words);
        const bool needs_space = word.ptr[word.len - 1] == ' ';
        if (needs_space) word.len--;
        if (!slice_starts(rest, word)) continue;
        const size_t space = needs_space ? slice_space_at(s, i + word.len) : 0;
        if (!needs_space || space) return word.len + space;
    }
    return 0;
}

static bool has_title_before(struct slice s, size_t dot) {
    if (s.ptr[dot - 1] < 'r' || s.ptr[dot - 1] > 't') return false;
    for (int i = 0; TITLES[i]; i++)
        if (slice_ends(slice_part(s, 0, dot), slice_of(TITLES[i]))) return true;
    return false;
}

static bool has_before(struct slice s, size_t end, const char *text) {
    return slice_ends(slice_part(s, 0, end), slice_of(text));
}

// ---- A full stop -------------------------------------------------------------------------------

// Full stops side by side, without a first one that belongs to a title and a last one that belongs
// to a site: those are protected.
struct dots {
    size_t from, to;
};

static struct dots dots_at(struct slice s, size_t first) {
    struct dots dots = {first, first};
    while (at(s, dots.to) == '.') dots.to++;
    const size_t end = dots.to;
    if (has_title_before(s, first)) dots.from++;
    if (dots.from < end && word_len(s, end, &SITES)) dots.to--;
    return dots;
}

// Whether no other one is left beside the full stop, which has none in front of it.
static bool is_single(struct slice s, size_t dot) {
    const struct dots dots = dots_at(s, dot);
    return dots.from == dot && dots.to == dot + 1;
}

// Either full stop of "Ph.D.".
static bool is_doctor(struct slice s, size_t dot) {
    if (s.ptr[dot - 1] != 'D' && s.ptr[dot - 1] != 'h') return false;
    return has_before(s, dot + 1, "Ph.D.") ||
           (has_before(s, dot + 3 < s.len ? dot + 3 : s.len, "Ph.D.") && at(s, dot + 1) == 'D' &&
            is_single(s, dot + 2));
}

struct rules {
    struct slice s; // the text between spaces, with spaces for newlines
    char *out;
    size_t n;                 // of `out`
    size_t digits_from;       // where the next number may start
    size_t company_from;      // where the space in front of the next company may be
    size_t pair;              // the last full stop behind a letter of a chain "a.b.c.", and
    size_t n_pairs, n_before; // how many such pairs the chain has, and how many are in front of it
};

static bool is_digits(struct rules *r, size_t dot) {
    const struct slice s = r->s;
    if (!is_digit(s.ptr[dot - 1]) || !is_digit(at(s, dot + 1)) || dot - 1 < r->digits_from)
        return false;
    r->digits_from = dot + 2;
    return true;
}

static void put(struct rules *r, char c, size_t n) {
    memset(r->out + r->n, c, n);
    r->n += n;
}

// A letter between white space and a space. That white space becomes one space.
static bool is_lone_letter(struct rules *r, size_t dot) {
    struct slice before = slice_part(r->s, 0, dot - 1);
    const size_t end = before.len;
    uint32_t code;
    if (!is_letter(r->s.ptr[dot - 1]) || at(r->s, dot + 1) != ' ') return false;
    if (!chars_last(&before, &code) || !(char_classes(code) & CHAR_SPACE)) return false;
    r->n -= end - before.len + 1;
    put(r, ' ', 1);
    put(r, r->s.ptr[dot - 1], 1);
    return true;
}

// The last full stop of capital initials in front of a word that starts a sentence.
static bool ends_initials(struct slice s, size_t dot) {
    return at(s, dot + 1) == ' ' && dot >= 3 && is_capital(s.ptr[dot - 1]) &&
           s.ptr[dot - 2] == '.' && is_capital(s.ptr[dot - 3]) &&
           !has_before(s, dot - 1, "Ph.D.") && word_len(s, dot + 2, &STARTERS);
}

// Of a chain of letters, each with a full stop, threes are protected, and a two that is left over.
static bool is_initial(struct rules *r, size_t dot) {
    const struct slice s = r->s;
    if (!is_letter(s.ptr[dot - 1])) return false;
    if (r->n_pairs && r->pair == dot - 2 && r->n_before + 1 < r->n_pairs) {
        r->n_before++;
    } else {
        size_t next = dot + 2;
        r->n_before = 0;
        for (r->n_pairs = 1; is_letter(at(s, next - 1)) && at(s, next) == '.'; next += 2) {
            if (!is_single(s, next) || is_doctor(s, next)) break;
            r->n_pairs++;
        }
    }
    r->pair = dot;
    return r->n_before < r->n_pairs / 3 * 3 || r->n_pairs % 3 == 2;
}

// The length of a company's ending in front of a full stop and behind a space, or 0.
static size_t company_before(struct slice s, size_t dot) {
    const char last = s.ptr[dot - 1];
    if (last != 'c' && last != 'd' && last != 'r' && last != 'o') return 0;
    for (const char *const *words = COMPANIES.words; *words; words++) {
        const size_t len = strlen(*words);
        if (dot > len && s.ptr[dot - len - 1] == ' ' && has_before(s, dot, *words)) return len;
    }
    return 0;
}

// What becomes of a full stop without others beside it: itself, PROTECTED, or STOP.
static char decide(struct rules *r, size_t dot) {
    const struct slice s = r->s;
    if (is_digits(r, dot) || is_doctor(s, dot) || is_lone_letter(r, dot) || is_initial(r, dot))
        return (char)PROTECTED;
    const size_t len = company_before(s, dot);
    if (len) {
        const size_t starter = at(s, dot + 1) == ' ' ? word_len(s, dot + 2, &STARTERS) : 0;
        if (!starter || dot - len - 1 < r->company_from) return (char)PROTECTED;
        r->company_from = dot + 2 + starter;
        return (char)STOP;
    }
    return is_letter(s.ptr[dot - 1]) && dot >= 2 && s.ptr[dot - 2] == ' ' ? (char)PROTECTED : '.';
}

// Returns the byte behind the full stops that start at `first`.
static size_t put_dots(struct rules *r, size_t first) {
    const struct dots dots = dots_at(r->s, first);
    size_t end = dots.to;
    put(r, (char)PROTECTED, dots.from - first);
    if (dots.to == dots.from + 1) {
        const char c = decide(r, dots.from);
        put(r, c, 1);
        put(r, (char)STOP, ends_initials(r->s, dots.from));
    } else if (dots.to > dots.from) { // a run of them ends a sentence
        put(r, (char)PROTECTED, dots.to - dots.from);
        put(r, (char)STOP, 1);
    }
    if (at(r->s, end) == '.') {
        put(r, (char)PROTECTED, 1);
        end++;
    }
    return end;
}

// ---- Sentences ---------------------------------------------------------------------------------

// Takes a mark behind the closing quote that follows it.
static void swap_quote(char *ptr, size_t n, char mark, struct slice quote) {
    char *next = ptr, *end = ptr + n;
    if (slice_find((struct slice){ptr, n}, quote, 0) < 0) return;
    while ((next = memchr(next, mark, (size_t)(end - next)))) {
        const size_t left = (size_t)(end - next);
        if (left <= quote.len) break;
        if (memcmp(next + 1, quote.ptr, quote.len) == 0) {
            memcpy(next, quote.ptr, quote.len);
            next += quote.len;
            *next = mark;
        }
        next++;
    }
}

// str.strip() of what ends in no white space where `has_mark`: there may be a million of them.
static struct slice strip(struct slice s, bool has_mark) {
    for (size_t len; (len = slice_space_at(s, 0));) s = (struct slice){s.ptr + len, s.len - len};
    return has_mark ? s : slice_strip_right(s, CHAR_SPACE);
}

// Cuts at the marks that are left and at the stops.
static struct slices cut(struct constraint_text *text, char *ptr, size_t len) {
    struct slices out = {0};
    size_t from = 0, n = 1;
    for (size_t i = 0; i < len; i++)
        n += ptr[i] == '.' || ptr[i] == '?' || ptr[i] == '!' || (unsigned char)ptr[i] == STOP;
    slices_expect(text, &out, n);
    for (size_t i = 0; i <= len; i++) {
        const bool is_mark = i < len && (ptr[i] == '.' || ptr[i] == '?' || ptr[i] == '!');
        const bool is_stop = i == len || (unsigned char)ptr[i] == STOP;
        if (i < len && (unsigned char)ptr[i] == PROTECTED) ptr[i] = '.';
        if (!is_mark && !is_stop) continue;
        const struct slice s = {ptr + from, i + is_mark - from};
        slices_add(text, &out, strip(s, is_mark));
        from = i + 1;
    }
    if (out.n && out.items[out.n - 1].len == 0) out.n--;
    return out;
}

// Where two places of the text have come to.
struct places {
    size_t first, last; // in `s`, then in what becomes of it
    const char *out;    // (n)
    size_t n;
};

static struct slices split(struct constraint_text *text, struct slice s, struct places *places) {
    if (!text_spend(text, N_PASSES * s.len)) return (struct slices){0};
    char *copy = arena_take_unset(text->arena, s.len + 3, 1);
    size_t first = places->first + 1, last = places->last + 1; // in the copy
    copy[0] = copy[s.len + 1] = copy[s.len + 2] = ' ';
    for (size_t i = 0; i < s.len; i++) copy[i + 1] = s.ptr[i] == '\n' ? ' ' : s.ptr[i];
    struct rules r = {.s = {copy, s.len + 3}};
    r.out = arena_take_unset(text->arena, 2 * r.s.len, 1);
    for (size_t from = 0; from < r.s.len;) {
        const char *dot = memchr(copy + from, '.', r.s.len - from);
        const size_t to = dot ? (size_t)(dot - copy) : r.s.len;
        memcpy(r.out + r.n, copy + from, to - from);
        r.n += to - from;
        if (first >= from && first < to) places->first = r.n - (to - first);
        if (last >= from && last < to) places->last = r.n - (to - last);
        from = dot ? put_dots(&r, to) : to;
    }
    swap_quote(r.out, r.n, '.', slice_of("\xE2\x80\x9D"));
    for (const char *mark = ".!?"; *mark; mark++) swap_quote(r.out, r.n, *mark, slice_of("\""));
    places->out = r.out;
    places->n = r.n;
    return cut(text, r.out, r.n);
}

struct slices rule_sentences(struct constraint_text *text, struct slice s) {
    struct places places = {0};
    return split(text, s, &places);
}

// How many of the sentences of a text that was cut at white space are the same whatever follows:
// those with white space between their end and the text's last word.
static size_t n_settled(const struct slices *sentences) {
    for (size_t i = sentences->n; i-- > 1;) {
        const struct slice s = sentences->items[i], before = sentences->items[i - 1];
        const bool is_apart = s.ptr > before.ptr + before.len && s.ptr[-1] == ' ';
        if (is_apart || (s.len && slice_first(s, CHAR_SPACE).len)) return i;
    }
    return 0;
}

bool rule_sentences_begin(struct constraint_text *text, struct slice s,
                          bool (*is_enough)(const struct slices *sentences, void *context),
                          void *context) {
    enum { FIRST_BYTES = 4096, MORE = 8, MOST_BYTES = FIRST_BYTES * MORE };
    for (size_t n = FIRST_BYTES; n < s.len && n <= MOST_BYTES; n *= MORE) {
        size_t cut = n;
        while (cut > 0 && s.ptr[cut] != ' ' && s.ptr[cut] != '\n') cut--;
        struct slices some = rule_sentences(text, slice_part(s, 0, cut));
        some.n = n_settled(&some);
        if (some.n && is_enough(&some, context)) return true;
    }
    return false;
}

// ---- Sentences of a part -----------------------------------------------------------------------

// The sentences of a whole text.
struct whole {
    struct slices sentences;
    struct places places;  // its first and last newline
    size_t good_from, bad; // what was found of them: those from one to before the other are good
    void *found;           // the same, by another check
};

static struct whole *whole_of(struct constraint_text *text) {
    struct constraint_text *owner = text->within ? text->within : text;
    if (text->kept) return text->kept;
    if (text->within) text_refill(owner);
    struct whole *whole = arena_take(owner->arena, 1, sizeof *whole);
    const struct slice raw = owner->raw;
    const char *first = raw.len ? memchr(raw.ptr, '\n', raw.len) : NULL;
    const char *last = raw.len ? memrchr(raw.ptr, '\n', raw.len) : NULL;
    if (first) whole->places.first = (size_t)(first - raw.ptr);
    if (last) whole->places.last = (size_t)(last - raw.ptr);
    whole->sentences = split(owner, raw, &whole->places);
    whole->good_from = 1; // nothing was found yet
    text->over = text->over || owner->over;
    text->kept = owner->kept = whole;
    return whole;
}

static bool is_plain_space(char c) {
    return c == ' ' || c == '\n';
}

// Whether a text is the same with other white space than spaces around it: a letter with a full
// stop at either end is not.
static bool needs_spaces(struct slice part, bool in_front) {
    if (in_front) return is_letter(at(part, 0)) && at(part, 1) == '.';
    if (part.len < 2 || part.ptr[part.len - 1] != '.' || !is_letter(part.ptr[part.len - 2]))
        return false;
    const struct slice before = slice_part(part, 0, part.len - 2);
    return before.len == 0 || slice_strip_right(before, CHAR_SPACE).len < before.len;
}

// What becomes of a full stop depends on what stands around it without white space, and on the word
// behind, if that starts a sentence. Two things reach further: behind a company and such a word,
// the space behind that is not seen as the one in front of a company.
static bool may_share(const struct constraint_text *text) {
    const struct slice raw = text->within->raw, part = text->raw;
    const struct slice behind = slice_behind(raw, part.ptr + part.len);
    if (slice_is_blank(part)) return false;
    // Spaces stand around a text, and newlines are spaces.
    if (part.ptr > raw.ptr && !is_plain_space(part.ptr[-1]) && needs_spaces(part, true))
        return false;
    if (behind.len && !is_plain_space(*behind.ptr) && needs_spaces(part, false)) return false;
    if (word_len(part, 0, &COMPANIES) || word_len(part, word_len(part, 0, &STARTERS), &COMPANIES))
        return false;
    char next[16]; // longer than any word of the list; behind the text there is a space
    const size_t n = behind.len < sizeof next ? behind.len : sizeof next - 1;
    if (part.ptr[part.len - 1] != '.' || n == 0) return true;
    memcpy(next, behind.ptr, n);
    next[n] = ' ';
    return !word_len((struct slice){next, n + 1}, 1, &STARTERS);
}

// A place of the part in what became of the whole: between it and the newline, or the end of the
// whole, there is only white space.
static const char *place_of_start(const struct constraint_text *text, const struct places *places) {
    const struct slice raw = text->within->raw;
    const char *newline = memchr(raw.ptr, '\n', (size_t)(text->raw.ptr - raw.ptr));
    if (newline) return places->out + places->first + (text->raw.ptr - newline);
    return places->out + 1 + (text->raw.ptr - raw.ptr);
}

static const char *place_of_end(const struct constraint_text *text, const struct places *places) {
    const struct slice raw = text->within->raw;
    const char *end = text->raw.ptr + text->raw.len, *behind = raw.ptr + raw.len;
    const char *newline = memrchr(end, '\n', (size_t)(behind - end));
    if (newline) return places->out + places->last - (newline - end);
    return places->out + places->n - 2 - (behind - end);
}

static struct slice from_on(struct slice s, const char *at) {
    return at > s.ptr ? slice_behind(s, at) : s;
}

static struct runs cut_out(struct constraint_text *text, const struct whole *whole) {
    const struct slices *all = &whole->sentences;
    const char *from = place_of_start(text, &whole->places);
    const char *to = place_of_end(text, &whole->places);
    const size_t first = slices_n_ending(all, from), n = slices_n_starting(all, to);
    const size_t last = n > first + 1 ? n - 1 : first;
    struct runs runs = {.is_shared = true, .skipped = {*all}};
    if (first >= all->n) return runs;
    struct slice end = all->items[last];
    if (last == first) end = from_on(end, from);
    if (end.ptr + end.len > to) end = slice_part(end, 0, (size_t)(to - end.ptr));
    end = slice_strip(end, CHAR_SPACE);
    if (last > first)
        slices_add(text, &runs.run[0], slice_strip(from_on(all->items[first], from), CHAR_SPACE));
    const size_t next = first + 1, end_of_middle = last > next ? last : next;
    runs.run[1] = slices_part(all, next, end_of_middle);
    runs.skipped[0] = slices_part(all, 0, next);
    runs.skipped[1] = slices_part(all, end_of_middle, all->n);
    slices_add(text, &runs.run[2], end);
    runs.n = runs.run[0].n + runs.run[1].n + runs.run[2].n;
    return runs;
}

struct runs rule_sentence_runs(struct constraint_text *text) {
    struct whole *whole = whole_of(text);
    struct runs runs = {0};
    if (text->over) return runs;
    if (text->within && may_share(text)) return cut_out(text, whole);
    runs.run[0] = text->within ? rule_sentences(text, text->raw) : whole->sentences;
    runs.is_shared = !text->within;
    runs.n = runs.run[0].n;
    return runs;
}

void **rule_sentences_found(struct constraint_text *text) {
    return &whole_of(text)->found;
}

// The first sentence from `from` to before `to` that is not good, or `to`.
static size_t first_bad(struct whole *whole, struct constraint_text *text, size_t from, size_t to,
                        rule_sentence_test *is_good, struct slice word) {
    const struct slice *items = whole->sentences.items;
    if (from < whole->good_from || from > whole->bad) whole->good_from = whole->bad = from;
    while (whole->bad < to && is_good(text, items[whole->bad], word)) whole->bad++;
    return whole->bad < to ? whole->bad : to;
}

struct looked_at {
    struct constraint_text *text;
    rule_sentence_test *is_good;
    struct slice word;
    size_t n; // of the sentences are good
};

static bool has_bad(const struct slices *sentences, void *context) {
    struct looked_at *l = context;
    while (l->n < sentences->n && l->is_good(l->text, sentences->items[l->n], l->word)) l->n++;
    return l->n < sentences->n;
}

bool rule_sentences_all(struct constraint_text *text, rule_sentence_test *is_good,
                        struct slice word) {
    struct looked_at looked = {text, is_good, word, 0};
    if (rule_sentences_begin(text, text->raw, has_bad, &looked)) return false;
    const struct runs runs = rule_sentence_runs(text);
    struct whole *whole = text->kept;
    const struct slices *middle = &runs.run[runs.is_shared && !text->within ? 0 : 1];
    for (int i = 0; i < 3; i++) {
        looked.n = 0;
        if (&runs.run[i] != middle && has_bad(&runs.run[i], &looked)) return false;
    }
    if (middle->n == 0) return true;
    const size_t from = (size_t)(middle->items - whole->sentences.items);
    return first_bad(whole, text, from, from + middle->n, is_good, word) == from + middle->n;
}

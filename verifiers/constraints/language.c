// The language of a text by its n-grams of one to three characters (Nakatani Shuyo's
// language-detection, as its Python port langdetect has it, with its profiles).
//
// Naive Bayes with equal priors: an n-gram of frequency p in a language multiplies the language's
// probability by p + w, w = 0.5 / 10000. The original draws n-grams at random until one language is
// nearly certain and averages seven such runs; here every n-gram of the text counts once, as a sum
// of logarithms, so that the same text always has the same language.
#include "verifiers/constraints/language.h"

#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/tables.h"

enum {
    MAX_CHARS = 10000,     // of the text without addresses that count
    MAX_URL = 2076,        // characters of an address behind "://"
    MAX_MAIL_NAME = 64,    // in front of '@'
    MAX_MAIL_DOMAIN = 255, // of each of the two parts behind it
};

struct codes {
    uint32_t *at; // (n)
    size_t n;
};

static bool is_ascii_alnum(uint32_t c) {
    return c < 128 && (c == '_' ? false : !!(char_ascii_classes[c] & CHAR_WORD));
}

static bool is_url_char(uint32_t c) {
    return is_ascii_alnum(c) || (c && c < 128 && strchr("-_.?&~;+=/#", (int)c));
}

static bool is_domain_char(uint32_t c) {
    return is_ascii_alnum(c) || c == '-' || c == '_';
}

static bool is_mail_char(uint32_t c) {
    return is_domain_char(c) || c == '.';
}

static size_t run(const struct codes *s, size_t at, size_t max, bool (*is)(uint32_t)) {
    size_t n = 0;
    while (n < max && at + n < s->n && is(s->at[at + n])) n++;
    return n;
}

static size_t url_at(const struct codes *s, size_t at) {
    static const char SCHEMES[2][9] = {"https://", "http://"};
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        while (SCHEMES[i][n] && at + n < s->n && s->at[at + n] == (uint32_t)SCHEMES[i][n]) n++;
        if (SCHEMES[i][n]) continue;
        const size_t path = run(s, at + n, MAX_URL, is_url_char);
        return path ? n + path : 0;
    }
    return 0;
}

static void drop_urls(struct codes *s) {
    size_t n = 0;
    for (size_t i = 0, len; i < s->n; i += len) {
        len = s->at[i] == 'h' ? url_at(s, i) : 0;
        s->at[n++] = len ? ' ' : s->at[i];
        if (!len) len = 1;
    }
    s->n = n;
}

static void drop_mail(struct codes *s) {
    size_t n = 0, free_from = 0; // out[free_from..n) may belong to a name
    for (size_t i = 0, len; i < s->n; i += len) {
        len = 1;
        size_t name = 0;
        while (s->at[i] == '@' && name < MAX_MAIL_NAME && n - name > free_from &&
               is_mail_char(s->at[n - 1 - name]))
            name++;
        const size_t domain = name ? run(s, i + 1, MAX_MAIL_DOMAIN, is_domain_char) : 0;
        const size_t tail = domain ? run(s, i + 1 + domain, MAX_MAIL_DOMAIN, is_mail_char) : 0;
        if (domain && (tail || domain > 1)) {
            n -= name;
            s->at[n++] = ' ';
            free_from = n;
            len = 1 + domain + tail;
        } else {
            s->at[n++] = s->at[i];
        }
    }
    s->n = n;
}

static uint32_t compose(uint32_t base, uint32_t mark) {
    for (int i = 0; i < letter_n_vi; i++)
        if (letter_vi[i].base == base && letter_vi[i].mark == mark) return letter_vi[i].composed;
    return 0;
}

// Vietnamese letters as one character each; runs of spaces as one; the first MAX_CHARS.
static void collapse(struct codes *s) {
    size_t n = 0, n_chars = 0;
    uint32_t before = 0;
    for (size_t i = 0; i < s->n && n_chars < MAX_CHARS; i++, n_chars++) {
        uint32_t code = s->at[i];
        if (i + 1 < s->n && s->at[i + 1] >= 0x300 && s->at[i + 1] < 0x330) {
            const uint32_t composed = compose(code, s->at[i + 1]);
            if (composed) {
                code = composed;
                i++;
            }
        }
        if (code != ' ' || before != ' ') s->at[n++] = code;
        before = code;
    }
    s->n = n;
}

// In a text that is mostly not Latin, the Latin letters do not count.
static void drop_latin(struct codes *s) {
    size_t n_latin = 0, n_other = 0, n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const uint32_t c = s->at[i];
        n_latin += c >= 'A' && c <= 'z';
        n_other += c >= 0x300 && !(c >= 0x1E00 && c < 0x1F00);
    }
    if (n_latin * 2 >= n_other) return;
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i] < 'A' || s->at[i] > 'z') s->at[n++] = s->at[i];
    s->n = n;
}

static int compare_han(const void *key, const void *row) {
    const uint32_t code = *(const uint32_t *)key, other = ((const struct letter_han *)row)->code;
    return (code > other) - (code < other);
}

// One character for all that a profile does not tell apart.
static uint32_t normalize(uint32_t c) {
    if (c < 0x80) return (char_ascii_classes[c] & CHAR_ALPHA) ? c : ' ';
    if (c < 0x100) return c == 0xA0 || c == 0xAB || c == 0xB0 || c == 0xBB ? ' ' : c;
    if (c == 0x219) return 0x15F; // comma below as cedilla
    if (c == 0x21B) return 0x163;
    if (c == 0x6CC) return 0x64A; // Farsi yeh as Arabic yeh
    if (c >= 0x1EA0 && c < 0x1F00) return 0x1EC3;
    if (c >= 0x2000 && c < 0x2070) return ' ';
    if (c >= 0x3040 && c < 0x30A0) return 0x3042;
    if (c >= 0x30A0 && c < 0x3100) return 0x30A2;
    if ((c >= 0x3100 && c < 0x3130) || (c >= 0x31A0 && c < 0x31C0)) return 0x3105;
    if (c >= 0xAC00 && c < 0xD7B0) return 0xAC00;
    if (c < 0x4E00 || c >= 0xA000) return c;
    const struct letter_han *han =
        bsearch(&c, letter_han, (size_t)letter_n_han, sizeof *han, compare_han);
    return han ? han->stands_for : c;
}

static uint32_t digit(char c) {
    return (uint32_t)(c - '#');
}

// Adds an n-gram's logarithms `times` times; false when no profile has it.
static bool add_gram(const char *gram, size_t len, uint32_t times, int64_t scores[LANGUAGE_N]) {
    uint32_t h = 2166136261u; // FNV-1a
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)gram[i]) * 16777619u;
    h = (h ^ h >> 15) % LANGUAGE_N_BUCKETS;
    const char *r = language_records + language_buckets[h];
    const char *end = language_records + language_buckets[h + 1];
    while (r < end) {
        const size_t key_len = digit(*r);
        const char *key = r + 1, *entries = key + key_len + 1;
        const uint32_t n = digit(key[key_len]);
        r = entries + (size_t)n * 3;
        if (key_len != len || memcmp(key, gram, len) != 0) continue;
        for (uint32_t i = 0; i < n; i++, entries += 3)
            scores[digit(entries[0])] +=
                times * (digit(entries[1]) * LANGUAGE_CODE_BASE + digit(entries[2]));
        return true;
    }
    return false;
}

// How often each n-gram occurs: open addressing, a power of two of slots, at most half of them
// used.
struct gram_count {
    uint64_t gram; // 21 bits a character, the last one lowest, the others 0; 0: free
    uint32_t times;
};

struct counts {
    struct gram_count *slots; // (mask + 1)
    uint64_t mask;
};

static void count_gram(struct counts *counts, uint64_t gram) {
    uint64_t at = gram * 0x9E3779B97F4A7C15u >> 40 & counts->mask;
    while (counts->slots[at].gram && counts->slots[at].gram != gram) at = (at + 1) & counts->mask;
    counts->slots[at].gram = gram;
    counts->slots[at].times++;
}

// The n-grams of each word, the white space on both sides included. Words in capitals have none
// from their second capital on.
static void count_grams(const struct codes *s, struct counts *counts) {
    enum { BITS = 21 };
    const uint64_t two = ((uint64_t)1 << 2 * BITS) - 1, one = ((uint64_t)1 << BITS) - 1;
    uint64_t last = ' '; // up to three characters
    bool last_is_upper = false, in_capitals = false;
    for (size_t i = 0; i < s->n; i++) {
        const uint32_t code = normalize(s->at[i]);
        if ((last & one) == ' ') {
            last = ' ';
            last_is_upper = in_capitals = false;
            if (code == ' ') continue;
        }
        const bool upper = char_classes(code) & CHAR_UPPER;
        in_capitals = upper && (last_is_upper || in_capitals);
        last_is_upper = upper;
        last = (last & two) << BITS | code;
        if (in_capitals) continue;
        if (code != ' ') count_gram(counts, code);
        count_gram(counts, last & two);
        if (last > two) count_gram(counts, last);
    }
}

// Returns how many n-grams are known.
static size_t add_counts(const struct counts *counts, int64_t scores[LANGUAGE_N]) {
    size_t n_known = 0;
    for (uint64_t i = 0; i <= counts->mask; i++) {
        const struct gram_count *c = &counts->slots[i];
        char gram[12];
        size_t len = 0;
        if (!c->times) continue;
        for (int shift = 42; shift >= 0; shift -= 21) {
            const uint32_t code = c->gram >> shift & 0x1FFFFF;
            if (code) len += (size_t)utf8_write(code, gram + len);
        }
        n_known += add_gram(gram, len, c->times, scores);
    }
    return n_known;
}

const char *language_detect(struct constraint_text *text, struct slice s) {
    int64_t scores[LANGUAGE_N] = {0};
    struct codes codes = {0};
    codes.at = (uint32_t *)text_codes_of(text, slice_chars(s, 0, LANGUAGE_MAX_READ), &codes.n);
    drop_urls(&codes);
    drop_mail(&codes);
    collapse(&codes);
    drop_latin(&codes);
    if (!text_spend(text, 100 * codes.n)) return NULL;
    struct counts counts = {.mask = 63};
    while (counts.mask < 6 * codes.n) counts.mask = 2 * counts.mask + 1;
    counts.slots = arena_take(text->arena, counts.mask + 1, sizeof *counts.slots);
    count_grams(&codes, &counts);
    if (add_counts(&counts, scores) == 0) return NULL;
    int best = 0;
    for (int i = 1; i < LANGUAGE_N; i++)
        if (scores[i] > scores[best]) best = i;
    return language_codes[best];
}

bool language_is_known(struct slice code) {
    for (int i = 0; i < LANGUAGE_N; i++)
        if (slice_is(code, language_codes[i])) return true;
    return false;
}

// Syllables of English words by their letters: groups of vowels, less a silent "e" or "ed", more
// for vowels that meet without merging. Words that the rules get wrong are listed.
#include "verifiers/constraints/syllables.h"

#include <stdlib.h>

#include "verifiers/constraints/chars.h"

enum { MAX_WORD = 64 };

struct exception {
    const char *word;
    int n;
};

// Sorted by word.
static const struct exception EXCEPTIONS[] = {
    {"area", 3},      {"being", 2},      {"beyond", 2},     {"business", 2},  {"businesses", 3},
    {"cafe", 2},      {"chaos", 2},      {"chocolate", 3},  {"colonel", 2},   {"complement", 3},
    {"create", 2},    {"created", 3},    {"creates", 2},    {"creating", 3},  {"creation", 3},
    {"different", 3}, {"doing", 2},      {"element", 3},    {"elements", 3},  {"employee", 3},
    {"employees", 3}, {"evening", 2},    {"every", 2},      {"everybody", 4}, {"everyday", 3},
    {"everyone", 3},  {"everything", 3}, {"everywhere", 3}, {"eye", 1},       {"eyes", 1},
    {"friend", 1},    {"friends", 1},    {"going", 2},      {"higher", 2},    {"idea", 3},
    {"ideas", 3},     {"lion", 2},       {"maybe", 2},      {"museum", 3},    {"ocean", 2},
    {"people", 2},    {"poem", 2},       {"poems", 2},      {"poet", 2},      {"quiet", 2},
    {"real", 1},      {"reality", 4},    {"recipe", 3},     {"safety", 2},    {"science", 2},
    {"sciences", 3},  {"seeing", 2},     {"settlement", 3}, {"someone", 2},   {"something", 2},
    {"sometimes", 2}, {"somewhere", 2},  {"therefore", 2},  {"two", 1},       {"unique", 2},
    {"vehicle", 3},   {"wednesday", 2},
};

static bool is_vowel(char c) { // of the letters a to z and 0
    enum {
        VOWELS = 1 << ('a' - 96) | 1 << ('e' - 96) | 1 << ('i' - 96) | 1 << ('o' - 96) |
                 1 << ('u' - 96) | 1 << ('y' - 96)
    };
    return c && VOWELS >> (c - 96) & 1;
}

static bool ends(const char *word, size_t n, const char *ending) {
    const size_t m = strlen(ending);
    return n > m && memcmp(word + n - m, ending, m) == 0;
}

static bool has_at(const char *word, size_t n, size_t at, const char *part) {
    const size_t m = strlen(part);
    return at + m <= n && memcmp(word + at, part, m) == 0;
}

// Vowels that stand side by side in two syllables.
static int hiatus(const char *word, size_t n) {
    static const char *const PAIRS[] = {"ia",  "iu", "io",  "eo",  "ua", "uo",
                                        "uou", "ii", "iet", "ien", NULL};
    int found = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const char before = i ? word[i - 1] : 0;
        const bool soft = before && strchr("cgstq", before);
        const bool million = before && strchr("hln", before) && has_at(word, n, i, "ion");
        if (word[i] == 'y' &&
            (before && is_vowel(before) ? is_vowel(word[i + 1]) : word[i + 1] == 'i'))
            found += !ends(word, n, "yed") || i + 3 != n;
        if (word[i] != 'i' && word[i] != 'e' && word[i] != 'u') continue;
        for (int p = 0; PAIRS[p]; p++) {
            if (*PAIRS[p] != word[i]) continue;
            if (!has_at(word, n, i, PAIRS[p])) continue;
            if ((!soft && !million) || has_at(word, n, i, "iet")) found++;
            break;
        }
    }
    return found;
}

// An "e" that a suffix behind it leaves silent: "safe-ly", "state-ments".
static bool has_inner_silent_e(const char *word, size_t n) {
    static const char *const SUFFIXES[] = {"ly",    "ment", "ments", "ful",
                                           "fully", "less", "ness",  NULL};
    if (!strchr("ytls", word[n - 1])) return false;
    for (int i = 0; SUFFIXES[i]; i++) {
        const size_t m = strlen(SUFFIXES[i]);
        if (!ends(word, n, SUFFIXES[i]) || n < m + 4) continue;
        const char *e = word + n - m - 1;
        if (*e == 'e' && !is_vowel(e[-1]) && (is_vowel(e[-2]) || is_vowel(e[-3]))) return true;
    }
    return false;
}

static int count(const char *word, size_t n) {
    int groups = 0;
    for (size_t i = 0; i < n; i++)
        groups += is_vowel(word[i]) && (i == 0 || !is_vowel(word[i - 1]));
    groups += hiatus(word, n) - has_inner_silent_e(word, n);
    const bool consonant_before_e = n > 2 && !is_vowel(word[n - 2]);
    if (groups > 1 && word[n - 1] == 'e' && consonant_before_e &&
        !(word[n - 2] == 'l' && !is_vowel(word[n - 3])))
        groups--;
    else if (groups > 1 && ends(word, n, "ed") && n > 3 && !is_vowel(word[n - 3]) &&
             !strchr("td", word[n - 3]))
        groups--;
    else if (groups > 1 && ends(word, n, "es") && n > 3 && !is_vowel(word[n - 3]) &&
             !strchr("cgsxz", word[n - 3]) && !ends(word, n, "shes") && !ends(word, n, "ches") &&
             !(word[n - 3] == 'l' && n > 3 && !is_vowel(word[n - 4])))
        groups--;
    return groups ? groups : 1;
}

static int compare(const void *key, const void *row) {
    return strcmp(key, ((const struct exception *)row)->word);
}

int syllables_count(struct slice word) {
    char letters[MAX_WORD];
    size_t n = 0;
    for (size_t i = 0; i < word.len && n + 1 < MAX_WORD; i++)
        if (word.ptr[i] >= 'a' && word.ptr[i] <= 'z') letters[n++] = word.ptr[i];
    letters[n] = 0;
    if (n == 0) return 0;
    const struct exception *known = bsearch(
        letters, EXCEPTIONS, sizeof EXCEPTIONS / sizeof *EXCEPTIONS, sizeof *known, compare);
    return known ? known->n : count(letters, n);
}

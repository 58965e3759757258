// Syllables of English words by their letters: groups of vowels, less a silent "e" or "ed", more
// for vowels that meet without merging. Words that the rules get wrong are listed.
#include <stdlib.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/nlp.h"

enum { MAX_WORD = 64 };

struct exception {
    const char *word;
    int n;
};

// Sorted by word.
static const struct exception EXCEPTIONS[] = {
    {"area", 3},      {"being", 2},      {"business", 2}, {"cafe", 2},      {"chocolate", 3},
    {"colonel", 2},   {"create", 2},     {"created", 3},  {"creates", 2},   {"creating", 3},
    {"creation", 3},  {"different", 3},  {"doing", 2},    {"evening", 2},   {"every", 3},
    {"everyone", 4},  {"everything", 4}, {"going", 2},    {"idea", 3},      {"ideas", 3},
    {"maybe", 2},     {"ocean", 2},      {"people", 2},   {"poem", 2},      {"poems", 2},
    {"poet", 2},      {"quiet", 2},      {"reality", 4},  {"recipe", 3},    {"science", 2},
    {"sciences", 3},  {"seeing", 2},     {"someone", 2},  {"something", 2}, {"sometimes", 2},
    {"somewhere", 2}, {"therefore", 2},  {"two", 1},      {"vehicle", 3},   {"wednesday", 2},
};

static bool is_vowel(char c) {
    return c && strchr("aeiouy", c);
}

static bool ends(const char *word, size_t n, const char *ending) {
    const size_t m = strlen(ending);
    return n > m && memcmp(word + n - m, ending, m) == 0;
}

// Vowels that stand side by side in two syllables.
static int hiatus(const char *word, size_t n) {
    static const char *const PAIRS[] = {"ia",  "iu", "io", "eo",  "ua", "uo",
                                        "eou", "ii", "yi", "uou", NULL};
    int found = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const char before = i ? word[i - 1] : 0;
        const bool soft = (before && strchr("cgst", before)) || before == 'q' || before == 'g';
        for (int p = 0; PAIRS[p]; p++) {
            const size_t m = strlen(PAIRS[p]);
            if (i + m > n || memcmp(word + i, PAIRS[p], m) != 0) continue;
            if (!soft) found++;
            break;
        }
    }
    return found;
}

static int count(const char *word, size_t n) {
    int groups = 0;
    for (size_t i = 0; i < n; i++)
        groups += is_vowel(word[i]) && (i == 0 || !is_vowel(word[i - 1]));
    groups += hiatus(word, n);
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

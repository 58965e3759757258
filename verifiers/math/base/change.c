#include "verifiers/math/base/change.h"

#include <string.h>

#include "verifiers/math/base/ascii.h"

#define N(list) (sizeof(list) / sizeof *(list))

// Where behind a number that is read alone a word changes it.
enum place {
    NOWHERE,  // "12 half-full bottles": it only keeps the whole from being understood
    ALIKE,    // as NOWHERE, and behind a formula it changes nothing: "$12$ (six rows of two)"
    ANYWHERE, // "12 pencils at most"
    AT_ONCE,  // "12 gross", but "12 pounds gross"
    AT_END,   // at once, and nothing is behind it: "12 grand", but "12 grand pianos"
};

static const struct row {
    const char *word;
    enum place place;
} ROWS[] = {
    // Other powers, parts and multiples.
    {"times", NOWHERE},
    {"plus", ANYWHERE},
    {"minus", ANYWHERE},
    {"divided", ANYWHERE},
    {"multiplied", ANYWHERE},
    {"raised", AT_ONCE},
    {"power", NOWHERE},
    {"over", AT_ONCE},
    {"divides", AT_ONCE},
    {"squared", ANYWHERE},
    {"cubed", ANYWHERE},
    {"factorial", AT_ONCE},
    {"doubled", ANYWHERE},
    {"tripled", ANYWHERE},
    {"halved", ANYWHERE},
    {"modulo", ANYWHERE},
    {"mod", ANYWHERE},
    {"fold", AT_ONCE},
    {"root", NOWHERE},
    {"roots", NOWHERE},
    {"negative", NOWHERE},
    {"remainder", NOWHERE},
    {"point", AT_END},
    {"half", AT_ONCE},
    {"halves", AT_ONCE},
    {"third", AT_END},
    {"thirds", AT_ONCE},
    {"quarter", AT_END},
    {"quarters", NOWHERE},
    {"fourth", AT_END},
    {"fourths", AT_ONCE},
    {"fifth", AT_END},
    {"fifths", AT_ONCE},
    {"sixth", AT_END},
    {"sixths", AT_ONCE},
    {"seventh", AT_END},
    {"sevenths", AT_ONCE},
    {"eighth", AT_END},
    {"eighths", AT_ONCE},
    {"ninth", AT_END},
    {"ninths", AT_ONCE},
    {"tenth", AT_END},
    {"tenths", AT_ONCE},
    {"twelfths", AT_ONCE},
    {"sixteenths", AT_ONCE},
    {"twentieths", AT_ONCE},
    {"hundredth", AT_END},
    {"hundredths", AT_ONCE},
    {"thousandth", AT_END},
    {"thousandths", AT_ONCE},
    {"tens", NOWHERE},
    {"hundred", NOWHERE},
    {"hundreds", AT_ONCE},
    {"hundredfold", AT_ONCE},
    {"thousand", NOWHERE},
    {"thousands", AT_ONCE},
    {"million", NOWHERE},
    {"millions", AT_ONCE},
    {"billion", NOWHERE},
    {"billions", AT_ONCE},
    {"trillion", NOWHERE},
    {"dozen", NOWHERE},
    {"dozens", AT_ONCE},
    {"score", AT_ONCE},
    {"gross", AT_ONCE},
    {"grand", AT_END},
    {"k", AT_END},
    {"baker", AT_ONCE},
    {"baker's", AT_ONCE},
    {"percent", AT_END},
    {"mille", NOWHERE},
    {"basis", AT_ONCE},
    {"bit", NOWHERE},
    // Other bases and units.
    {"base", AT_ONCE},
    {"hex", NOWHERE},
    {"hexadecimal", NOWHERE},
    {"octal", NOWHERE},
    {"binary", NOWHERE},
    {"light", NOWHERE},
    {"nautical", AT_ONCE},
    {"canadian", AT_ONCE},
    {"australian", AT_ONCE},
    // Bounds, and what is near.
    {"than", NOWHERE},
    {"to", NOWHERE},
    {"up", NOWHERE},
    {"out", NOWHERE},
    {"above", NOWHERE},
    {"below", NOWHERE},
    {"under", NOWHERE},
    {"upwards", ANYWHERE},
    {"beyond", NOWHERE},
    {"minimum", AT_ONCE},
    {"maximum", AT_ONCE},
    {"max", ANYWHERE},
    {"tops", ANYWHERE},
    {"least", NOWHERE},
    {"most", NOWHERE},
    {"best", NOWHERE},
    {"too", AT_ONCE},
    {"short", ANYWHERE},
    {"shy", ANYWHERE},
    {"counting", NOWHERE},
    {"ish", ANYWHERE},
    // Another value, or none.
    {"or", ANYWHERE},
    {"but", ANYWHERE},
    {"bzw", ANYWHERE},
    {"etc", ANYWHERE},
    {"maybe", ANYWHERE},
    {"perhaps", ANYWHERE},
    {"possibly", ANYWHERE},
    {"except", ANYWHERE},
    {"unless", ANYWHERE},
    {"not", NOWHERE},
    {"wrong", ANYWHERE},
    {"nobody", ANYWHERE},
    {"something", AT_ONCE},
    {"backwards", ANYWHERE},
    {"reversed", ANYWHERE},
    {"inverted", ANYWHERE},
    {"swapped", ANYWHERE},
    {"incorrect", ANYWHERE},
    {"two", ALIKE},
    {"three", ALIKE},
    {"four", ALIKE},
    {"five", ALIKE},
    {"six", ALIKE},
    {"seven", ALIKE},
    {"eight", ALIKE},
    {"nine", ALIKE},
    {"ten", ALIKE},
    {"eleven", ALIKE},
    {"twelve", ALIKE},
    {"twenty", ALIKE},
};

// Two words and more, of which the first alone may say nothing.
static const struct phrase {
    const char *words;
    enum place place;
} PHRASES[] = {{"at least", ANYWHERE},     {"at most", ANYWHERE},      {"at best", ANYWHERE},
               {"at max", ANYWHERE},       {"at maximum", ANYWHERE},   {"at minimum", ANYWHERE},
               {"at a minimum", ANYWHERE}, {"at the least", ANYWHERE}, {"at the most", ANYWHERE},
               {"in reverse", ANYWHERE},   {"upside down", ANYWHERE},  {"no longer", AT_ONCE},
               {"below zero", ANYWHERE},   {"under par", ANYWHERE},    {"below freezing", ANYWHERE},
               {"in hex", ANYWHERE},       {"in binary", ANYWHERE},    {"in hexadecimal", ANYWHERE},
               {"in octal", ANYWHERE},     {"and a", AT_ONCE},         {"and counting", ANYWHERE},
               {"per mille", AT_ONCE},     {"per thousand", AT_ONCE},  {"per million", AT_ONCE},
               {"per hundred", AT_ONCE},   {"times itself", AT_ONCE},  {"times as", AT_ONCE},
               {"times more", AT_ONCE},    {"times larger", AT_ONCE},  {"times bigger", AT_ONCE},
               {"times the", AT_ONCE},     {"times smaller", AT_ONCE}, {"times faster", AT_ONCE},
               {"times greater", AT_ONCE}, {"veces más", AT_ONCE},     {"fois plus", AT_ONCE},
               {"mal so", AT_ONCE},        {"mal mehr", AT_ONCE},      {"volte più", AT_ONCE},
               {"vezes mais", AT_ONCE},    {"раз больше", AT_ONCE},    {"раза больше", AT_ONCE},
               {"times its", AT_ONCE},     {"times that", AT_ONCE},    {"times older", AT_ONCE},
               {"times longer", AT_ONCE},  {"times higher", AT_ONCE}};

static bool is(struct slice word, const char *name) {
    return word.len == strlen(name) && ascii_same(word.ptr, name, word.len);
}

static bool is_one_of(const char *set, char c) {
    return c && strchr(set, c);
}

static const struct row *find(struct slice word) {
    for (size_t i = 0; word.len && i < N(ROWS); i++)
        if (((word.ptr[0] ^ ROWS[i].word[0]) & ~32) == 0 && is(word, ROWS[i].word)) return &ROWS[i];
    return NULL;
}

// A small letter alone is a factor or a unit: "12 n", "5 kg m".
static bool is_letter(struct slice word) {
    return word.len == 1 && ascii_is_lower(word.ptr[0]) && word.ptr[0] != 'a';
}

bool change_word(struct slice word) {
    return find(word) || is_letter(word);
}

// The next word of `rest`, which it takes off.
static struct slice take_word(struct slice *rest) {
    size_t from = 0, to;
    while (from < rest->len && is_one_of(" \t\r\n,;:.!()*\"$", rest->ptr[from])) from++;
    for (to = from; to < rest->len && !is_one_of(" \t\r\n,;:.!()*\"$", rest->ptr[to]);) to++;
    const struct slice word = {rest->ptr + from, to - from};
    *rest = (struct slice){rest->ptr + to, rest->len - to};
    return word;
}

bool change_words(struct slice rest) {
    for (struct slice word; (word = take_word(&rest)).len;) {
        const struct row *row = find(word);
        if (row && row->place != ALIKE) return true;
    }
    return false;
}

// "light-years", "half-hours": a unit of its own.
static bool is_compound_unit(struct slice word) {
    static const char *const UNITS[] = {"years", "year",   "months",  "weeks",   "days",  "day",
                                        "hours", "hour",   "minutes", "seconds", "miles", "feet",
                                        "foot",  "inches", "pounds",  "dozens",  "cents", "dozen"};
    const char *dash = memrchr(word.ptr, '-', word.len);
    if (!dash || dash == word.ptr) return false;
    const size_t at = (size_t)(dash - word.ptr) + 1;
    for (size_t i = 0; i < N(UNITS); i++)
        if (is((struct slice){word.ptr + at, word.len - at}, UNITS[i])) return true;
    return false;
}

// Whether the words of a phrase begin with `word` and go on with `rest`.
static bool begins(const char *words, struct slice word, struct slice rest) {
    const size_t len = strlen(words), gap = (size_t)(rest.ptr - word.ptr);
    return len > word.len && gap + rest.len >= len && ascii_same(word.ptr, words, len) &&
           (gap + rest.len == len || !ascii_is_alpha(word.ptr[len]));
}

static bool changes_at(struct slice word, struct slice rest, bool first) {
    const struct row *row = find(word);
    const enum place place = row ? row->place : NOWHERE;
    struct slice left = rest;
    if (place == ANYWHERE || is_letter(word) || (first && place == AT_ONCE)) return true;
    if (first && place == AT_END && take_word(&left).len == 0) return true;
    for (size_t i = 0; i < N(PHRASES); i++)
        if (((word.ptr[0] ^ PHRASES[i].words[0]) & ~32) == 0 &&
            (first || PHRASES[i].place == ANYWHERE) && begins(PHRASES[i].words, word, rest))
            return true;
    left = rest;
    if (first && is(word, "to") && memmem(rest.ptr, rest.len, "power", 5)) return true;
    const struct slice next = take_word(&left); // "12 times 3"
    return first && is(word, "times") && next.len && ascii_is_digit(next.ptr[0]);
}

bool change_behind(struct slice rest) {
    bool first = true;
    for (struct slice word; (word = take_word(&rest)).len; first = false)
        if (changes_at(word, rest, first) || (first && is_compound_unit(word))) return true;
    return false;
}

#include "verifiers/math/base/numeral_abroad.h"

#include <stdbool.h>
#include <string.h>

#include "verifiers/math/base/ascii.h"

enum { MAX_BYTES = 64, N_SMALL = 20, N_TENS = 8, N_HUNDREDS = 9 };

// Words with "|" between those that mean the same.
struct language {
    const char *small[N_SMALL];       // 0 to 19
    const char *tens[N_TENS];         // 20 to 90
    const char *twenties[9];          // 21 to 29, where they are words of their own
    const char *hundred;              // behind a digit, or alone, or NULL
    const char *hundreds[N_HUNDREDS]; // 100 to 900, where they are words of their own
    const char *link;                 // between tens and ones
    const char *hundred_link;         // between hundreds and the rest
    bool ones_first;                  // dreiundvierzig
    bool scores;                      // soixante-dix, quatre-vingt-dix
};

static const struct language LANGUAGES[] = {
    {.small = {"",
               "eins|ein|eine",
               "zwei",
               "drei",
               "vier",
               "fünf|fuenf",
               "sechs",
               "sieben",
               "acht",
               "neun",
               "zehn",
               "elf",
               "zwölf|zwoelf",
               "dreizehn",
               "vierzehn",
               "fünfzehn|fuenfzehn",
               "sechzehn",
               "siebzehn",
               "achtzehn",
               "neunzehn"},
     .tens = {"zwanzig", "dreißig|dreissig", "vierzig", "fünfzig|fuenfzig", "sechzig", "siebzig",
              "achtzig", "neunzig"},
     .hundred = "hundert",
     .link = "und",
     .hundred_link = "und|",
     .ones_first = true},
    {.small = {"nul",      "een|één",  "twee",    "drie",      "vier",     "vijf",     "zes",
               "zeven",    "acht",     "negen",   "tien",      "elf",      "twaalf",   "dertien",
               "veertien", "vijftien", "zestien", "zeventien", "achttien", "negentien"},
     .tens = {"twintig", "dertig", "veertig", "vijftig", "zestig", "zeventig", "tachtig",
              "negentig"},
     .hundred = "honderd",
     .link = "en|ën",
     .hundred_link = " | en |",
     .ones_first = true},
    {.small = {"cero",
               "uno|una|un",
               "dos",
               "tres",
               "cuatro",
               "cinco",
               "seis",
               "siete",
               "ocho",
               "nueve",
               "diez",
               "once",
               "doce",
               "trece",
               "catorce",
               "quince",
               "dieciséis|dieciseis",
               "diecisiete",
               "dieciocho",
               "diecinueve"},
     .tens = {"veinte", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta",
              "noventa"},
     .twenties = {"veintiuno|veintiún|veintiuna", "veintidós|veintidos", "veintitrés|veintitres",
                  "veinticuatro", "veinticinco", "veintiséis|veintiseis", "veintisiete",
                  "veintiocho", "veintinueve"},
     .hundreds = {"ciento|cien", "doscientos|doscientas", "trescientos|trescientas",
                  "cuatrocientos|cuatrocientas", "quinientos|quinientas", "seiscientos|seiscientas",
                  "setecientos|setecientas", "ochocientos|ochocientas", "novecientos|novecientas"},
     .link = " y ",
     .hundred_link = " "},
    {.small = {"zéro|zero",
               "un|une",
               "deux",
               "trois",
               "quatre",
               "cinq",
               "six",
               "sept",
               "huit",
               "neuf",
               "dix",
               "onze",
               "douze",
               "treize",
               "quatorze",
               "quinze",
               "seize",
               "dix-sept|dix sept",
               "dix-huit|dix huit",
               "dix-neuf|dix neuf"},
     .tens = {"vingt", "trente", "quarante", "cinquante", "soixante", "septante",
              "quatre-vingts|quatre-vingt|quatre vingts|quatre vingt|huitante|octante", "nonante"},
     .hundred = "cents|cent",
     .link = "-et-| et |-| ",
     .hundred_link = " |-",
     .scores = true},
    {.small = {"zero",
               "um|uma",
               "dois|duas",
               "três|tres",
               "quatro",
               "cinco",
               "seis",
               "sete",
               "oito",
               "nove",
               "dez",
               "onze",
               "doze",
               "treze",
               "catorze|quatorze",
               "quinze",
               "dezesseis|dezasseis",
               "dezessete|dezassete",
               "dezoito",
               "dezenove|dezanove"},
     .tens = {"vinte", "trinta", "quarenta", "cinquenta|cinqüenta", "sessenta", "setenta",
              "oitenta", "noventa"},
     .hundreds = {"cento|cem", "duzentos|duzentas", "trezentos|trezentas",
                  "quatrocentos|quatrocentas", "quinhentos|quinhentas", "seiscentos|seiscentas",
                  "setecentos|setecentas", "oitocentos|oitocentas", "novecentos|novecentas"},
     .link = " e ",
     .hundred_link = " e "},
    {.small = {"zero",     "uno|una|un", "due",         "tre|tré",  "quattro",
               "cinque",   "sei",        "sette",       "otto",     "nove",
               "dieci",    "undici",     "dodici",      "tredici",  "quattordici",
               "quindici", "sedici",     "diciassette", "diciotto", "diciannove"},
     .tens = {"venti|vent", "trenta|trent", "quaranta|quarant", "cinquanta|cinquant",
              "sessanta|sessant", "settanta|settant", "ottanta|ottant", "novanta|novant"},
     .hundred = "cento|cent",
     .link = "",
     .hundred_link = ""},
    {.small = {"ноль",       "один|одна|одно", "два|две",    "три",          "четыре",
               "пять",       "шесть",          "семь",       "восемь",       "девять",
               "десять",     "одиннадцать",    "двенадцать", "тринадцать",   "четырнадцать",
               "пятнадцать", "шестнадцать",    "семнадцать", "восемнадцать", "девятнадцать"},
     .tens = {"двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят",
              "восемьдесят", "девяносто"},
     .hundreds = {"сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот",
                  "восемьсот", "девятьсот"},
     .link = " ",
     .hundred_link = " "},
};

static struct slice from(struct slice s, size_t at) {
    return (struct slice){s.ptr + at, s.len - at};
}

// The next word of a list with "|" between them, or false.
static bool next_word(const char **list, struct slice *word) {
    if (!*list) return false;
    const char *end = strchrnul(*list, '|');
    *word = (struct slice){*list, (size_t)(end - *list)};
    *list = *end ? end + 1 : NULL;
    return true;
}

static bool starts(struct slice s, struct slice word) {
    return s.len >= word.len && ascii_same(s.ptr, word.ptr, word.len);
}

static bool is_one(struct slice s, const char *list) {
    for (struct slice word; next_word(&list, &word);)
        if (s.len == word.len && starts(s, word)) return true;
    return false;
}

// The value of [from, to) that is the whole of `s`, or -1.
static long small(const struct language *l, struct slice s, int first, int end) {
    for (int i = first; i < end; i++)
        if (is_one(s, l->small[i])) return i;
    return -1;
}

// Ones behind the tens of `s`, by any of the links between them; -1: it goes on otherwise.
static long ones_behind(const struct language *l, struct slice s, int end) {
    const char *links = l->link;
    for (struct slice link; next_word(&links, &link);) {
        const long ones = starts(s, link) ? small(l, from(s, link.len), 1, end) : -1;
        if (ones > 0) return ones;
    }
    return -1;
}

// "vent" of "ventuno" is no number by itself.
static bool is_elided(const struct language *l, struct slice s) {
    return l->link[0] == 0 && !strchr("ai", ascii_lower(s.ptr[s.len - 1]));
}

static long below_hundred(const struct language *l, struct slice s) {
    const long value = small(l, s, 0, N_SMALL);
    if (value >= 0) return value;
    for (int i = 0; i < 9; i++)
        if (l->twenties[i] && is_one(s, l->twenties[i])) return 21 + i;
    for (int t = 0; t < N_TENS; t++) {
        if (is_one(s, l->tens[t]) && !is_elided(l, s)) return 10 * (t + 2);
        const char *list = l->ones_first ? NULL : l->tens[t];
        const int end = l->scores && (t == 4 || t == 6) ? N_SMALL : 10;
        for (struct slice ten; next_word(&list, &ten);) {
            const long ones = starts(s, ten) ? ones_behind(l, from(s, ten.len), end) : -1;
            if (ones > 0) return 10 * (t + 2) + ones;
        }
    }
    for (int i = 1; l->ones_first && i < 10; i++) {
        const char *list = l->small[i];
        for (struct slice one; next_word(&list, &one);) {
            const char *links = l->link;
            for (struct slice link; starts(s, one) && next_word(&links, &link);) {
                const struct slice rest = from(s, one.len);
                for (int t = 0; starts(rest, link) && t < N_TENS; t++)
                    if (is_one(from(rest, link.len), l->tens[t])) return 10 * (t + 2) + i;
            }
        }
    }
    return -1;
}

// What is behind so many hundreds: nothing, or a number below one hundred.
static long behind_hundreds(const struct language *l, struct slice s, long hundreds) {
    if (s.len == 0) return 100 * hundreds;
    const char *links = l->hundred_link;
    for (struct slice link; next_word(&links, &link);) {
        const long rest = starts(s, link) ? below_hundred(l, from(s, link.len)) : -1;
        if (rest > 0) return 100 * hundreds + rest;
    }
    return -1;
}

// zweihundert, deux cents: a digit and the word for hundred behind it.
static long by_hundred(const struct language *l, struct slice s, long hundreds) {
    while (hundreds > 1 && s.len && (s.ptr[0] == ' ' || s.ptr[0] == '-')) s = from(s, 1);
    const char *list = l->hundred;
    for (struct slice word; next_word(&list, &word);) {
        const long value = starts(s, word) ? behind_hundreds(l, from(s, word.len), hundreds) : -1;
        if (value >= 0) return value;
    }
    return -1;
}

static long in_language(const struct language *l, struct slice s) {
    long value = below_hundred(l, s);
    if (value < 0 && l->hundred) value = by_hundred(l, s, 1);
    for (int i = 1; value < 0 && i <= N_HUNDREDS; i++) {
        const char *list = l->hundred ? l->small[i] : l->hundreds[i - 1];
        for (struct slice word; value < 0 && next_word(&list, &word);) {
            if (!starts(s, word)) continue;
            const struct slice rest = from(s, word.len);
            value = l->hundred ? by_hundred(l, rest, i) : behind_hundreds(l, rest, i);
        }
    }
    return value;
}

long numeral_abroad(struct slice words) {
    if (words.len < 2 || words.len > MAX_BYTES) return -1;
    for (size_t i = 0; i < words.len; i++)
        if (ascii_is_digit(words.ptr[i]) || strchr("$\\{}()=<>\n", words.ptr[i])) return -1;
    for (size_t i = 0; i < sizeof LANGUAGES / sizeof *LANGUAGES; i++) {
        const long value = in_language(&LANGUAGES[i], words);
        // "cent" alone is a coin.
        if (value >= 0 && !(value == 100 && words.len == 4)) return value;
    }
    return -1;
}

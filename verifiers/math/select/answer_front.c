// What the words in front of the last expression make of it: a bound, a part, a name, no answer.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// "greater than or equal to 7", "the absolute value of -7": by the three words in front.
static bool is_changed_far(struct slice text, const struct answer_piece *p, int first) {
    static const char *const ROWS[][3] = {{"or", "equal", "to"},
                                          {"absolute", "value", "of"},
                                          {"additive", "inverse", "of"},
                                          {"floor", "function", "of"}};
    for (size_t i = 0; first > 2 && i < N(ROWS); i++) {
        bool all = true;
        for (int k = 0; k < 3; k++)
            all &= answer_is_in(answer_piece_text(text, &p[first - 3 + k]), &ROWS[i][k], 1);
        if (all) return true;
    }
    return false;
}

// "supérieur à 7", "la mitad de 7", "Die Hälfte von 7": by the words in front, up to a mark.
static bool is_changed_abroad(struct slice text, const struct answer_piece *p, int first) {
    enum { MAX_BACK = 3 };
    static const char *const WORDS[] = {
        "supérieur", "supérieure", "inférieur", "inférieure", "superior", "inferior", "mayor",
        "menor",     "maior",      "maggiore",  "minore",     "mayores",  "menores",  "superiore",
        "inferiore", "größer",     "kleiner",   "mehr",       "weniger",  "groter",   "hälfte",
        "Hälfte",    "Doppelte",   "Dreifache", "Viertel",    "Drittel",  "double",   "doble",
        "dobro",     "doppio",     "moitié",    "mitad",      "metade",   "metà",     "tiers",
        "tercio",    "triple",     "triplo",    "terço",      "половина", "половину", "вдвое",
        "втрое",     "треть",      "меньше",    "больше",     "helft",    "dubbele",  "hälften",
        "dubbla",    "połowa",     "yarısı",    "większa",    "mniejsza", "mniej",    "więcej",
        "mindre",    "större",     "kurang",    "lebih"};
    for (int i = first - 1; i >= 0 && first - i <= MAX_BACK; i--) {
        const struct slice word = answer_piece_text(text, &p[i]);
        if (p[i].kind == PIECE_MATH || answer_is_one_of(",;:", word.ptr[word.len - 1]))
            return false;
        if (answer_is_in(word, WORDS, N(WORDS))) return true;
    }
    return false;
}

// "Le carré du nombre est 7", "El doble del número es 7": a word for a power or a multiple opens
// the sentence, and no number stands behind it.
static bool is_derived_abroad(struct slice text, const struct answer_piece *p, int first) {
    enum { MAX_OPENING = 3 };
    static const char *const WORDS[] = {
        "carré",    "cube",     "double",   "triple",    "moitié",    "tiers",    "inverse",
        "opposé",   "doble",    "cuadrado", "cubo",      "mitad",     "opuesto",  "recíproco",
        "quadrat",  "doppelte", "hälfte",   "Hälfte",    "dreifache", "kehrwert", "dobro",
        "quadrado", "metade",   "quadrato", "metà",      "doppio",    "Квадрат",  "квадрат",
        "Куб",      "Половина", "половина", "Удвоенное", "kwadraat",  "dubbele",  "helft",
        "drittel",  "viertel",  "oposto",   "inverso"};
    for (int i = 0; i < first && i < MAX_OPENING; i++) {
        if (p[i].kind == PIECE_MATH) return false;
        if (!answer_is_in(answer_piece_text(text, &p[i]), WORDS, N(WORDS))) continue;
        for (int k = i + 1; k < first; k++)
            if (p[k].kind == PIECE_MATH || answer_is_one_of(",;:", text.ptr[p[k].to - 1]))
                return false;
        return i + 2 < first;
    }
    return false;
}

// "page 7", "by Theorem 7", "see step 7", "no. 7": the name of a part of a text. "He is on page 7"
// may be what was asked for.
static bool is_label(struct slice text, const struct answer_piece *p, int first) {
    static const char *const PARTS[] = {
        "theorem",   "lemma",      "equation", "eq.",      "corollary", "figure",      "fig.",
        "section",   "chapter",    "page",     "p.",       "pp.",       "problem",     "exercise",
        "question",  "footnote",   "note",     "step",     "example",   "rule",        "table",
        "line",      "reference",  "ref.",     "appendix", "case",      "paragraph",   "slide",
        "algorithm", "definition", "remark",   "listing",  "verse",     "proposition", "property",
        "axiom",     "formula",    "hint",     "task",     "no.",       "article",     "part",
        "seite",     "página",     "aufgabe",  "page:",    "nr.",       "ejercicio",   "exercice",
        "paso",      "schritt",    "étape",    "problème", "problema",  "страница"};
    static const char *const PERSONS[] = {"he", "she", "they", "will", "reads", "read", "reached"};
    const struct slice word = answer_piece_text(text, &p[first - 1]);
    static const char *const THESE[] = {"this", "that", "each", "every", "any", "either"};
    if (!answer_is_in(word, PARTS, N(PARTS))) return false;
    if (first > 1 && answer_is_in(answer_piece_text(text, &p[first - 2]), THESE, N(THESE)))
        return false; // "in this case 7"
    for (int i = 0; answer_starts(word, 0, "pag") && i < first; i++)
        if (answer_is_in(answer_piece_text(text, &p[i]), PERSONS, N(PERSONS))) return false;
    return true;
}

// "The proof is on p. 7.": the point of what is in front of the sentence at `from` is none.
bool answer_is_behind_abbreviation(struct slice text, size_t from) {
    static const char *const SHORT[] = {"p",  "pp",  "no",  "nr",  "fig", "eq",
                                        "ch", "sec", "vol", "ref", "ex",  "art"};
    while (from > 0 && answer_is_one_of(" \t", text.ptr[from - 1])) from--;
    if (from < 2 || text.ptr[from - 1] != '.') return false;
    size_t at = --from;
    while (at > 0 && ascii_is_alpha(text.ptr[at - 1])) at--;
    return at > 0 && text.ptr[at - 1] == ' ' &&
           answer_is_in(answer_cut(text, at, from), SHORT, N(SHORT));
}

// "Twice it is 7", "half of x is 7", "its square is 7": said of another value than what is sought.
static bool is_part_of_it(struct slice text, const struct answer_piece *p, int first) {
    static const char *const PARTS[] = {"twice", "thrice", "double", "triple", "half", "square"};
    static const char *const IT[] = {"it", "this", "that", "x", "n", "y"};
    static const char *const OWN[] = {"square",   "double",     "half",    "root",     "cube",
                                      "negative", "reciprocal", "inverse", "opposite", "triple"};
    for (int i = 0; i + 1 < first; i++) {
        const struct slice word = answer_piece_text(text, &p[i]);
        const struct slice next = answer_piece_text(text, &p[i + 1]);
        const struct slice last = answer_piece_text(text, &p[i + 2]);
        if (slice_is(word, "Its") || slice_is(word, "its")) {
            if (i + 3 == first && answer_is_in(next, OWN, N(OWN))) return true;
        } else if (answer_is_in(word, PARTS, N(PARTS))) {
            const bool of = slice_is(next, "of");
            if (answer_is_in(of ? last : next, IT, N(IT)) && i + 3 + of == first) return true;
        }
    }
    // "never reaches 7", "does not need 7"
    return first > 1 && p[first - 1].kind == PIECE_WORD &&
           !answer_is_one_of(",;:", text.ptr[p[first - 1].to - 1]) &&
           answer_is_negation(answer_piece_text(text, &p[first - 2])) &&
           !slice_is(answer_piece_text(text, &p[first - 1]), "but");
}

// "more than 7", "at least 7", "half of 7": what is said is another number, or a bound.
bool answer_is_changed_in_front(struct slice text, const struct answer_piece *p, int first) {
    static const char *const WORDS[] = {
        "above",     "below",   "under",     "over",       "least",   "most",   "than",   "from",
        "every",     "within",  "first",     "beyond",     "exceeds", "exceed", "twice",  "double",
        "exceeding", "between", "except",    "negative",   "minus",   "plus",   "times",  "thrice",
        "barely",    "hardly",  "including", "excluding",  "triple",  "near",   "nearly", "almost",
        "octal",     "binary",  "hex",       "hexadecimal"};
    static const char *const ABROAD[] = {
        "mindestens", "höchstens", "als",    "moins",   "menos",  "almeno", "minder",    "minstens",
        "больше",     "меньше",    "более",  "менее",   "fazla",  "hơn",    "около",     "Больше",
        "Меньше",     "Более",     "Менее",  "Около",   "fast",   "knapp",  "casi",      "presque",
        "quasi",      "почти",     "Почти",  "bijna",   "prawie", "quase",  "удвоенное", "máximo",
        "mínimo",     "massimo",   "minimo", "примерно"};
    static const char *const MORE_OF[] = {"más", "menos", "plus", "moins", "mais", "più", "meno"};
    static const char *const PARTS[] = {
        "root",       "half",      "third",   "quarter",   "multiple",   "factor",
        "divisor",    "square",    "cube",    "power",     "double",     "log",
        "opposite",   "logarithm", "inverse", "negative",  "reciprocal", "multiples",
        "factors",    "divisors",  "thirds",  "magnitude", "modulus",    "complement",
        "supplement", "conjugate", "digits",  "digit",     "one"};
    static const char *const DONE[] = {"divisible", "multiplied", "divided", "multiply", "divide"};
    if (first == 0) return false;
    const struct slice word = answer_piece_text(text, &p[first - 1]);
    if (answer_is_in(word, WORDS, N(WORDS)) || is_label(text, p, first) ||
        answer_is_in(word, ABROAD, N(ABROAD)) || is_changed_far(text, p, first) ||
        is_changed_abroad(text, p, first) || is_derived_abroad(text, p, first))
        return true;
    // "after 10:30": a bound; "he came after 12 days" is none.
    if (first == 1 && answer_is_in(word, (const char *const[]){"after", "before", "until"}, 3))
        return true;
    if (is_part_of_it(text, p, first) || answer_is_of_other_subject(text, p, first)) return true;
    if (first < 2) return false;
    const struct slice other = answer_piece_text(text, &p[first - 2]);
    static const char *const APART[] = {"differs", "different", "differ", "distinct", "far"};
    static const char *const LACKS[] = {"short", "shy"};
    static const char *const BEGINS[] = {"starts", "started", "begins", "began", "start", "begin"};
    if (slice_is(word, "of") && answer_is_in(other, LACKS, N(LACKS))) return true;
    if (slice_is(word, "with") && answer_is_in(other, BEGINS, N(BEGINS))) return true;
    static const char *const NEAR[] = {"close", "closer", "near", "nearer", "similar"};
    static const char *const PERHAPS[] = {"could", "might", "may"};
    static const char *const SUMS[] = {"adds",  "add",   "added",  "adding", "sums",
                                       "comes", "came",  "totals", "sum",    "ends",
                                       "end",   "ended", "go",     "goes"};
    if (slice_is(word, "to") && answer_is_in(other, (const char *const[]){"up"}, 1) &&
        (first < 3 || !answer_is_in(answer_piece_text(text, &p[first - 3]), SUMS, N(SUMS))))
        return true; // "up to 12", but "it adds up to 12"
    static const char *const ANYTHING[] = {"anything", "everything", "all", "any"};
    if (slice_is(word, "but") && answer_is_in(other, ANYTHING, N(ANYTHING))) return true;
    static const char *const SAID[] = {"says",   "told",     "claims",    "said",    "claimed",
                                       "thinks", "mentions", "mentioned", "suggests"};
    static const char *const ONCE[] = {"used", "thought", "supposed", "assumed", "claimed"};
    if (answer_is_in(word, SAID, N(SAID)) &&
        !answer_is_in(other, (const char *const[]){"I", "we", "this", "that"}, 4))
        return true; // "the book says 12"
    if (first > 2 && slice_is(word, "be") && slice_is(other, "to") &&
        answer_is_in(answer_piece_text(text, &p[first - 3]), ONCE, N(ONCE)))
        return true;
    if (answer_is_in(word, (const char *const[]){"de", "di", "do", "que"}, 4) &&
        answer_is_in(other, MORE_OF, N(MORE_OF)))
        return true;
    if ((slice_is(word, "be") && answer_is_in(other, PERHAPS, N(PERHAPS))) ||
        (slice_is(word, "from") && answer_is_in(other, APART, N(APART))) ||
        (slice_is(word, "to") && answer_is_in(other, NEAR, N(NEAR))) ||
        (slice_is(word, "in") && p[first - 2].kind == PIECE_MATH))
        return true;
    return (slice_is(word, "of") && answer_is_in(other, PARTS, N(PARTS))) ||
           (slice_is(word, "by") && answer_is_in(other, DONE, N(DONE)));
}

// "ist nicht 12", "no es 12", "n'est pas 12": in the words in front of the run.
bool answer_is_denied_in_front(struct slice text, const struct answer_piece *p, int first) {
    enum { MAX_BACK = 4 };
    static const char *const WORDS[] = {
        "nicht", "kein", "keine", "pas", "não", "nao", "non", "niet", "geen",  "ikke", "inte",
        "nie",   "nu",   "bukan", "ei",  "nem", "не",  "Не",  "ne",   "không", "δεν",  "לא"};
    static const char *const WRONG[] = {
        "falsch",    "falsche",   "falscher",    "falsches",  "incorrecto",  "incorrecta",
        "incorreto", "incorreta", "errado",      "errada",    "falso",       "falsa",
        "faux",      "fausse",    "sbagliato",   "sbagliata", "fout",        "onjuist",
        "mauvaise",  "неверно",   "неправильно", "Неверно",   "Неправильно", "неверный",
        "Неверный",  "yanlış",    "Неправильный"};
    // In scripts where words are written together.
    static const char *const GLUED[] = {"ไม่", "ليس", "ليست", "नहीं"};
    static const char *const SPANISH[] = {"es",  "son", "puede", "hay",    "había", "eran",
                                          "fue", "era", "tiene", "quedan", "vale"};
    static const char *const BUT[] = {"mais", "sondern", "sino", "maar", "bensì", "lecz", "а"};
    bool colon = false;
    for (int i = first - 1; i >= 0 && first - i <= MAX_BACK; i--) {
        const struct slice word = answer_piece_text(text, &p[i]);
        if (answer_is_in(word, BUT, N(BUT))) return false;
        if (answer_is_in(word, WRONG, N(WRONG))) return true;
        if (word.len && answer_is_one_of(",;", word.ptr[word.len - 1])) return false;
        colon |= word.len && word.ptr[word.len - 1] == ':';
        if (colon) continue; // "Неверный ответ: 12", but "nicht vergessen: 12"
        if (answer_is_in(word, WORDS, N(WORDS))) return true;
        for (size_t k = 0; k < N(GLUED); k++)
            if (memmem(word.ptr, word.len, GLUED[k], strlen(GLUED[k]))) return true;
        const struct slice next = answer_piece_text(text, &p[i + 1]);
        if (answer_is_in(word, (const char *const[]){"no"}, 1) &&
            answer_is_in(next, SPANISH, N(SPANISH)))
            return true;
    }
    return false;
}

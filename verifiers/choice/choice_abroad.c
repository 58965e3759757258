// What denies a choice in languages other than English.
#include "verifiers/choice/choice.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static bool starts_word(struct slice text, size_t at, const char *word) {
    return (unsigned char)word[0] >= 0xE3 ? answer_starts(text, at, word)
                                          : answer_is_word(text, at, word);
}

static size_t skip_gap(struct slice text, size_t at) {
    static const char *const ARTICLES[] = {"la ", "el ", "die ", "der ", "das ", "选项", "選項"};
    for (;;) {
        while (at < text.len && answer_is_one_of(" ,(*\"", text.ptr[at])) {
            bool strong;
            size_t end;
            if (text.ptr[at] == '(' && choice_letter(text, at, &strong, &end)) return at;
            at++;
        }
        size_t next = at;
        for (size_t i = 0; i < N(ARTICLES) && next == at; i++)
            if (answer_starts(text, at, ARTICLES[i])) next = at + strlen(ARTICLES[i]);
        if (next == at) return at;
        at = next;
    }
}

size_t choice_skip_denied(struct slice text, size_t at) {
    static const struct {
        const char * not, *but; // in front of the two letters; without `not` behind the first
    } PAIRS[] = {
        {"不是", "而是"},       {"并不是", "而是"},    {"并非", "而是"},   {"非", "而是"},
        {"nicht", "sondern"},   {"no es", "sino"},     {"no", "sino"},     {"non", "mais"},
        {"non pas", "mais"},    {"n'est pas", "mais"}, {"pas", "mais"},    {"не", "а"},
        {"não é", "mas sim"},   {"não é", "mas"},      {"não", "mas"},     {"niet", "maar"},
        {"non è", "ma"},        {"non è", "bensì"},    {"inte", "utan"},   {"ikke", "men"},
        {"bukan", "melainkan"}, {NULL, "ではなく"},    {NULL, "じゃなく"}, {NULL, "でなく"},
        {NULL, "가 아니라"},    {NULL, "이 아니라"},   {NULL, "değil"}};
    for (size_t i = 0; i < N(PAIRS); i++) {
        bool strong;
        size_t end = at;
        if (PAIRS[i].not &&!starts_word(text, at, PAIRS[i].not )) continue;
        const size_t first = skip_gap(text, at + (PAIRS[i].not ? strlen(PAIRS[i].not ) : 0));
        if (first >= text.len || !choice_letter(text, first, &strong, &end)) continue;
        const size_t but = PAIRS[i].not ? skip_gap(text, end) : end;
        const size_t gap = but < text.len && text.ptr[but] == ' ' ? but + 1 : but;
        if (!starts_word(text, gap, PAIRS[i].but)) continue;
        const size_t next = skip_gap(text, gap + strlen(PAIRS[i].but));
        if (next < text.len && choice_letter(text, next, &strong, &end)) return next;
    }
    return at;
}

bool choice_denied_abroad(struct slice text, size_t start, size_t at) {
    enum { MAX_BACK = 6 };
    static const char *const WORDS[] = {
        "nicht",   "kein",  "keine", "keinesfalls", "pas",     "não",   "nao",    "non",
        "niet",    "geen",  "ikke",  "inte",        "bukan",   "не",    "außer",  "sauf",
        "excepto", "salvo", "menos", "exceto",      "tranne",  "кроме", "hormis", "excepté",
        "ليس",     "ليست",  "नहीं",   "ausgenommen", "behalve", "utom",  "weder",  "ni",
        "ani",     "noch",  "ne",    "né",          "nem",     "ни"};
    static const char *const SPANISH[] = {"es",    "la",   "puede", "son", "creo",
                                          "elijo", "está", "era",   "fue", "opción"};
    static const char *const BUT[] = {"sondern", "sino", "mais", "maar", "ma", "mas", "а", "bensì"};
    struct slice next = {NULL, 0};
    for (int n = 0; n < MAX_BACK; n++) {
        while (at > start && answer_is_one_of(" (*\"'", text.ptr[at - 1])) at--;
        size_t from = at;
        while (from > start && !answer_is_one_of(" ,;:.!?\n(", text.ptr[from - 1])) from--;
        const struct slice word = answer_cut(text, from, at);
        if (word.len == 0 || answer_is_in(word, BUT, N(BUT))) return false;
        if (answer_is_in(word, WORDS, N(WORDS))) return true;
        if (slice_is(word, "no") && answer_is_in(next, SPANISH, N(SPANISH))) return true;
        next = word;
        at = from;
    }
    return false;
}

// Words that belong to the mathematics behind them.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

// How many brackets p[from..to] closes that it has not opened.
static int n_unopened(struct slice text, const struct answer_piece *p, int from, int to) {
    int depth = 0, lowest = 0;
    for (size_t i = p[from].from; i < p[to].to; i++) {
        depth += (text.ptr[i] == '(') - (text.ptr[i] == ')');
        if (depth < lowest) lowest = depth;
    }
    return -lowest;
}

// "P(sum = 7) = 1/6" and "(f ∘ g)(1) = 5", whose runs begin behind "P(sum" and "∘".
static int call_start(struct slice text, const struct answer_piece *p, int first, int last) {
    enum { MAX_WORDS = 6 };
    if (n_unopened(text, p, first, last) != 1) return first;
    for (int i = first - 1; i >= 0 && i >= first - MAX_WORDS; i--) {
        const struct slice word = answer_piece_text(text, &p[i]);
        const char *open = memchr(word.ptr, '(', word.len);
        if (!open) continue;
        const bool call = open != word.ptr ? ascii_is_alpha(open[-1])
                                           : slice_is(answer_piece_text(text, &p[i + 1]), "∘");
        return call && n_unopened(text, p, i, last) == 0 ? i : first;
    }
    return first;
}

// "x = – 4": behind "=" a dash is a sign.
static int sign_start(struct slice text, const struct answer_piece *p, int first) {
    if (first < 3 || !ascii_is_digit(text.ptr[p[first].from]) ||
        !slice_is(answer_piece_text(text, &p[first - 1]), "–") ||
        !slice_is(answer_piece_text(text, &p[first - 2]), "=") || p[first - 3].kind != PIECE_LETTER)
        return first;
    return first - 3;
}

// "km", "mol"
static bool is_unit(struct slice word) {
    static const char *const UNITS[] = {"km",  "m", "cm", "mm", "kg", "g",  "mg", "s", "h",  "hr",
                                        "min", "J", "kJ", "N",  "W",  "kW", "Pa", "L", "mL", "K",
                                        "mol", "A", "V",  "C",  "Hz", "dm", "ms", "°C"};
    return answer_is_in(word, UNITS, N(UNITS));
}

// "h^{-1}", "s^-1", "h$^{-1}$", "m^2", "s⁻¹"
static bool is_unit_power(struct slice word) {
    static const char *const POWERS[] = {"^{-1}",   "^{-2}",   "^{-3}",   "^-1", "^-2", "^-3",
                                         "^{2}",    "^{3}",    "^2",      "^3",  "⁻¹",  "⁻²",
                                         "$^{-1}$", "$^{-2}$", "$^{-3}$", "⁻³",  "²",   "³",
                                         "$^{2}$",  "$^{3}$",  "$^2$",    "$^3$"};
    for (size_t i = 0; i < N(POWERS); i++) {
        const size_t len = strlen(POWERS[i]);
        if (word.len > len && memcmp(word.ptr + word.len - len, POWERS[i], len) == 0)
            return is_unit(answer_cut(word, 0, word.len - len));
    }
    return false;
}

static struct slice unpointed(struct slice word) {
    while (word.len && answer_is_one_of(".,;:", word.ptr[word.len - 1])) word.len--;
    return word;
}

// "72 km h^{-1}", whose run begins behind "km".
static int unit_start(struct slice text, const struct answer_piece *p, int first, int last) {
    enum { MAX_UNITS = 3 };
    for (int i = first; i <= last; i++)
        if (!is_unit_power(unpointed(answer_piece_text(text, &p[i]))) &&
            !is_unit(unpointed(answer_piece_text(text, &p[i]))))
            return first;
    int i = first - 1;
    while (i >= 0 && i >= first - MAX_UNITS && is_unit(answer_piece_text(text, &p[i]))) i--;
    if (i < 0 || p[i].kind != PIECE_MATH) return first;
    const char end = text.ptr[p[i].to - 1];
    return ascii_is_digit(end) || end == '$' ? i : first;
}

int answer_run_start(struct slice text, const struct answer_piece *p, int first, int last) {
    const int call = call_start(text, p, first, last);
    if (call != first) return call;
    const int sign = sign_start(text, p, first);
    return sign != first ? sign : unit_start(text, p, first, last);
}

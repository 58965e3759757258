// Times of day: 4:30 p.m.

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/kinds/kind.h"

enum {
    NEVER = '?',      // a half of the day that there is not: "6:15 at noon"
    NO_TIME = 1 << 20 // its minutes
};

static int two_digits(const struct token *t) {
    if (t->kind != TOKEN_DIGITS || t->text.len > 2) return -1;
    return t->text.len == 1 ? t->text.ptr[0] - '0'
                            : (t->text.ptr[0] - '0') * 10 + (t->text.ptr[1] - '0');
}

// "in the morning", "in the evening", "at night" at `t`: the half of the day, and how many tokens.
static int half_in_words(const struct token *t, int hours, char *half) {
    if (parse_is_word(t, "at") && parse_is_word(&t[1], "night")) {
        *half = hours < 6 || hours == 12 ? 'a' : 'p';
        return 2;
    }
    if (parse_is_word(t, "at")) {
        const bool noon = parse_is_word(&t[1], "noon") || parse_is_word(&t[1], "midday");
        if (!noon && !parse_is_word(&t[1], "midnight")) return 0;
        *half = hours != 12 ? NEVER : noon ? 'p' : 'a';
        return 2;
    }
    if (!parse_is_word(t, "in") || !parse_is_word(&t[1], "the")) return 0;
    const bool late = parse_is_word(&t[2], "afternoon") || parse_is_word(&t[2], "evening");
    if (!late && !parse_is_word(&t[2], "morning")) return 0;
    *half = late ? 'p' : 'a';
    return 3;
}

// 4:30 p.m., 9 am, \text{1:03 PM}, "4:30 in the afternoon".
static struct math_node *read_time(struct parser *p, struct math_node *formula) {
    (void)formula;
    int at = parse_skip_fonts(p, 0), minutes = 0;
    const int hours = two_digits(&p->t[at]);
    if (hours < 0) return NULL;
    at = parse_skip_fonts(p, at + 1);
    const bool clock = p->t[at].c == ':';
    if (clock) {
        minutes = two_digits(&p->t[at + 1]);
        if (minutes < 0 || minutes > 59 || p->t[at + 1].text.len != 2) return NULL;
        at = parse_skip_fonts(p, at + 2);
    }
    char half = 0;
    const struct token *t = &p->t[at];
    if (parse_is_word(t, "am") || parse_is_word(t, "pm")) {
        half = ascii_lower(t->text.ptr[0]);
        at++;
    } else if ((parse_is_word(t, "a") || parse_is_word(t, "p")) && t[1].c == '.' &&
               parse_is_word(&t[2], "m")) {
        half = ascii_lower(t->text.ptr[0]);
        at += 3;
    } else {
        at += half_in_words(t, hours, &half);
        if (half == NEVER && !clock) return NULL; // "6 degrees at noon"
    }
    for (int i = 0; i < 2; i++) {
        if (p->t[at].c == '.') at++;
        at = parse_skip_fonts(p, at);
    }
    if (!half || p->t[at].kind != TOKEN_END || hours < 1 || hours > 12) return NULL;
    struct math_node *node = parse_node(p, MATH_TIME, half == 'a' ? 1 : 2, 0, NULL);
    if (!node) return NULL;
    node->minutes = half == NEVER ? NO_TIME : (hours % 12 + (half == 'p' ? 12 : 0)) * 60 + minutes;
    tree_seal(node);
    return node;
}

// 7:32 is 14:64 and 7/32; what may be a time of day is compared part by part.
bool time_is_clock(const struct math_node *ratio) {
    if (ratio->n < 2 || ratio->n > 3) return false;
    for (int i = 0; i < ratio->n; i++) {
        const struct math_node *part = ratio->kids[i];
        if (part->kind != MATH_NUMBER || part->decimal || part->n_digits > 2) return false;
        if (i > 0 && (part->n_digits != 2 || part->text.ptr[0] > '5')) return false;
    }
    return true;
}

static int clock_minutes(const struct math_node *node) {
    struct ratio hours, minutes = {0, 1};
    if (node->kind == MATH_RATIO && node->n == 2 && time_is_clock(node)) {
        if (!ratio_of(node->kids[0], &hours) || !ratio_of(node->kids[1], &minutes)) return -1;
    } else if (node->kind != MATH_NUMBER || !ratio_of(node, &hours) || hours.den != 1) {
        return -1;
    }
    return hours.num <= 24 ? (int)(hours.num * 60 + minutes.num) : -1;
}

// 4:30 p.m. and 4:30 or 16:30.
static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (gold->kind != MATH_TIME && answer->kind != MATH_TIME) return false;
    const bool both = gold->kind == MATH_TIME && answer->kind == MATH_TIME;
    const struct math_node *time = gold->kind == MATH_TIME ? gold : answer;
    if (both) {
        *out = kind_said(c, "time", gold->minutes == answer->minutes ? MATH_EQUAL : MATH_DIFFERENT);
        return true;
    }
    const int minutes = clock_minutes(time == gold ? answer : gold);
    const bool same =
        minutes >= 0 && time->minutes != NO_TIME &&
        (minutes == time->minutes || (minutes < 13 * 60 && minutes % 720 == time->minutes % 720));
    *out = kind_said(c, "time", same ? MATH_EQUAL : MATH_DIFFERENT);
    return true;
}

const struct kind time_kind = {.reader = {.whole = read_time}, .compare = compare};

// Conditions in words: "all real numbers except 2", "x is greater than 3".
#include <stdio.h>
#include <string.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/grade/form.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_CONDITION = 160, MAX_RELATIONS = 2 };

// A text that is read word by word.
struct reader {
    const char *at, *end;
};

// Without dollar signs, \text{} and spaces of mathematics; false where the braces do not fit.
static bool flatten(struct slice text, char out[MAX_CONDITION], size_t *len) {
    static const char *const FONTS[] = {"\\text{", "\\mathrm{", "\\textrm{", "\\mbox{"};
    static const char *const SPACES[] = {"\\quad", "\\,", "\\ ", "\\;", "~", "$", "**"};
    int depth = 0, fonts = 0; // braces within a font
    *len = 0;
    for (size_t i = 0; i < text.len;) {
        size_t skip = 0;
        const struct slice rest = {text.ptr + i, text.len - i};
        for (size_t k = 0; k < N(FONTS); k++)
            if (rest.len > strlen(FONTS[k]) && !memcmp(rest.ptr, FONTS[k], strlen(FONTS[k])))
                skip = strlen(FONTS[k]), fonts++;
        for (size_t k = 0; !skip && k < N(SPACES); k++)
            if (rest.len >= strlen(SPACES[k]) && !memcmp(rest.ptr, SPACES[k], strlen(SPACES[k])))
                skip = strlen(SPACES[k]);
        if (!skip && rest.ptr[0] == '}' && depth == 0 && fonts > 0) skip = 1, fonts--;
        if (!skip) depth += (rest.ptr[0] == '{') - (rest.ptr[0] == '}');
        const char c = skip || ascii_is_space(rest.ptr[0]) ? ' ' : rest.ptr[0];
        if (c != ' ' || (*len && out[*len - 1] != ' ')) out[(*len)++] = c;
        i += skip ? skip : 1;
    }
    while (*len && strchr(" .", out[*len - 1])) (*len)--;
    return depth == 0 && fonts == 0;
}

static bool take(struct reader *r, const char *phrase) {
    const size_t len = strlen(phrase);
    if ((size_t)(r->end - r->at) < len || !ascii_same(r->at, phrase, len)) return false;
    if (r->at + len < r->end && !strchr(" ,", r->at[len])) return false;
    r->at += len;
    while (r->at < r->end && strchr(" ,", *r->at)) r->at++;
    return true;
}

static bool take_one(struct reader *r, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (take(r, list[i])) return true;
    return false;
}

// A letter that stands alone, but no article.
static char take_letter(struct reader *r) {
    if (r->at >= r->end || !ascii_is_alpha(*r->at) || *r->at == 'a' || *r->at == 'A' ||
        (r->at + 1 < r->end && r->at[1] != ' '))
        return 0;
    const char c = *r->at++;
    while (r->at < r->end && *r->at == ' ') r->at++;
    return c;
}

// "all real numbers x": whether a set of reals is named. `*letter` is its variable, if it has one.
static bool take_subject(struct reader *r, char *letter) {
    static const char *const ALL[] = {"all", "any", "every"};
    static const char *const NOUNS[] = {"real numbers", "real number", "reals", "real values of",
                                        "real values",  "values of",   "real",  "the real numbers",
                                        "of the reals", "numbers",     "number"};
    take(r, "the set of");
    const bool all = take_one(r, ALL, N(ALL));
    const bool noun = all && take_one(r, NOUNS, N(NOUNS));
    *letter = take_letter(r);
    return all ? noun || *letter : *letter != 0;
}

// The relation in words, or NULL.
static const char *take_relation(struct reader *r) {
    static const char *const ROWS[][2] = {{"greater than or equal to", "\\ge "},
                                          {"less than or equal to", "\\le "},
                                          {"more than or equal to", "\\ge "},
                                          {"greater than", "> "},
                                          {"more than", "> "},
                                          {"larger than", "> "},
                                          {"bigger than", "> "},
                                          {"less than", "< "},
                                          {"smaller than", "< "},
                                          {"at least", "\\ge "},
                                          {"at most", "\\le "},
                                          {"up to and including", "\\le "},
                                          {"not exceeding", "\\le "},
                                          {"exceeding", "> "},
                                          {"no less than", "\\ge "},
                                          {"not less than", "\\ge "},
                                          {"no more than", "\\le "},
                                          {"not more than", "\\le "},
                                          {"no greater than", "\\le "},
                                          {"not greater than", "\\le "},
                                          {"not equal to", "\\ne "},
                                          {"except for", "\\ne "},
                                          {"except", "\\ne "},
                                          {"excluding", "\\ne "},
                                          {"other than", "\\ne "}};
    for (size_t i = 0; i < N(ROWS); i++)
        if (take(r, ROWS[i][0])) return ROWS[i][1];
    return NULL;
}

// A value up to "and" or the end: no words, no other relation. `*n` bytes from `at` on.
static bool take_value(struct reader *r, const char **value, size_t *n) {
    if (r->end - r->at >= 3 && ascii_is_alpha(r->at[0])) { // "except x = 2"
        const char *next = r->at + 1;
        while (next < r->end && *next == ' ') next++;
        if (next < r->end && *next == '=') {
            r->at = next + 1;
            while (r->at < r->end && *r->at == ' ') r->at++;
        }
    }
    *value = r->at;
    while (r->at < r->end && !(r->end - r->at > 5 && ascii_same(r->at, " and ", 5))) {
        const bool word = ascii_is_alpha(r->at[0]) && r->at > *value && ascii_is_alpha(r->at[-1]);
        const char *start = r->at;
        while (word && start > *value && ascii_is_alpha(start[-1])) start--;
        if ((word && (start == *value || start[-1] != '\\')) || strchr("<>=;:", *r->at))
            return false;
        r->at++;
    }
    *n = (size_t)(r->at - *value);
    return *n > 0;
}

static size_t append(char *out, size_t n, const char *text, size_t len) {
    memcpy(out + n, text, len);
    return n + len;
}

// "such that x > 3": the condition stands there as a formula.
static bool take_formula(struct reader *r, struct slice *out) {
    static const char *const SUCH[] = {"such that", "with", "where", "for which", "satisfying"};
    static const char *const SIGNS[] = {"<", ">", "\\le", "\\ge", "\\ne", "≤", "≥", "≠"};
    bool sign = false;
    if (!take_one(r, SUCH, N(SUCH))) return false;
    *out = (struct slice){r->at, (size_t)(r->end - r->at)};
    for (size_t i = 0; i < N(SIGNS); i++)
        sign |= memmem(out->ptr, out->len, SIGNS[i], strlen(SIGNS[i])) != NULL;
    for (size_t i = 1; i < out->len; i++) { // no words
        size_t start = i;
        if (!ascii_is_alpha(out->ptr[i]) || !ascii_is_alpha(out->ptr[i - 1])) continue;
        while (start > 0 && ascii_is_alpha(out->ptr[start - 1])) start--;
        if (start == 0 || out->ptr[start - 1] != '\\') return false;
    }
    return sign;
}

// The relations behind a subject as formulas of `letter`.
static size_t take_relations(struct reader *r, char letter, char *out) {
    static const char *const FILLERS[] = {"which", "that", "is", "are", "must", "be", "strictly"};
    static const char AND[] = " \\text{ and } ";
    size_t n = 0, len;
    const char *value, *sign, *last = NULL;
    for (int i = 0;; i++) {
        while (take_one(r, FILLERS, N(FILLERS))) {
        }
        sign = take_relation(r);
        if (!sign && last && strcmp(last, "\\ne ") == 0) sign = last; // "except 2 and 5"
        if (!sign || i == MAX_RELATIONS || !take_value(r, &value, &len)) return 0;
        if (i > 0) n = append(out, n, AND, strlen(AND));
        out[n++] = letter;
        out[n++] = ' ';
        n = append(out, n, sign, strlen(sign));
        n = append(out, n, value, len);
        last = sign;
        if (r->at == r->end) return n;
        r->at += strlen(" and ");
        const char again = take_letter(r);
        if (again && again != letter) return 0;
    }
}

// The two values of r, with `joint` between them. False where they are none.
static bool take_pair(struct reader *r, const char *joint, struct slice out[2]) {
    const char *at = memmem(r->at, (size_t)(r->end - r->at), joint, strlen(joint));
    if (!at) return false;
    struct reader parts[2] = {{r->at, at}, {at + strlen(joint), r->end}};
    for (int i = 0; i < 2; i++) {
        if (!take_value(&parts[i], &out[i].ptr, &out[i].len) || parts[i].at != parts[i].end)
            return false;
        if (memchr(out[i].ptr, ',', out[i].len)) return false;
    }
    return true;
}

// "between -2 and 7, exclusive", "from 1 to 5 inclusive" as a formula of `letter`; 0 where it is
// not said whether the ends are meant too.
static size_t take_between(struct reader *r, char letter, char *out) {
    static const char *const FILLERS[] = {"is",   "are", "must", "be",
                                          "lies", "lie", "that", "which"};
    static const struct {
        const char *words;
        bool closed;
    } ENDS[] = {{" not inclusive", false},     {" non-inclusive", false},
                {" exclusive", false},         {" (exclusive)", false},
                {" inclusive", true},          {" (inclusive)", true},
                {" both included", true},      {" both excluded", false},
                {" endpoints included", true}, {" endpoints excluded", false}};
    struct slice ends[2];
    while (take_one(r, FILLERS, N(FILLERS))) {
    }
    const bool strictly = take(r, "strictly"), between = take(r, "between");
    if (!between && !take(r, "from")) return 0;
    bool closed = false, said = strictly;
    for (size_t i = 0; i < N(ENDS) && !said; i++) {
        const size_t len = strlen(ENDS[i].words);
        if ((size_t)(r->end - r->at) <= len || !ascii_same(r->end - len, ENDS[i].words, len))
            continue;
        r->end -= len;
        while (r->end > r->at && strchr(" ,", r->end[-1])) r->end--;
        closed = ENDS[i].closed;
        said = true;
    }
    if (!said || !take_pair(r, between ? " and " : " to ", ends)) return 0;
    const char *sign = closed ? " \\le " : " < ";
    size_t n = append(out, 0, ends[0].ptr, ends[0].len);
    n = append(out, n, sign, strlen(sign));
    out[n++] = letter;
    n = append(out, n, sign, strlen(sign));
    return append(out, n, ends[1].ptr, ends[1].len);
}

bool form_condition(struct slice text, struct arena *arena, struct slice *out) {
    char flat[MAX_CONDITION], letter;
    size_t n;
    struct slice formula;
    const bool words =
        text.len >= 8 && text.len < MAX_CONDITION &&
        (ascii_is_alpha(text.ptr[0]) || text.ptr[0] == '$' || memcmp(text.ptr, "\\text{", 6) == 0);
    if (!words || !flatten(text, flat, &n)) return false;
    struct reader r = {flat, flat + n};
    if (!take_subject(&r, &letter)) return false;
    if (take_formula(&r, &formula)) {
        *out = (struct slice){arena_copy(arena, formula.ptr, formula.len), formula.len};
        return true;
    }
    char *made = arena_take(arena, 2 * MAX_CONDITION, 1);
    struct reader again = r;
    size_t len = take_between(&again, letter ? letter : 'x', made);
    if (len == 0) len = take_relations(&r, letter ? letter : 'x', made);
    *out = (struct slice){made, len};
    return len > 0;
}

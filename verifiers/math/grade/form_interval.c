// ]1,2] and [1,2[, whose brackets are open where they turn away, as (1,2] and [1,2).

#include "verifiers/math/grade/form.h"
#include "verifiers/math/grade/form_cut.h"

// Without the \left and \right of square brackets.
static struct slice unsized(struct slice s, struct arena *arena) {
    char *out = arena_take(arena, s.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        const struct slice rest = cut(s, i, s.len);
        const size_t size = starts(rest, "\\left") ? 5 : starts(rest, "\\right") ? 6 : 0;
        if (size && i + size < s.len && strchr("[]", s.ptr[i + size])) i += size;
        out[n++] = s.ptr[i];
    }
    return (struct slice){out, n};
}

static bool is_square(char c) {
    return c == '[' || c == ']';
}

// An interval whose left bracket is at `at`: where its right one is, or 0.
static size_t interval_end(struct slice s, size_t at) {
    int n_commas = 0, n_semicolons = 0, depth = 0;
    for (size_t i = at + 1; i < s.len && depth >= 0; i++) {
        const char c = s.ptr[i];
        if (is_square(c))
            return depth == 0 && (n_semicolons ? n_semicolons : n_commas) == 1 ? i : 0;
        depth += (c == '(' || c == '{') - (c == ')' || c == '}');
        n_commas += depth == 0 && c == ',';
        n_semicolons += depth == 0 && c == ';';
    }
    return 0;
}

// What joins intervals, and an interval in round brackets, at `at`: where they end.
static size_t past_joints(struct slice s, size_t at) {
    static const char *const JOINTS[] = {" ", "\\cup", "\\cap", "\\setminus", "∪", "∩"};
    for (size_t i = 0; i < sizeof JOINTS / sizeof *JOINTS; i++)
        if (starts(cut(s, at, s.len), JOINTS[i])) return at + strlen(JOINTS[i]);
    const char *close = s.ptr[at] == '(' ? memchr(s.ptr + at, ')', s.len - at) : NULL;
    return close ? (size_t)(close - s.ptr) + 1 : at;
}

// x \in ]1,2[, D = ]1,2[: where the set begins.
static size_t set_start(struct slice s) {
    static const char *const SIGNS[] = {"\\in ", "\\in]", "\\in[", "=", "∈"};
    for (size_t i = 0; i < s.len && !is_square(s.ptr[i]); i++)
        for (size_t k = 0; k < sizeof SIGNS / sizeof *SIGNS; k++)
            if (starts(cut(s, i, s.len), SIGNS[k]))
                return i + strlen(SIGNS[k]) - (is_square(SIGNS[k][strlen(SIGNS[k]) - 1]) ? 1 : 0);
    return 0;
}

struct slice form_interval(struct slice s, struct arena *arena) {
    if (!memchr(s.ptr, '[', s.len) && !memchr(s.ptr, ']', s.len)) return s;
    const struct slice out = unsized(s, arena);
    bool turned = false;
    for (size_t i = set_start(out); i < out.len;) {
        const size_t end = is_square(out.ptr[i]) ? interval_end(out, i) : 0;
        const size_t next = end ? end + 1 : past_joints(out, i);
        if (next == i) break;
        if (end && out.ptr[i] == ']') ((char *)out.ptr)[i] = '(', turned = true;
        if (end && out.ptr[end] == '[') ((char *)out.ptr)[end] = ')', turned = true;
        i = next;
    }
    return turned ? out : s;
}

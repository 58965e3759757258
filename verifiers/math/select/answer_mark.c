// Answers with marks of their own: "#### ..." and <answer>...</answer>.
#include "verifiers/math/select/answer_scan.h"

// The value behind "####" at `at`; false where it is a heading ("#### 3. Add up") or no value.
static bool read_hashes(struct slice text, size_t at, struct answer *out) {
    if (answer_starts(text, at, "#####") || (at > 0 && text.ptr[at - 1] == '#')) return false;
    size_t from = at + 4;
    while (from < text.len && answer_is_one_of(" \t\r", text.ptr[from])) from++;
    const struct slice rest = answer_cut(text, from, text.len);
    if (!answer_looks_like_value(rest) || answer_is_box(rest, 0)) return false;
    size_t end = answer_line_end(text, from); // read only behind what may be one: lines are long
    for (size_t i = from; i < end; i++)
        if (answer_is_tag(text, i)) end = i;
    const struct slice value = answer_trim(answer_cut(text, from, end));
    if (value.len == 0) return false;
    const bool opens_line = answer_trim(answer_cut(text, answer_line_start(text, at), at)).len == 0;
    const bool heading = opens_line && memchr(value.ptr, ' ', value.len) &&
                         answer_trim(answer_cut(text, end, text.len)).len;
    if (heading || answer_is_denied(text, at + 4, end, true)) return false;
    *out = (struct answer){.n_parts = 1, .parts = {value}, .prose = true, .rule = "hashes"};
    return true;
}

size_t answer_find_hashes(struct slice text, struct answer *out) {
    for (size_t left = text.len; left > 0;) {
        const size_t at = answer_find_last(answer_cut(text, 0, left), "####");
        if (at == SIZE_MAX) return SIZE_MAX;
        if (read_hashes(text, at, out)) return at;
        left = at + 3;
    }
    return SIZE_MAX;
}

// The end of the opening tag at `at`, or SIZE_MAX. `*name` is what it is called.
static size_t opening_tag(struct slice text, size_t at, const char **name) {
    static const char *const NAMES[] = {"answer",      "final_answer", "final-answer",
                                        "finalanswer", "ans",          "final"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (!answer_starts(text, at + 1, NAMES[i])) continue;
        const size_t end = at + 1 + strlen(NAMES[i]);
        *name = NAMES[i];
        if (end < text.len && text.ptr[end] == '>') return end + 1;
    }
    return SIZE_MAX;
}

// Where the tag that was opened by that name is closed; the end of the text where it is not.
static size_t closing_tag(struct slice text, size_t from, const char *name) {
    for (size_t i = from; i + 1 < text.len; i++)
        if (text.ptr[i] == '<' && text.ptr[i + 1] == '/' && answer_starts(text, i + 2, name))
            return i;
    return text.len;
}

size_t answer_find_tag(struct slice text, struct answer *out) {
    enum { MAX_TRIED = 64 };
    size_t left = text.len;
    for (int n = 0; n < MAX_TRIED && left > 0; n++) {
        const char *at = memrchr(text.ptr, '<', left), *name;
        if (!at) return SIZE_MAX;
        const size_t open = left = (size_t)(at - text.ptr);
        const size_t from = opening_tag(text, open, &name);
        if (from == SIZE_MAX) continue;
        const size_t close = closing_tag(text, from, name);
        const size_t end = close == text.len ? close : close + strlen(name) + 3;
        if (answer_is_denied(text, open, end < text.len ? end : text.len, true)) return SIZE_MAX;
        const struct slice value = answer_trim(answer_cut(text, from, close));
        *out = (struct answer){.n_parts = 1, .parts = {value}, .prose = true, .rule = "tag"};
        out->parts[1] = answer_hedge(text, end < text.len ? end : text.len);
        out->n_parts += out->parts[1].len > 0; // <answer>12</answer> or 13
        return open;
    }
    return SIZE_MAX;
}

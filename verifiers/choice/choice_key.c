// The member of an object in JSON that holds the choice: {"answer": "B"}, {"final_answer":
// {"letter": "B"}}.
#include "verifiers/choice/choice_find.h"
#include "verifiers/math/base/ascii.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_KEY = 32, MAX_OBJECT = 2000, MAX_KEYS = 64 };

static bool is_part_of_key(char c) {
    return ascii_is_alnum(c) || answer_is_one_of("_- ", c);
}

// The key in quotes that ends in front of the colon at `colon`; empty if none does. `*at` is where
// its first quote is.
static struct slice key_before(struct slice text, size_t colon, size_t *at) {
    size_t end = colon;
    while (end > 0 && answer_is_space(text.ptr[end - 1])) end--;
    if (end < 2 || !answer_is_one_of("\"'", text.ptr[end - 1])) return (struct slice){NULL, 0};
    size_t from = --end;
    while (from > 0 && end - from < MAX_KEY && is_part_of_key(text.ptr[from - 1])) from--;
    if (from == 0 || from == end || text.ptr[from - 1] != text.ptr[end])
        return (struct slice){NULL, 0};
    *at = from - 1;
    return answer_cut(text, from, end);
}

// "answer", "final_answer", "Correct Option", "answer_letter".
static bool is_answer_key(struct slice key) {
    static const char *const FIRST[] = {"final", "correct", "my",   "selected",  "chosen",
                                        "best",  "the",     "your", "predicted", "right"};
    static const char *const NOUNS[] = {"answer",     "option",   "choice", "letter",   "ans",
                                        "prediction", "response", "result", "selection"};
    bool noun = false;
    for (size_t at = 0; at < key.len;) {
        while (at < key.len && answer_is_one_of("_- ", key.ptr[at])) at++;
        size_t end = at;
        while (end < key.len && !answer_is_one_of("_- ", key.ptr[end])) end++;
        const struct slice word = answer_cut(key, at, end);
        if (answer_is_in(word, NOUNS, N(NOUNS)))
            noun = true;
        else if (noun || !answer_is_in(word, FIRST, N(FIRST)))
            return false;
        at = end;
    }
    return noun;
}

// Where the value at `at` ends: a text in quotes, one text in brackets, or a bare word. `at`: it is
// none, or not closed. `*from` is where its text starts.
static size_t value_end(struct slice text, size_t at, size_t *from, size_t *to) {
    size_t i = answer_skip_spaces(text, at);
    const bool list = i < text.len && text.ptr[i] == '[';
    if (list) i = answer_skip_spaces(text, i + 1);
    if (i >= text.len) return at;
    const bool quoted = answer_is_one_of("\"'", text.ptr[i]);
    *from = i + quoted;
    const char stop[2] = {text.ptr[i], 0};
    for (*to = *from; *to < text.len && *to - *from < MAX_OBJECT; ++*to) {
        if (answer_is_one_of(quoted ? stop : ",}]\n", text.ptr[*to])) break;
        if (answer_is_one_of("{\n", text.ptr[*to])) return at;
    }
    if (*to >= text.len || *to - *from >= MAX_OBJECT) return at;
    size_t end = *to + quoted;
    if (!list) return end;
    end = answer_skip_spaces(text, end);
    return end < text.len && text.ptr[end] == ']' ? end + 1 : at;
}

// The object in which the key at `key` stands: where it opens, or SIZE_MAX.
static size_t object_start(struct slice text, size_t key) {
    int depth = 0;
    for (size_t i = key; i-- > 0 && key - i < MAX_OBJECT;) {
        if (text.ptr[i] == '}') depth++;
        if (text.ptr[i] == '{' && depth-- == 0) return i;
    }
    return SIZE_MAX;
}

// {"is_correct": false, "answer": "B"}: in front of the answer.
static bool is_called_wrong(struct slice members) {
    static const char *const KEYS[] = {"correct\"", "valid\"", "right\""};
    for (size_t at = 0; at < members.len; at++)
        for (size_t i = 0; i < N(KEYS); i++) {
            if (!answer_starts(members, at, KEYS[i])) continue;
            size_t value = at + strlen(KEYS[i]);
            while (value < members.len && answer_is_one_of(" :", members.ptr[value])) value++;
            if (answer_starts(members, value, "false")) return true;
        }
    return false;
}

static bool read_member(const struct finder *f, size_t colon, struct statement *out) {
    const struct slice text = f->text;
    size_t key, from, to, end;
    const struct slice name = key_before(text, colon, &key);
    if (name.len == 0 || !is_answer_key(name)) return false;
    const size_t open = object_start(text, key);
    const size_t behind = value_end(text, colon + 1, &from, &to);
    if (open == SIZE_MAX || behind == colon + 1 || from >= to) return false;
    choice_set named = find_value(f, from, to, &end);
    if (!named) return false;
    const char *close = memchr(text.ptr + behind, '}', text.len - behind);
    const size_t rest = close ? (size_t)(close - text.ptr) : text.len;
    if (answer_names_other(answer_cut(text, behind, rest)) ||
        is_called_wrong(answer_cut(text, open, key)))
        named |= CHOICE_NONE;
    const size_t after = close ? rest + 1 : rest;
    if (answer_is_denied_of(text, open, after, true, &CHOICE_LETTERS)) return false;
    *out = (struct statement){from, after, named};
    return true;
}

struct statement find_key(const struct finder *f) {
    struct statement found = NO_STATEMENT;
    int n = 0;
    for (size_t i = f->text.len; i-- > 1 && n < MAX_KEYS;) {
        if (f->text.ptr[i] != ':' || !answer_is_one_of("\"' ", f->text.ptr[i - 1])) continue;
        n++;
        if (read_member(f, i, &found)) return found;
    }
    return found;
}

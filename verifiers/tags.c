// `tags`: whether the completion has the shape of a template: <think>...</think> and the like, each
// once and in order, and a closed box.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/verifier.h"

enum { MAX_TAGS = 8, MAX_NAME = 32, MAX_BYTES = 1 << 20 };

struct tags {
    int n;
    char opening[MAX_TAGS][MAX_NAME + 4], closing[MAX_TAGS][MAX_NAME + 4]; // (n)
    bool full;   // nothing but white space around and between the tags
    bool opened; // the prompt ends with the first opening tag
    bool boxed;
};

static int read_flag(const struct json *term, const char *key, bool *out, struct error *err) {
    const struct json *value = json_get(term, key);
    *out = value && value->type == JSON_TRUE;
    if (!value || value->type == JSON_TRUE || value->type == JSON_FALSE) return 0;
    return error_set(err, ERROR_INPUT, "\"%s\" is %s; true or false was expected.", key,
                     json_type_name(value));
}

static bool is_name(struct slice s) {
    if (s.len == 0 || s.len > MAX_NAME || !isalpha((unsigned char)s.ptr[0])) return false;
    for (size_t i = 0; i < s.len; i++)
        if (!isalnum((unsigned char)s.ptr[i]) && s.ptr[i] != '_' && s.ptr[i] != '-') return false;
    return true;
}

static int read_names(const struct json *list, struct arena *arena, struct tags *tags,
                      struct error *err) {
    if (!list) return 0;
    if (list->type != JSON_ARRAY || list->n_children < 1 || list->n_children > MAX_TAGS)
        return error_set(err, ERROR_INPUT,
                         "\"tags\" is %.*s; a list of 1 to %d names was expected.",
                         SLICE_ARG(list->text), MAX_TAGS);
    for (const struct json *j = list->first; j; j = j->next) {
        const struct slice name =
            j->type == JSON_STRING ? json_string(j, arena) : (struct slice){NULL, 0};
        if (!is_name(name))
            return error_set(err, ERROR_INPUT,
                             "\"tags\" holds %.*s; a name such as \"think\", a letter and up to %d "
                             "letters, digits, '_' or '-', was expected.",
                             SLICE_ARG(j->text), MAX_NAME - 1);
        snprintf(tags->opening[tags->n], sizeof tags->opening[0], "<%.*s>", SLICE_ARG(name));
        snprintf(tags->closing[tags->n], sizeof tags->closing[0], "</%.*s>", SLICE_ARG(name));
        for (int i = 0; i < tags->n; i++)
            if (strcmp(tags->opening[i], tags->opening[tags->n]) == 0)
                return error_set(err, ERROR_INPUT, "\"tags\" names \"%.*s\" twice.",
                                 SLICE_ARG(name));
        tags->n++;
    }
    return 0;
}

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    static const char *const PLACES[] = {"search", "full", NULL};
    struct tags tags = {0};
    int place;
    if (read_names(json_get(term, "tags"), arena, &tags, err) ||
        verifier_word(term, "where", PLACES, arena, &place, err) ||
        read_flag(term, "opened", &tags.opened, err) || read_flag(term, "boxed", &tags.boxed, err))
        return NULL;
    tags.full = place == 1;
    if (tags.n == 0 && (!tags.boxed || tags.full || tags.opened)) {
        error_set(err, ERROR_INPUT,
                  "The key \"tags\" is missing; only \"boxed\": true can do without it.");
        return NULL;
    }
    struct tags *state = memory_new(1, sizeof *state);
    *state = tags;
    return state;
}

static size_t find(struct slice text, size_t from, const char *what) {
    const char *at =
        from < text.len ? memmem(text.ptr + from, text.len - from, what, strlen(what)) : NULL;
    return at ? (size_t)(at - text.ptr) : SIZE_MAX;
}

static bool is_blank(struct slice text, size_t from, size_t to) {
    return slice_is_blank(slice_part(text, from, to));
}

// `what` occurs exactly once, at or behind `*at`, which moves behind it.
static bool take_once(struct slice text, const char *what, bool full, size_t *at) {
    const size_t first = find(text, 0, what);
    if (first == SIZE_MAX || first < *at || find(text, first + 1, what) != SIZE_MAX) return false;
    if (full && !is_blank(text, *at, first)) return false;
    *at = first + strlen(what);
    return true;
}

static bool has_tags(const struct tags *tags, struct slice text) {
    size_t at = 0;
    for (int i = 0; i < tags->n; i++) {
        if (i == 0 && tags->opened) {
            if (find(text, 0, tags->opening[0]) != SIZE_MAX) return false;
        } else if (!take_once(text, tags->opening[i], tags->full, &at)) {
            return false;
        }
        if (!take_once(text, tags->closing[i], false, &at)) return false;
    }
    return !tags->full || tags->n == 0 || is_blank(text, at, text.len);
}

// Whether the last \boxed{ behind the last </think> is closed around something. One pass: the
// braces of a box that is not closed are not read again.
static bool has_box(struct slice text) {
    static const char BOX[] = "\\boxed{";
    size_t from = 0, at = SIZE_MAX;
    for (size_t i; (i = find(text, from, "</think>")) != SIZE_MAX;) from = i + 1;
    for (size_t i; (i = find(text, from, BOX)) != SIZE_MAX;) from = (at = i) + 1;
    if (at == SIZE_MAX) return false;
    const size_t start = at + strlen(BOX);
    int64_t depth = 1;
    for (size_t i = start; i < text.len; i++) {
        if (text.ptr[i] == '\\') {
            i++; // \{ and \} do not count
            continue;
        }
        depth += (text.ptr[i] == '{') - (text.ptr[i] == '}');
        if (depth == 0) return !is_blank(text, start, i);
    }
    return false;
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct tags *tags = state;
    const struct slice text = sample->completion;
    if (text.len > MAX_BYTES) {
        out->status = REWARD_LIMIT;
        snprintf(out->detail, sizeof out->detail, "The text has %zu bytes; at most %d are read.",
                 text.len, MAX_BYTES);
    } else if (is_blank(text, 0, text.len)) {
        out->status = REWARD_NO_ANSWER;
    } else {
        out->value = has_tags(tags, text) && (!tags->boxed || has_box(text));
    }
}

static const char *const KEYS[] = {"tags", "where", "opened", "boxed", NULL};

const struct verifier tags_verifier = {
    .name = "tags", .keys = KEYS, .parse = parse, .grade = grade, .free = free};

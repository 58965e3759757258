#include "verifiers/score/score_path.h"

#include <stdlib.h>

static const char *const FIELDS[SCORE_N_FIELDS] = {
    "completion", "messages", "gold",  "reward",   "id",           "prompt",
    "group",      "dataset",  "label", "n_tokens", "finish_reason"};

const char *score_field_name(enum score_field field) {
    return FIELDS[field];
}

static int parse_step(struct slice text, size_t *at, struct score_path *out) {
    size_t i = *at, start;
    if (out->n == SCORE_MAX_STEPS) return -1;
    if (text.ptr[i] == '[') {
        int number = 0;
        for (start = ++i; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
            if ((number = number * 10 + (text.ptr[i] - '0')) > 1 << 20) return -1;
        if (i == start || i == text.len || text.ptr[i++] != ']') return -1;
        out->steps[out->n++].at = number;
    } else {
        i += text.ptr[i] == '.';
        for (start = i; i < text.len && text.ptr[i] != '.' && text.ptr[i] != '[';) i++;
        if (i == start) return -1;
        out->steps[out->n++].key = (struct slice){text.ptr + start, i - start};
    }
    *at = i;
    return 0;
}

int score_path_parse(struct slice text, struct score_path *out, struct error *err) {
    *out = (struct score_path){0};
    for (size_t i = 0; i < text.len;)
        if (parse_step(text, &i, out)) out->n = SCORE_MAX_STEPS, i = text.len, out->n = 0;
    if (out->n > 0) return 0;
    return error_set(err, ERROR_USAGE,
                     "The path '%.*s' is not understood; .name, .outer.inner or .list[0] with at "
                     "most %d steps was expected.",
                     SLICE_ARG(text), SCORE_MAX_STEPS);
}

int score_map_parse(const char *text, struct score_map *map, struct error *err) {
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ","), name = strcspn(p, "=,");
        int field = 0;
        while (field < SCORE_N_FIELDS && !slice_is((struct slice){p, name}, FIELDS[field])) field++;
        if (field == SCORE_N_FIELDS || name == len)
            return error_set(err, ERROR_USAGE,
                             "--map has '%.*s'; FIELD=PATH was expected, where FIELD is "
                             "completion, messages, gold, reward, id, prompt, group, dataset, "
                             "label, n_tokens or finish_reason.",
                             (int)(len < 80 ? len : 80), p);
        struct slice path = {p + name + 1, len - name - 1};
        if (score_path_parse(path, &map->fields[field], err)) return -1;
        p += len + (p[len] == ',');
    }
    return 0;
}

const struct json *score_path_find(const struct score_path *path, const struct json *root,
                                   struct arena *arena) {
    for (int i = 0; i < path->n && root; i++) {
        if (root->n_children > 0 && !root->first)
            root = json_parse_python_shallow(root->text, arena, NULL);
        if (!root) break;
        if (path->steps[i].key.ptr) {
            const struct json *found = NULL;
            if (root->type != JSON_OBJECT) return NULL;
            for (const struct json *m = root->first; m; m = m->next)
                if (slice_equal(m->key, path->steps[i].key)) found = m;
            root = found;
        } else {
            if (root->type != JSON_ARRAY) return NULL;
            root = root->first;
            for (int j = 0; j < path->steps[i].at && root; j++) root = root->next;
        }
    }
    return root && root->type != JSON_NULL ? root : NULL;
}

struct slice score_key(const struct json *value, struct arena *arena) {
    if (value->type == JSON_STRING) return json_string(value, arena);
    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) return value->text;
    struct buffer text = {0};
    const struct json *whole = json_parse_python(value->text, arena, NULL);
    if (whole) json_add_compact(&text, whole);
    struct slice out = {arena_copy(arena, text.ptr, text.len), text.len};
    buffer_free(&text);
    return out;
}

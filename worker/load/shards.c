#include "worker/load/shards.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/buffer.h"
#include "protocol/base/json.h"
#include "worker/load/file.h"

// A name of a file in the checkpoint's own directory.
static bool is_plain(struct slice name) {
    return name.len > 0 && name.len < 256 && !memchr(name.ptr, '/', name.len) &&
           !memchr(name.ptr, '\0', name.len) && !slice_is(name, ".") && !slice_is(name, "..");
}

static int find_or_add_file(struct shards *s, struct slice name, struct error *err) {
    // The entries of one file stand together more often than not.
    for (int i = s->n_files - 1; i >= 0; i--)
        if (slice_equal(s->files[i], name)) return i;
    if (s->n_files == SHARDS_MAX_FILES)
        return error_set(err, ERROR_CONFIG,
                         "\"weight_map\" names more than %d files; fewer were expected.",
                         SHARDS_MAX_FILES);
    s->files = memory_resize(s->files, (size_t)s->n_files + 1, sizeof *s->files);
    s->files[s->n_files] = name;
    return s->n_files++;
}

static int read_entry(struct shards *s, const struct json *member, struct arena *arena,
                      struct error *err) {
    struct slice file = {"", 0};
    if (member->type == JSON_STRING) file = json_string(member, arena);
    if (!is_plain(file))
        return error_set(err, ERROR_CONFIG,
                         "\"weight_map\" puts tensor \"%.*s\" into %.*s; the name of a file in "
                         "the same directory was expected.",
                         SLICE_ARG(member->key), SLICE_ARG(member->text));
    int f = find_or_add_file(s, file, err);
    if (f < 0) return -1;
    s->entries[s->n++] = (struct shard_entry){member->key, f};
    return 0;
}

static int parse(struct slice text, struct arena *arena, struct shards *s, struct error *err) {
    const struct json *root = json_parse(text, arena, err);
    if (!root) {
        if (err) err->code = ERROR_CONFIG;
        return -1;
    }
    const struct json *map = json_get(root, "weight_map");
    if (!map || map->type != JSON_OBJECT)
        return error_set(err, ERROR_CONFIG,
                         "\"weight_map\" is %s; an object from tensor to file name was expected.",
                         map ? json_type_name(map) : "missing");
    s->entries = memory_new((size_t)map->n_children, sizeof *s->entries);
    for (const struct json *m = map->first; m; m = m->next)
        if (read_entry(s, m, arena, err)) return -1;
    return 0;
}

int shards_read(const char *path, struct arena *arena, struct shards *out, struct error *err) {
    struct buffer text = {0};
    *out = (struct shards){0};
    if (file_read(path, SHARDS_MAX_INDEX_BYTES, &text, err)) return -1;
    struct slice copy = {arena_copy(arena, text.ptr ? text.ptr : "", text.len), text.len};
    buffer_free(&text);
    if (!parse(copy, arena, out, err)) return 0;
    shards_free(out);
    return error_prefix(err, "%s", path);
}

void shards_free(struct shards *s) {
    free(s->files);
    free(s->entries);
    *s = (struct shards){0};
}

int shards_check(const struct shards *s, const struct safetensors *opened, struct error *err) {
    unsigned char *seen = memory_new((size_t)opened->n + 1, 1);
    int rc = 0;
    for (int i = 0; i < s->n && !rc; i++) {
        struct slice name = s->entries[i].tensor, file = s->files[s->entries[i].file];
        const struct safetensor *t = safetensors_find(opened, name);
        if (!t)
            rc = error_set(err, ERROR_CONFIG,
                           "Tensor \"%.*s\" is not in %.*s; it was expected there, as "
                           "\"weight_map\" says.",
                           SLICE_ARG(name), SLICE_ARG(file));
        else if (t->file != s->entries[i].file)
            rc = error_set(err, ERROR_CONFIG,
                           "Tensor \"%.*s\" is in %.*s; %.*s was expected, as \"weight_map\" says.",
                           SLICE_ARG(name), SLICE_ARG(s->files[t->file]), SLICE_ARG(file));
        else if (seen[t - opened->items]++)
            rc = error_set(err, ERROR_CONFIG,
                           "\"weight_map\" has tensor \"%.*s\" twice; each once was expected.",
                           SLICE_ARG(name));
    }
    for (int i = 0; i < opened->n && !rc; i++)
        if (!seen[i])
            rc = error_set(err, ERROR_CONFIG,
                           "Tensor \"%.*s\" is in %.*s but not in \"weight_map\"; it was expected "
                           "there.",
                           SLICE_ARG(opened->items[i].name),
                           SLICE_ARG(s->files[opened->items[i].file]));
    free(seen);
    return rc;
}

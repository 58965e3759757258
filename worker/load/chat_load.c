// The files that a checkpoint's chat templates and special tokens come from, by the rules of
// transformers' from_pretrained.
#include <dirent.h>
#include <stdlib.h>

#include "worker/load/chat_parts.h"
#include "worker/load/file.h"

enum { MAX_TEMPLATE_BYTES = 1 << 20, MAX_CONFIG_BYTES = 256 << 20 };

static const char config_where[] = "chat_template of tokenizer_config.json";

// `where` is what sentences call the file.
static int read_template(struct chat *chat, const char *name, const char *path, const char *where,
                         struct error *err) {
    struct buffer text = {0};
    int failed = file_read(path, MAX_TEMPLATE_BYTES, &text, err);
    if (!failed) chat_add_template(chat, name, buffer_slice(&text), where);
    buffer_free(&text);
    return failed;
}

// additional_chat_templates/NAME.jinja
static int read_additional(struct chat *chat, const char *directory, struct error *err) {
    static const char ending[] = ".jinja", name[] = "additional_chat_templates";
    char *folder = file_join(directory, slice_of(name));
    DIR *files = opendir(folder);
    int failed = 0;
    for (struct dirent *f; files && !failed && (f = readdir(files));) {
        size_t n = strlen(f->d_name), end = sizeof ending - 1;
        if (n <= end || strcmp(f->d_name + n - end, ending) != 0) continue;
        char *path = file_join(folder, slice_of(f->d_name));
        const char *where = path + strlen(path) - n - sizeof name; // from the folder's name on
        f->d_name[n - end] = 0;
        failed = read_template(chat, f->d_name, path, where, err);
        free(path);
    }
    if (files) closedir(files);
    free(folder);
    return failed;
}

// ---- tokenizer_config.json

static int add_named(struct chat *chat, const struct json *name, const struct json *text,
                     struct error *err) {
    struct arena arena = {0};
    if (!name || name->type != JSON_STRING || !text || text->type != JSON_STRING)
        return error_set(err, ERROR_CONFIG,
                         "chat_template has an entry without a name or a template, expected both "
                         "as strings.");
    struct slice n = json_string(name, &arena);
    chat_add_template(chat, n.ptr, json_string(text, &arena), config_where);
    arena_clear(&arena);
    return 0;
}

// A string, or [{"name", "template"}].
static int read_config_templates(struct chat *chat, const struct json *config, struct error *err) {
    const struct json *found = json_get(config, "chat_template");
    struct arena arena = {0};
    if (!found || found->type == JSON_NULL) return 0;
    if (found->type == JSON_STRING) {
        chat_add_template(chat, "default", json_string(found, &arena), config_where);
        arena_clear(&arena);
        return 0;
    }
    if (found->type != JSON_ARRAY)
        return error_set(err, ERROR_CONFIG,
                         "chat_template is %s, expected a string or a list of named ones.",
                         json_type_name(found));
    for (const struct json *entry = found->first; entry; entry = entry->next)
        if (add_named(chat, json_get(entry, "name"), json_get(entry, "template"), err)) return -1;
    return 0;
}

// A token is a string, or an object with its `content`.
static void add_token(struct chat *chat, struct slice name, const struct json *value) {
    struct arena arena = {0};
    if (value->type == JSON_OBJECT) value = json_get(value, "content");
    if (value && value->type == JSON_STRING) chat_add_token(chat, name, json_string(value, &arena));
    arena_clear(&arena);
}

static void read_tokens(struct chat *chat, const struct json *config) {
    static const char ending[] = "_token";
    size_t end = sizeof ending - 1;
    const struct json *extra = json_get(config, "extra_special_tokens");
    for (const struct json *m = config->first; m; m = m->next)
        if (m->key.len > end && memcmp(m->key.ptr + m->key.len - end, ending, end) == 0)
            add_token(chat, m->key, m);
    if (extra && extra->type == JSON_OBJECT)
        for (const struct json *m = extra->first; m; m = m->next) add_token(chat, m->key, m);
}

// Parses a file of the directory that may be absent; `config` is then NULL.
static int read_json(const char *path, struct arena *arena, struct buffer *text,
                     const struct json **config, struct error *err) {
    *config = NULL;
    if (!file_exists(path)) return 0;
    if (file_read(path, MAX_CONFIG_BYTES, text, err)) return -1;
    *config = json_parse(buffer_slice(text), arena, err);
    if (*config && (*config)->type == JSON_OBJECT) return 0;
    if (*config)
        error_set(err, ERROR_CONFIG, "The file holds %s, expected an object.",
                  json_type_name(*config));
    if (err) err->code = ERROR_CONFIG;
    return error_prefix(err, "%s", path);
}

static int read_config(struct chat *chat, const char *directory, struct error *err) {
    char *path = file_join(directory, slice_of("tokenizer_config.json"));
    char *map_path = file_join(directory, slice_of("special_tokens_map.json"));
    struct arena arena = {0};
    struct buffer text = {0}, map_text = {0};
    const struct json *config, *map = NULL;
    int failed = read_json(path, &arena, &text, &config, err);
    if (!failed && config) {
        bool wants_template = chat->n_templates == 0;
        if (wants_template && read_config_templates(chat, config, err))
            failed = error_prefix(err, "%s", path);
        read_tokens(chat, config);
    } else if (!failed) {
        chat_add_usual_tokens(chat);
    }
    // An older file, which counts where the tokens are not described in the newer one.
    if (!failed && !json_get(config, "added_tokens_decoder"))
        failed = read_json(map_path, &arena, &map_text, &map, err);
    if (map) read_tokens(chat, map);
    arena_clear(&arena);
    buffer_free(&text);
    buffer_free(&map_text);
    free(path);
    free(map_path);
    return failed;
}

struct chat *chat_load(const char *directory, struct error *err) {
    struct chat *chat = memory_new(1, sizeof *chat);
    char *path = file_join(directory, slice_of("chat_template.jinja"));
    int failed =
        file_exists(path) ? read_template(chat, "default", path, "chat_template.jinja", err) : 0;
    if (!failed) failed = read_additional(chat, directory, err);
    if (!failed) failed = read_config(chat, directory, err);
    if (!failed && chat->n_templates == 0)
        chat_add_template(chat, "default", slice_of(chat_default_template), "LFM2's template");
    free(path);
    if (failed) chat_free(&chat);
    return chat;
}

// The text of the default template in a parsed tokenizer_config.json, or nothing.
static void add_config_text(const struct json *config, struct buffer *out) {
    const struct json *found = json_get(config, "chat_template");
    struct arena arena = {0};
    if (found && found->type == JSON_STRING) buffer_add_slice(out, json_string(found, &arena));
    arena_clear(&arena);
}

int chat_template_text(const char *directory, struct buffer *out, struct error *err) {
    char *path = file_join(directory, slice_of("chat_template.jinja"));
    char *config_path = file_join(directory, slice_of("tokenizer_config.json"));
    struct arena arena = {0};
    struct buffer text = {0};
    const struct json *config = NULL;
    int failed = file_exists(path) ? file_read(path, MAX_TEMPLATE_BYTES, out, err)
                                   : read_json(config_path, &arena, &text, &config, err);
    if (config) add_config_text(config, out);
    arena_clear(&arena);
    buffer_free(&text);
    free(path);
    free(config_path);
    return failed;
}

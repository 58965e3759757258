// The files of a checkpoint's tokenizer, and what tokenizer_config.json says about it.
#include <stdlib.h>

#include "worker/load/file.h"
#include "worker/load/tokenizer_parts.h"

enum { MAX_FILE_BYTES = 256 << 20 };

// An entry such as bos_token: a string, or an added token as an object. Stores -1 when there is
// none. transformers would make a new token of an unknown text; a model has no row for that.
static int read_token(struct tokenizer *t, const struct json *config, const char *name,
                      const char *otherwise, int32_t *id, struct error *err) {
    const struct json *value = json_get(config, name);
    struct arena arena = {0};
    int failed = 0;
    if (value && value->type == JSON_OBJECT) value = json_get(value, "content");
    if (!config) {
        *id = tokenizer_find(t, slice_of(otherwise));
    } else if (!value || value->type == JSON_NULL) {
        *id = -1;
    } else if (value->type != JSON_STRING) {
        failed = error_set(err, ERROR_CONFIG, "%s is %s, expected a string.", name,
                           json_type_name(value));
    } else {
        *id = tokenizer_find(t, json_string(value, &arena));
        if (*id < 0)
            failed = error_set(err, ERROR_CONFIG, "%s is %.*s, expected a token of tokenizer.json.",
                               name, SLICE_ARG(value->text));
    }
    arena_clear(&arena);
    return failed;
}

// add_bos_token and add_eos_token are not read: where there is a tokenizer.json, transformers 5
// drops them too, and its post_processor decides.
int tokenizer_read_config(struct tokenizer *t, const struct json *config, struct error *err) {
    int32_t eos = -1;
    if (config && config->type != JSON_OBJECT)
        return error_set(err, ERROR_CONFIG, "The file holds %s, expected an object.",
                         json_type_name(config));
    if (read_token(t, config, "bos_token", "<|startoftext|>", &t->bos, err)) return -1;
    if (read_token(t, config, "eos_token", "<|im_end|>", &eos, err)) return -1;
    int32_t end_of_text = tokenizer_find(t, slice_of("<|endoftext|>"));
    if (eos >= 0) t->end_ids[t->n_end_ids++] = eos;
    if (end_of_text >= 0 && end_of_text != eos) t->end_ids[t->n_end_ids++] = end_of_text;
    return 0;
}

static int parse_main(struct tokenizer *t, struct slice text, struct error *err) {
    struct arena arena = {0};
    const struct json *root = json_parse(text, &arena, err);
    int failed = root ? 0 : -1;
    if (failed && err) err->code = ERROR_CONFIG;
    if (root && root->type != JSON_OBJECT)
        failed = error_set(err, ERROR_CONFIG, "The file holds %s, expected an object.",
                           json_type_name(root));
    if (!failed)
        failed = tokenizer_read_model(t, root, err) || tokenizer_read_added(t, root, err) ||
                 tokenizer_check_steps(root, err) || tokenizer_read_template(t, root, err);
    arena_clear(&arena);
    return failed ? error_prefix(err, "tokenizer.json") : 0;
}

static int parse_config(struct tokenizer *t, struct slice text, struct error *err) {
    struct arena arena = {0};
    const struct json *root = text.len > 0 ? json_parse(text, &arena, err) : NULL;
    int failed = text.len > 0 && !root ? -1 : 0;
    if (failed && err) err->code = ERROR_CONFIG;
    if (!failed) failed = tokenizer_read_config(t, root, err);
    arena_clear(&arena);
    return failed ? error_prefix(err, "tokenizer_config.json") : 0;
}

struct tokenizer *tokenizer_parse(struct slice tokenizer_json, struct slice config_json,
                                  struct error *err) {
    struct tokenizer *t = memory_new(1, sizeof *t);
    t->bos = -1;
    if (parse_main(t, tokenizer_json, err) || parse_config(t, config_json, err)) tokenizer_free(&t);
    return t;
}

bool tokenizer_is_present(const char *directory) {
    char *path = file_join(directory, slice_of("tokenizer.json"));
    bool present = file_exists(path);
    free(path);
    return present;
}

struct tokenizer *tokenizer_load(const char *directory, struct error *err) {
    char *path = file_join(directory, slice_of("tokenizer.json"));
    char *config_path = file_join(directory, slice_of("tokenizer_config.json"));
    struct buffer text = {0}, config = {0};
    struct tokenizer *t = NULL;
    if (file_read(path, MAX_FILE_BYTES, &text, err) == 0 &&
        (!file_exists(config_path) || file_read(config_path, MAX_FILE_BYTES, &config, err) == 0)) {
        t = tokenizer_parse(buffer_slice(&text), buffer_slice(&config), err);
        if (!t) error_prefix(err, "%s", directory);
    }
    buffer_free(&text);
    buffer_free(&config);
    free(path);
    free(config_path);
    return t;
}

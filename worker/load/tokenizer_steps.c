// The steps of tokenizer.json around the model: normalizer, pre-tokenizer, post-processor, decoder.
#include "worker/load/pretokenize.h"
#include "worker/load/tokenizer_parts.h"

static bool is_type(const struct json *step, const char *type) {
    return tokenizer_is_text(json_get(step, "type"), type);
}

static bool is_false(const struct json *value) {
    return value && value->type == JSON_FALSE;
}

static int refuse(struct error *err, const char *field, const struct json *value,
                  const char *expected) {
    struct slice text = value ? value->text : slice_of("absent");
    return error_set(err, ERROR_CONFIG, "%s is %.*s, expected %s.", field, SLICE_ARG(text),
                     expected);
}

static int check_split(const struct json *split, struct error *err) {
    const struct json *pattern = json_get(json_get(split, "pattern"), "Regex");
    if (!is_type(split, "Split"))
        return refuse(err, "The first pre_tokenizer", split, "the type Split");
    if (!tokenizer_is_text(pattern, PRETOKENIZE_PATTERN))
        return error_set(err, ERROR_CONFIG,
                         "pre_tokenizer has the pattern %.*s, expected the LFM2 family's, the only "
                         "one that is known: %s.",
                         pattern ? (int)(pattern->text.len < 300 ? pattern->text.len : 300) : 7,
                         pattern ? pattern->text.ptr : "nothing", PRETOKENIZE_PATTERN);
    if (!tokenizer_is_text(json_get(split, "behavior"), "Isolated"))
        return refuse(err, "pre_tokenizer.behavior", json_get(split, "behavior"), "\"Isolated\"");
    if (json_get(split, "invert") && !is_false(json_get(split, "invert")))
        return refuse(err, "pre_tokenizer.invert", json_get(split, "invert"), "false");
    return 0;
}

static int check_byte_level(const struct json *step, struct error *err) {
    if (!is_type(step, "ByteLevel"))
        return refuse(err, "The second pre_tokenizer", step, "the type ByteLevel");
    if (!is_false(json_get(step, "add_prefix_space")))
        return refuse(err, "pre_tokenizer.add_prefix_space", json_get(step, "add_prefix_space"),
                      "false");
    if (!is_false(json_get(step, "use_regex"))) // absent means true
        return refuse(err, "pre_tokenizer.use_regex", json_get(step, "use_regex"), "false");
    return 0;
}

int tokenizer_check_steps(const struct json *root, struct error *err) {
    const struct json *normalizer = json_get(root, "normalizer");
    const struct json *sequence = json_get(root, "pre_tokenizer");
    const struct json *steps = json_get(sequence, "pretokenizers");
    const struct json *decoder = json_get(root, "decoder");
    if (!tokenizer_is_null(normalizer)) return refuse(err, "normalizer", normalizer, "null");
    if (!is_type(sequence, "Sequence") || !steps || steps->type != JSON_ARRAY ||
        steps->n_children != 2)
        return refuse(err, "pre_tokenizer", sequence, "a Sequence of Split and ByteLevel");
    if (check_split(steps->first, err) || check_byte_level(steps->first->next, err)) return -1;
    if (is_type(decoder, "Sequence")) {
        const struct json *list = json_get(decoder, "decoders");
        decoder = list && list->type == JSON_ARRAY && list->n_children == 1 ? list->first : decoder;
    }
    return is_type(decoder, "ByteLevel") ? 0 : refuse(err, "decoder", decoder, "a ByteLevel");
}

// Adds the ids of the special token `name` of a TemplateProcessing.
static int add_special(struct tokenizer *t, const struct json *template, struct slice name,
                       struct token_list *out, struct error *err) {
    const struct json *entry = json_get(json_get(template, "special_tokens"), name.ptr);
    const struct json *ids = json_get(entry, "ids");
    if (!ids || ids->type != JSON_ARRAY || ids->n_children == 0)
        return error_set(err, ERROR_CONFIG,
                         "post_processor uses \"%.*s\", expected its ids in special_tokens.",
                         SLICE_ARG(name));
    for (const struct json *i = ids->first; i; i = i->next) {
        int64_t id = -1;
        if (json_int64(i, &id) || !vocab_has_id(&t->vocab, id))
            return error_set(err, ERROR_CONFIG,
                             "post_processor gives \"%.*s\" the id %.*s, expected an id of the "
                             "vocabulary.",
                             SLICE_ARG(name), SLICE_ARG(i->text));
        token_list_add(out, (int32_t)id);
    }
    return 0;
}

static int read_single(struct tokenizer *t, const struct json *template, struct arena *arena,
                       struct error *err) {
    const struct json *single = json_get(template, "single");
    struct token_list *out = &t->front;
    if (!single || single->type != JSON_ARRAY)
        return refuse(err, "post_processor.single", single, "an array");
    for (const struct json *p = single->first; p; p = p->next) {
        const struct json *special = json_get(json_get(p, "SpecialToken"), "id");
        const struct json *sequence = json_get(json_get(p, "Sequence"), "id");
        if (special && special->type == JSON_STRING) {
            if (add_special(t, template, json_string(special, arena), out, err)) return -1;
        } else if (tokenizer_is_text(sequence, "A") && out == &t->front) {
            out = &t->back;
        } else {
            return refuse(err, "A part of post_processor.single", p,
                          "a SpecialToken, or the Sequence A once");
        }
    }
    return out == &t->back ? 0 : refuse(err, "post_processor.single", single, "the Sequence A");
}

// ByteLevel as a post-processor changes offsets only.
static int read_processor(struct tokenizer *t, const struct json *step, int *n_templates,
                          struct error *err) {
    if (is_type(step, "ByteLevel")) return 0;
    if (!is_type(step, "TemplateProcessing") || ++*n_templates > 1)
        return refuse(err, "post_processor", step, "ByteLevel, and one TemplateProcessing at most");
    struct arena arena = {0};
    int failed = read_single(t, step, &arena, err);
    arena_clear(&arena);
    return failed;
}

int tokenizer_read_template(struct tokenizer *t, const struct json *root, struct error *err) {
    const struct json *processor = json_get(root, "post_processor");
    int n_templates = 0;
    if (tokenizer_is_null(processor)) return 0;
    if (!is_type(processor, "Sequence")) return read_processor(t, processor, &n_templates, err);
    const struct json *steps = json_get(processor, "processors");
    if (!steps || steps->type != JSON_ARRAY)
        return refuse(err, "post_processor.processors", steps, "an array");
    for (const struct json *p = steps->first; p; p = p->next)
        if (read_processor(t, p, &n_templates, err)) return -1;
    return 0;
}

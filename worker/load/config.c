#include "worker/load/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buffer.h"
#include "protocol/base/json.h"
#include "protocol/base/memory.h"
#include "worker/load/file.h"

struct reader {
    const struct json *object;
    const char *inside; // "" or "rope_parameters.", in front of keys in sentences
    struct arena *arena;
    struct error *err;
};

// A member that says something: null counts as absent, as transformers writes it.
static const struct json *find(const struct reader *r, const char *key) {
    const struct json *v = key ? json_get(r->object, key) : NULL;
    return v && v->type != JSON_NULL ? v : NULL;
}

static int refuse(const struct reader *r, const char *key, const struct json *v,
                  const char *expected) {
    if (!v)
        return error_set(r->err, ERROR_CONFIG, "\"%s%s\" is missing; %s was expected.", r->inside,
                         key, expected);
    return error_set(r->err, ERROR_CONFIG, "\"%s%s\" is %.*s; %s was expected.", r->inside, key,
                     SLICE_ARG(v->text), expected);
}

static int refuse_twice(const struct reader *r, const char *key, const struct json *a,
                        const char *alias, const struct json *b) {
    return error_set(r->err, ERROR_CONFIG,
                     "\"%s%s\" is %.*s and \"%s\" is %.*s; the same of both was expected.",
                     r->inside, key, SLICE_ARG(a->text), alias, SLICE_ARG(b->text));
}

static int refuse_integer(const struct reader *r, const char *key, const struct json *v,
                          int64_t low, int64_t high) {
    char expected[96];
    snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)low,
             (long long)high);
    return refuse(r, key, v, expected);
}

// Readers of one key with an older spelling (`alias` or NULL): 1 when it is there, 0 when neither
// is, -1 when it is wrong or the two disagree.
static int read_int(const struct reader *r, const char *key, const char *alias, int low, int high,
                    int *out) {
    const struct json *v = find(r, key), *other = find(r, alias);
    int64_t a = 0, b = 0;
    if (v && (v->type != JSON_NUMBER || json_int64(v, &a) || a < low || a > high))
        return refuse_integer(r, key, v, low, high);
    if (other && (other->type != JSON_NUMBER || json_int64(other, &b) || b < low || b > high))
        return refuse_integer(r, alias, other, low, high);
    if (v && other && a != b) return refuse_twice(r, key, v, alias, other);
    if (!v && !other) return 0;
    *out = (int)(v ? a : b);
    return 1;
}

static int need_int(const struct reader *r, const char *key, const char *alias, int low, int high,
                    int *out) {
    int found = read_int(r, key, alias, low, high, out);
    if (found == 0) return refuse_integer(r, key, NULL, low, high);
    return found < 0 ? -1 : 0;
}

struct range {
    double low, high; // inclusive
    const char *expected;
};

static bool is_in(const struct json *v, const struct range *range, double *out) {
    return v->type == JSON_NUMBER && json_double(v, out) == 0 && *out >= range->low &&
           *out <= range->high;
}

static int read_double(const struct reader *r, const char *key, const char *alias,
                       const struct range *range, double *out) {
    const struct json *v = find(r, key), *other = find(r, alias);
    double a = 0, b = 0;
    if (v && !is_in(v, range, &a)) return refuse(r, key, v, range->expected);
    if (other && !is_in(other, range, &b)) return refuse(r, alias, other, range->expected);
    if (v && other && (a < b || a > b)) return refuse_twice(r, key, v, alias, other);
    if (!v && !other) return 0;
    *out = v ? a : b;
    return 1;
}

static int read_bool(const struct reader *r, const char *key, const char *alias, bool otherwise,
                     bool *out) {
    const struct json *v = find(r, key), *other = find(r, alias);
    if (v && v->type != JSON_TRUE && v->type != JSON_FALSE)
        return refuse(r, key, v, "true or false");
    if (other && other->type != JSON_TRUE && other->type != JSON_FALSE)
        return refuse(r, alias, other, "true or false");
    if (v && other && v->type != other->type) return refuse_twice(r, key, v, alias, other);
    const struct json *said = v ? v : other;
    *out = said ? said->type == JSON_TRUE : otherwise;
    return 0;
}

static int read_family(const struct reader *r, struct model_config *c, bool *moe) {
    const struct json *v = find(r, "model_type");
    struct slice name = {"", 0};
    if (v && v->type == JSON_STRING) name = json_string(v, r->arena);
    *moe = slice_is(name, "lfm2_moe");
    if (!*moe && !slice_is(name, "lfm2"))
        return refuse(r, "model_type", v, "\"lfm2\" or \"lfm2_moe\"");
    c->family = *moe ? "lfm2_moe" : "lfm2";
    v = find(r, "quantization_config");
    if (v) return refuse(r, "quantization_config", v, "a checkpoint that is not quantised");
    v = find(r, "hidden_act");
    if (v && !slice_is(v->text, "\"silu\"") && !slice_is(v->text, "\"swish\""))
        return refuse(r, "hidden_act", v, "\"silu\"");
    return 0;
}

// Embedding models and others have the same model_type and layers, but no causal attention or no
// head. Absent in configurations that no program has written.
static int read_architectures(const struct reader *r) {
    static const char *const known[] = {"Lfm2ForCausalLM", "Lfm2MoeForCausalLM"};
    const struct json *v = find(r, "architectures");
    if (!v) return 0;
    for (const struct json *a = v->type == JSON_ARRAY ? v->first : NULL; a; a = a->next)
        for (int i = 0; i < 2 && a->type == JSON_STRING; i++)
            if (slice_is(json_string(a, r->arena), known[i])) return 0;
    return refuse(r, "architectures", v, "\"Lfm2ForCausalLM\" or \"Lfm2MoeForCausalLM\" in it");
}

static int read_dtype(const struct reader *r, struct model_config *c) {
    static const char *const names[N_FLOAT_DTYPES] = {"float32", "bfloat16", "float16"};
    c->dtype = DTYPE_BF16;
    bool known = false;
    const char *keys[] = {"torch_dtype", "dtype"}; // the newer spelling wins
    for (int k = 0; k < 2; k++) {
        const struct json *v = find(r, keys[k]);
        if (!v) continue;
        known = false;
        for (int i = 0; i < N_FLOAT_DTYPES && v->type == JSON_STRING; i++) {
            if (!slice_is(json_string(v, r->arena), names[i])) continue;
            c->dtype = (enum dtype)i;
            known = true;
        }
        if (!known) return refuse(r, keys[k], v, "\"bfloat16\", \"float16\" or \"float32\"");
    }
    return 0;
}

static int read_sizes(const struct reader *r, struct model_shape *s) {
    if (need_int(r, "vocab_size", NULL, 1, CONFIG_MAX_VOCAB, &s->vocab) ||
        need_int(r, "hidden_size", NULL, 1, CONFIG_MAX_HIDDEN, &s->hidden) ||
        need_int(r, "num_hidden_layers", NULL, 1, MODEL_MAX_LAYERS, &s->n_layers) ||
        need_int(r, "num_attention_heads", NULL, 1, CONFIG_MAX_HEADS, &s->n_heads) ||
        need_int(r, "num_key_value_heads", NULL, 1, CONFIG_MAX_HEADS, &s->n_kv_heads) ||
        need_int(r, "conv_L_cache", NULL, 2, MODEL_MAX_CONV_WIDTH, &s->conv_width) ||
        need_int(r, "max_position_embeddings", NULL, 1, CONFIG_MAX_POSITIONS, &s->max_positions))
        return -1;
    if (s->n_heads % s->n_kv_heads)
        return error_set(r->err, ERROR_CONFIG,
                         "\"num_attention_heads\" is %d; a multiple of \"num_key_value_heads\", "
                         "which is %d, was expected.",
                         s->n_heads, s->n_kv_heads);
    int found = read_int(r, "head_dim", NULL, 1, CONFIG_MAX_HEAD_DIM, &s->head_dim);
    if (found < 0) return -1;
    if (!found && s->hidden % s->n_heads)
        return error_set(r->err, ERROR_CONFIG,
                         "\"hidden_size\" is %d; a multiple of \"num_attention_heads\", which is "
                         "%d, was expected, as \"head_dim\" is not given.",
                         s->hidden, s->n_heads);
    if (!found) s->head_dim = s->hidden / s->n_heads;
    if (s->head_dim % 2 || s->head_dim > CONFIG_MAX_HEAD_DIM)
        return error_set(r->err, ERROR_CONFIG,
                         "\"head_dim\" is %d%s; an even number up to %d was expected.", s->head_dim,
                         found ? "" : " (\"hidden_size\" / \"num_attention_heads\")",
                         CONFIG_MAX_HEAD_DIM);
    return 0;
}

static int read_layer_types(const struct reader *r, struct model_shape *s) {
    const struct json *v = find(r, "layer_types");
    if (v->type != JSON_ARRAY) return refuse(r, "layer_types", v, "an array of layer types");
    if (v->n_children != s->n_layers)
        return error_set(r->err, ERROR_CONFIG,
                         "\"layer_types\" has %d entries; %d were expected, as "
                         "\"num_hidden_layers\" says.",
                         v->n_children, s->n_layers);
    int i = 0;
    for (const struct json *t = v->first; t; t = t->next, i++) {
        s->is_attention[i] = slice_is(t->text, "\"full_attention\"");
        if (!s->is_attention[i] && !slice_is(t->text, "\"conv\""))
            return error_set(r->err, ERROR_CONFIG,
                             "\"layer_types\"[%d] is %.*s; \"full_attention\" or \"conv\" was "
                             "expected.",
                             i, SLICE_ARG(t->text));
    }
    return 0;
}

static int read_attention_indices(const struct reader *r, const struct json *v,
                                  const struct model_shape *s, bool *is_attention) {
    if (v->type != JSON_ARRAY) return refuse(r, "full_attn_idxs", v, "an array of layer numbers");
    for (const struct json *t = v->first; t; t = t->next) {
        int64_t i = 0;
        if (t->type != JSON_NUMBER || json_int64(t, &i) || i < 0 || i >= s->n_layers ||
            is_attention[i])
            return error_set(r->err, ERROR_CONFIG,
                             "\"full_attn_idxs\" holds %.*s; layer numbers from 0 to %d, each "
                             "once, were expected.",
                             SLICE_ARG(t->text), s->n_layers - 1);
        is_attention[i] = true;
    }
    return 0;
}

static int read_layers(const struct reader *r, struct model_shape *s) {
    const struct json *types = find(r, "layer_types"), *indices = find(r, "full_attn_idxs");
    if (!types && !indices)
        return refuse(r, "layer_types", NULL, "an array of \"conv\" and \"full_attention\"");
    bool is_attention[MODEL_MAX_LAYERS] = {false};
    if (types && read_layer_types(r, s)) return -1;
    if (!indices) return 0;
    if (read_attention_indices(r, indices, s, is_attention)) return -1;
    if (types && memcmp(is_attention, s->is_attention, sizeof is_attention) != 0)
        return refuse_twice(r, "layer_types", types, "full_attn_idxs", indices);
    memcpy(s->is_attention, is_attention, sizeof is_attention);
    return 0;
}

// Width of a dense feed-forward of the dense family (transformers' Lfm2MLP): two thirds of the
// given width, times the multiplier, rounded up to a multiple; the mixture family takes it as is.
static int adjust_width(const struct reader *r, int given, int *out) {
    static const struct range positive = {1e-3, 1e3, "a number from 0.001 to 1000"};
    bool adjust;
    if (read_bool(r, "block_auto_adjust_ff_dim", NULL, true, &adjust)) return -1;
    *out = given;
    if (!adjust) return 0;
    int multiple = 256;
    if (read_int(r, "block_multiple_of", NULL, 1, CONFIG_MAX_WIDTH, &multiple) < 0) return -1;
    int64_t width = (int64_t)given * 2 / 3;
    const struct json *m = json_get(r->object, "block_ffn_dim_multiplier");
    if (!m || m->type != JSON_NULL) { // null, unlike absence, switches the rounding off too
        double multiplier = 1;
        if (read_double(r, "block_ffn_dim_multiplier", NULL, &positive, &multiplier) < 0) return -1;
        width = (int64_t)(multiplier * (double)width);
        width = (width + multiple - 1) / multiple * multiple;
    }
    if (width < 1 || width > CONFIG_MAX_WIDTH)
        return error_set(r->err, ERROR_CONFIG,
                         "The dense width that \"block_ff_dim\" or \"intermediate_size\" %d gives "
                         "is %lld; 1 to %d was expected.",
                         given, (long long)width, CONFIG_MAX_WIDTH);
    *out = (int)width;
    return 0;
}

static int read_dense_width(const struct reader *r, struct model_shape *s) {
    int given;
    int found = read_int(r, "block_ff_dim", NULL, 1, CONFIG_MAX_WIDTH, &given);
    if (found < 0) return -1;
    if (!found && need_int(r, "intermediate_size", NULL, 1, CONFIG_MAX_WIDTH, &given)) return -1;
    s->n_dense_layers = s->n_layers;
    return adjust_width(r, given, &s->ff_dense);
}

static int read_experts(const struct reader *r, struct model_shape *s) {
    static const struct range scale = {1e-6, 1e6, "a number from 1e-6 to 1e6"};
    if (need_int(r, "intermediate_size", NULL, 1, CONFIG_MAX_WIDTH, &s->ff_dense) ||
        need_int(r, "num_dense_layers", NULL, 0, s->n_layers, &s->n_dense_layers) ||
        need_int(r, "num_experts", "num_local_experts", 1, MODEL_MAX_EXPERTS, &s->n_experts) ||
        need_int(r, "num_experts_per_tok", NULL, 1, MODEL_MAX_EXPERTS_USED, &s->n_experts_used) ||
        need_int(r, "moe_intermediate_size", NULL, 1, CONFIG_MAX_WIDTH, &s->ff_expert))
        return -1;
    if (s->n_experts_used > s->n_experts)
        return error_set(r->err, ERROR_CONFIG,
                         "\"num_experts_per_tok\" is %d; at most \"num_experts\", which is %d, "
                         "was expected.",
                         s->n_experts_used, s->n_experts);
    double routed_scale = 1;
    if (read_double(r, "routed_scaling_factor", NULL, &scale, &routed_scale) < 0 ||
        read_bool(r, "norm_topk_prob", NULL, true, &s->norm_topk) ||
        read_bool(r, "use_expert_bias", NULL, true, &s->use_expert_bias))
        return -1;
    s->routed_scale = (float)routed_scale;
    if (s->n_dense_layers == s->n_layers) s->n_experts = s->n_experts_used = s->ff_expert = 0;
    return 0;
}

// A nested description of the rotary embedding; only the plain one is LFM2's.
static int read_rope_object(const struct reader *outer, const char *key, double *theta) {
    static const struct range positive = {1, 1e12, "a number from 1 to 1e12"};
    const struct json *v = find(outer, key);
    if (!v) return 0;
    if (v->type != JSON_OBJECT) return refuse(outer, key, v, "an object");
    char inside[64];
    snprintf(inside, sizeof inside, "%s.", key);
    struct reader r = {v, inside, outer->arena, outer->err};
    const char *keys[] = {"rope_type", "type"};
    for (int i = 0; i < 2; i++) {
        const struct json *type = find(&r, keys[i]);
        if (type && !slice_is(type->text, "\"default\""))
            return refuse(&r, keys[i], type, "\"default\"");
    }
    const struct json *part = find(&r, "partial_rotary_factor");
    double factor = 1;
    if (part &&
        (part->type != JSON_NUMBER || json_double(part, &factor) || factor < 1 || factor > 1))
        return refuse(&r, "partial_rotary_factor", part, "1");
    return read_double(&r, "rope_theta", NULL, &positive, theta);
}

static int read_rope(const struct reader *r, struct model_shape *s) {
    static const struct range positive = {1, 1e12, "a number from 1 to 1e12"};
    double nested = 0, flat = 0, scaled = 0;
    int has_nested = read_rope_object(r, "rope_parameters", &nested);
    int has_scaled = has_nested < 0 ? -1 : read_rope_object(r, "rope_scaling", &scaled);
    int has_flat = has_scaled < 0 ? -1 : read_double(r, "rope_theta", NULL, &positive, &flat);
    if (has_flat < 0) return -1;
    if (!has_nested && !has_flat)
        return refuse(r, "rope_theta", NULL,
                      "it or \"rope_parameters.rope_theta\", a number from 1 to 1e12,");
    if (has_nested && has_flat && (nested < flat || nested > flat))
        return error_set(r->err, ERROR_CONFIG,
                         "\"rope_theta\" is %g and \"rope_parameters.rope_theta\" is %g; the same "
                         "of both was expected.",
                         flat, nested);
    s->rope_theta = (float)(has_nested ? nested : flat);
    return 0;
}

static int read_rest(const struct reader *r, struct model_shape *s) {
    static const struct range eps = {1e-12, 0.1, "a number from 1e-12 to 0.1"};
    double value;
    int found = read_double(r, "norm_eps", "block_norm_eps", &eps, &value);
    if (found == 0) return refuse(r, "norm_eps", NULL, eps.expected);
    if (found < 0) return -1;
    s->norm_eps = (float)value;
    if (read_bool(r, "conv_bias", NULL, false, &s->conv_bias) ||
        read_bool(r, "tie_word_embeddings", "tie_embedding", true, &s->tied_head))
        return -1;
    return 0;
}

static int add_end_id(const struct reader *r, const struct json *v, struct model_config *c) {
    int64_t id;
    if (v->type != JSON_NUMBER || json_int64(v, &id) || id < 0 || id >= c->shape.vocab) {
        char expected[96];
        snprintf(expected, sizeof expected, "ids from 0 to %d (\"vocab_size\" - 1), one or a list,",
                 c->shape.vocab - 1);
        return refuse(r, "eos_token_id", v, expected);
    }
    for (int i = 0; i < c->n_end_ids; i++)
        if (c->end_ids[i] == id) return 0;
    if (c->n_end_ids == CONFIG_MAX_END_IDS)
        return error_set(r->err, ERROR_CONFIG,
                         "\"eos_token_id\" has more than %d different ids; fewer were expected.",
                         CONFIG_MAX_END_IDS);
    c->end_ids[c->n_end_ids++] = (int32_t)id;
    return 0;
}

static int read_end_ids(const struct reader *r, struct model_config *c) {
    const struct json *v = find(r, "eos_token_id");
    if (!v) return 0;
    if (v->type != JSON_ARRAY) return add_end_id(r, v, c);
    for (const struct json *id = v->first; id; id = id->next)
        if (add_end_id(r, id, c)) return -1;
    return 0;
}

static const struct json *parse_object(struct slice text, struct arena *arena, struct error *err) {
    const struct json *root = json_parse(text, arena, err);
    if (root && root->type != JSON_OBJECT) {
        error_set(err, ERROR_CONFIG, "The file holds %s; a JSON object was expected.",
                  json_type_name(root));
        root = NULL;
    }
    if (!root && err) err->code = ERROR_CONFIG; // json_parse knows inputs, not checkpoints
    return root;
}

static int parse_config(struct slice text, struct arena *arena, struct model_config *c,
                        struct error *err) {
    const struct json *root = parse_object(text, arena, err);
    if (!root) return -1;
    struct reader r = {root, "", arena, err};
    struct model_shape *s = &c->shape;
    bool moe;
    c->bos_id = c->pad_id = -1;
    if (read_family(&r, c, &moe) || read_architectures(&r) || read_dtype(&r, c) ||
        read_sizes(&r, s) || read_layers(&r, s) || read_rope(&r, s) || read_rest(&r, s))
        return -1;
    if (moe ? read_experts(&r, s) : read_dense_width(&r, s)) return -1;
    if (read_int(&r, "bos_token_id", NULL, 0, s->vocab - 1, &c->bos_id) < 0 ||
        read_int(&r, "pad_token_id", NULL, 0, s->vocab - 1, &c->pad_id) < 0)
        return -1;
    return read_end_ids(&r, c);
}

static int parse_generation(struct slice text, struct arena *arena, struct model_config *c,
                            struct error *err) {
    if (text.len == 0) return 0;
    const struct json *root = parse_object(text, arena, err);
    if (!root) return -1;
    struct reader r = {root, "", arena, err};
    return read_end_ids(&r, c);
}

int config_parse(struct slice config_json, struct slice generation_json, struct model_config *out,
                 struct error *err) {
    struct arena arena = {0};
    struct model_config c = {0};
    int rc = parse_config(config_json, &arena, &c, err);
    if (rc)
        error_prefix(err, "config.json");
    else if ((rc = parse_generation(generation_json, &arena, &c, err)))
        error_prefix(err, "generation_config.json");
    arena_clear(&arena);
    if (!rc) *out = c;
    return rc;
}

int config_load(const char *directory, struct model_config *out, struct error *err) {
    char *config = file_join(directory, slice_of("config.json"));
    char *generation = file_join(directory, slice_of("generation_config.json"));
    struct buffer a = {0}, b = {0};
    int rc = file_read(config, CONFIG_MAX_FILE_BYTES, &a, err);
    if (!rc && file_exists(generation)) rc = file_read(generation, CONFIG_MAX_FILE_BYTES, &b, err);
    if (!rc && config_parse(buffer_slice(&a), buffer_slice(&b), out, err))
        rc = error_prefix(err, "Model %s", directory);
    buffer_free(&a);
    buffer_free(&b);
    free(config);
    free(generation);
    return rc;
}

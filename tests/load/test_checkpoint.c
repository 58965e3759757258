// Checkpoints: names in both directions, fused and single experts, types, and everything that can
// be wrong with a tensor.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/memory.h"
#include "tests/load/made.h"
#include "worker/load/checkpoint.h"
#include "kernels/digest.h"

static const char config_text[] =
    "{\"model_type\":\"lfm2_moe\",\"vocab_size\":11,\"hidden_size\":8,\"intermediate_size\":6,"
    "\"moe_intermediate_size\":4,\"num_hidden_layers\":3,\"num_attention_heads\":2,"
    "\"num_key_value_heads\":1,\"num_dense_layers\":1,\"num_experts\":3,\"num_experts_per_tok\":2,"
    "\"layer_types\":[\"conv\",\"full_attention\",\"conv\"],\"conv_L_cache\":3,\"norm_eps\":1e-5,"
    "\"rope_theta\":1e4,\"max_position_embeddings\":64,\"tie_word_embeddings\":%s,"
    "\"conv_bias\":%s,\"use_expert_bias\":%s}";

static void write_config(const char *d, bool tied, bool conv_bias, bool expert_bias) {
    struct buffer b = {0};
    const char *words[] = {"false", "true"};
    buffer_printf(&b, config_text, words[tied], words[conv_bias], words[expert_bias]);
    made_write(d, "config.json", b.ptr, b.len);
    buffer_free(&b);
}

static struct names *names_of(const char *d) {
    struct model_config c;
    struct error err;
    if (config_load(d, &c, &err)) fail_msg("%s", err.text);
    return names_new(&c.shape);
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}

// What to do wrong when a checkpoint is written.
struct edit {
    const char *name;   // the tensor that is edited
    bool drop;          // it is left out
    const char *rename; // it has another name
    const char *dtype;  // its type is called so
    int n_dims;         // it has these dimensions; 0: its own
    int64_t dims[3];    // as many elements as it has
    const char *extra;  // a tensor of this name is added, with its values,
    int change;         // and with its first byte changed by this
    float first;        // its first element; 0: as it is
};

static void add_weight(struct made *m, const struct weight *w, enum dtype dtype,
                       const struct edit *e) {
    char name[NAMES_MAX_BYTES];
    names_write(w, name);
    struct buffer v = made_values(w, dtype, 1);
    bool edited = e && e->name && strcmp(e->name, name) == 0;
    if (edited && e->first != 0) dtype_put(dtype, v.ptr, 0, e->first);
    const char *type = edited && e->dtype ? e->dtype : made_dtype_name(dtype);
    if (!edited || !e->drop)
        made_add(m, edited && e->rename ? e->rename : name, type,
                 edited && e->n_dims ? e->n_dims : w->n_dims,
                 edited && e->n_dims ? e->dims : w->dims, v.ptr, v.len);
    if (edited && e->extra) {
        v.ptr[0] = (char)(v.ptr[0] + e->change);
        made_add(m, e->extra, type, w->n_dims, w->dims, v.ptr, v.len);
    }
    buffer_free(&v);
}

static void write_checkpoint(const char *d, const struct names *n, enum dtype dtype,
                             const struct edit *e) {
    struct made m = {0};
    for (int i = 0; i < n->n; i++) add_weight(&m, &n->weights[i], dtype, e);
    made_write_file(&m, d, "model.safetensors");
    made_clear(&m);
}

static struct checkpoint *open_good(const char *d, int types) {
    struct checkpoint *c;
    struct error err;
    if (checkpoint_open(d, types, &c, &err)) fail_msg("%s", err.text);
    return c;
}

static uint64_t digest_of(const struct checkpoint *c) {
    uint64_t digest;
    struct error err;
    if (checkpoint_digest(c, &digest, &err)) fail_msg("%s", err.text);
    return digest;
}

// ------------------------------------------------------------------ names

static void test_names(void **state) {
    (void)state;
    char *d = made_directory();
    for (int variant = 0; variant < 8; variant++) {
        write_config(d, variant & 1, variant & 2, variant & 4);
        struct names *n = names_of(d);
        for (int i = 0; i < n->n; i++) {
            char name[NAMES_MAX_BYTES];
            int len = names_write(&n->weights[i], name);
            assert_int_equal(len, strlen(name));
            assert_true(n->hashes[i] == hash_bytes(name, (size_t)len));
            struct name_match m = names_find(n, slice_of(name));
            if (m.form != NAME_WEIGHT || m.index != i) fail_msg("%s is %d", name, m.index);
            // Nothing but the whole name will do.
            struct name_match cut = names_find(n, (struct slice){name, (size_t)len - 1});
            assert_int_equal(cut.form, NAME_UNKNOWN);
            strcat(name, "x");
            assert_int_equal(names_find(n, slice_of(name)).form, NAME_UNKNOWN);
        }
        names_free(&n);
    }
    made_remove(&d);
}

static void test_name_forms(void **state) {
    (void)state;
    char *d = made_directory();
    write_config(d, true, false, true);
    struct names *n = names_of(d);
    const struct weight *w = n->weights;
    int i = names_find(n, slice_of("model.layers.2.feed_forward.experts.1.w3.weight")).index;
    assert_true(w[i].kind == WEIGHT_W3 && w[i].layer == 2 && w[i].expert == 1);
    i = names_find(n, slice_of("model.layers.0.feed_forward.w2.weight")).index;
    assert_true(w[i].kind == WEIGHT_W2 && w[i].layer == 0 && w[i].expert == -1);
    struct name_match m =
        names_find(n, slice_of("model.layers.1.feed_forward.experts.gate_up_proj"));
    assert_int_equal(m.form, NAME_FUSED_GATE_UP);
    assert_true(w[m.index].kind == WEIGHT_W1 && w[m.index].layer == 1 && w[m.index].expert == 0);
    m = names_find(n, slice_of("model.layers.1.feed_forward.experts.down_proj"));
    assert_int_equal(m.form, NAME_FUSED_DOWN);
    assert_true(w[m.index].kind == WEIGHT_W2 && w[m.index].expert == 0);
    const char *unknown[] = {
        "",
        "model.",
        "lm_head.weight",
        "model.layers.3.ffn_norm.weight",
        "model.layers.01.ffn_norm.weight",
        "model.layers.-1.ffn_norm.weight",
        "model.layers.99999999999.ffn_norm.weight",
        "model.layers.1",
        "model.layers.1.",
        "model.layers.1.conv.in_proj.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.feed_forward.experts.gate_up_proj",
        "model.layers.0.feed_forward.gate.weight",
        "model.layers.1.feed_forward.w1.weight",
        "model.layers.1.feed_forward.experts.3.w1.weight",
        "model.layers.1.feed_forward.experts.0.w4.weight",
        "model.layers.0.conv.in_proj.bias",
        "model.layers.1.feed_forward.experts.0.w1",
        "layers.1.ffn_norm.weight",
    };
    for (size_t u = 0; u < sizeof unknown / sizeof *unknown; u++)
        if (names_find(n, slice_of(unknown[u])).form != NAME_UNKNOWN)
            fail_msg("%s is known", unknown[u]);
    names_free(&n);
    made_remove(&d);
}

// ------------------------------------------------------------------ what is refused

static void test_refusals(void **state) {
    (void)state;
    static const char w1[] = "model.layers.1.feed_forward.experts.2.w1.weight";
    static const struct {
        struct edit edit;
        const char *a, *b, *c;
    } cases[] = {
        {{.name = w1, .drop = true}, w1, "missing", "[4, 8]"},
        {{.name = "model.embed_tokens.weight", .drop = true}, "embed_tokens", "missing", "[11, 8]"},
        {{.name = "model.layers.2.feed_forward.expert_bias", .drop = true},
         "expert_bias",
         "missing",
         "[3]"},
        {{.name = w1, .rename = "model.layers.1.feed_forward.experts.3.w1.weight"},
         "experts.3.w1",
         "no part",
         "config.json"},
        {{.name = w1, .extra = "visual.patch.weight"}, "visual.patch.weight", "no part", ""},
        {{.name = w1, .dtype = "I32"}, w1, "I32", "BF16, F16 or F32"},
        {{.name = w1, .n_dims = 2, .dims = {8, 4}}, w1, "[8, 4]", "[4, 8]"},
        {{.name = w1, .n_dims = 1, .dims = {32}}, w1, "[32]", "[4, 8]"},
        {{.name = w1, .n_dims = 3, .dims = {4, 8, 1}}, w1, "[4, 8, 1]", "[4, 8]"},
        {{.name = "model.layers.0.conv.conv.weight", .n_dims = 3, .dims = {8, 3, 1}},
         "conv.conv.weight",
         "[8, 3, 1]",
         "[8, 1, 3]"},
        {{.name = "model.embed_tokens.weight", .extra = "lm_head.weight", .change = 1},
         "lm_head.weight",
         "differs",
         "tie_word_embeddings"},
        {{.name = "model.layers.0.conv.in_proj.weight",
          .extra = "model.layers.0.conv.in_proj.bias"},
         "in_proj.bias",
         "no part",
         ""},
    };
    char *d = made_directory();
    write_config(d, true, false, true);
    struct names *n = names_of(d);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_checkpoint(d, n, DTYPE_F32, &cases[i].edit);
        struct checkpoint *c = NULL;
        struct error err = {0};
        if (checkpoint_open(d, CHECKPOINT_AS_IS, &c, &err) != -1) fail_msg("case %zu opened", i);
        assert_null(c);
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_has(err.text, d);
        assert_has(err.text, cases[i].a);
        assert_has(err.text, cases[i].b);
        assert_has(err.text, cases[i].c);
    }
    names_free(&n);
    made_remove(&d);
}

static void test_heads(void **state) {
    (void)state;
    char *d = made_directory();
    write_config(d, true, false, true);
    struct names *n = names_of(d);
    const struct edit same = {.name = "model.embed_tokens.weight", .extra = "lm_head.weight"};
    write_checkpoint(d, n, DTYPE_BF16, NULL);
    struct checkpoint *c = open_good(d, CHECKPOINT_AS_IS);
    uint64_t digest = digest_of(c);
    checkpoint_close(&c);
    write_checkpoint(d, n, DTYPE_BF16, &same);
    c = open_good(d, CHECKPOINT_AS_IS);
    assert_true(digest_of(c) == digest); // a tied head counts once
    checkpoint_close(&c);
    write_config(d, false, false, true); // now lm_head is a weight of its own
    c = open_good(d, CHECKPOINT_AS_IS);
    assert_int_equal(c->names->n, n->n + 1);
    assert_true(digest_of(c) != digest);
    checkpoint_close(&c);
    struct error err;
    write_checkpoint(d, n, DTYPE_BF16, NULL);
    assert_int_equal(checkpoint_open(d, CHECKPOINT_AS_IS, &c, &err), -1);
    assert_has(err.text, "\"lm_head.weight\" is missing");
    names_free(&n);
    made_remove(&d);
}

// ------------------------------------------------------------------ fused experts

// Writes the experts of the given layers fused, all other weights (and, with `both`, the experts
// too) one by one.
static void write_fused(const char *d, const struct names *n, bool both, int64_t rows) {
    struct made m = {0};
    for (int i = 0; i < n->n; i++)
        if (both || n->weights[i].expert < 0) add_weight(&m, &n->weights[i], DTYPE_F16, NULL);
    for (int layer = 1; layer < 3; layer++) {
        struct buffer gate_up = {0}, down = {0};
        for (int i = 0; i < n->n; i++) {
            const struct weight *w = &n->weights[i];
            if (w->layer != layer || w->expert < 0) continue;
            struct buffer v = made_values(w, DTYPE_F16, 1);
            buffer_add_slice(w->kind == WEIGHT_W2 ? &down : &gate_up, buffer_slice(&v));
            buffer_free(&v);
        }
        char name[NAMES_MAX_BYTES];
        snprintf(name, sizeof name, "model.layers.%d.feed_forward.experts.gate_up_proj", layer);
        made_add(&m, name, "F16", 3, (int64_t[]){3, rows, 64 / rows}, gate_up.ptr, gate_up.len);
        snprintf(name, sizeof name, "model.layers.%d.feed_forward.experts.down_proj", layer);
        made_add(&m, name, "F16", 3, (int64_t[]){3, 8, 4}, down.ptr, down.len);
        buffer_free(&gate_up);
        buffer_free(&down);
    }
    made_write_file(&m, d, "model.safetensors");
    made_clear(&m);
}

static void test_fused(void **state) {
    (void)state;
    char *d = made_directory();
    write_config(d, true, false, true);
    struct names *n = names_of(d);
    write_checkpoint(d, n, DTYPE_F16, NULL);
    struct checkpoint *c = open_good(d, CHECKPOINT_AS_IS);
    uint64_t digest = digest_of(c);
    checkpoint_close(&c);
    write_fused(d, n, false, 8);
    c = open_good(d, CHECKPOINT_AS_IS);
    for (int i = 0; i < n->n; i++) {
        struct buffer v = made_values(&n->weights[i], DTYPE_F16, 1);
        assert_int_equal(c->tensors[i].dims[0], n->weights[i].dims[0]);
        assert_memory_equal(c->tensors[i].data, v.ptr, v.len);
        buffer_free(&v);
    }
    assert_true(digest_of(c) == digest);
    checkpoint_close(&c);
    struct error err;
    write_fused(d, n, true, 8);
    assert_int_equal(checkpoint_open(d, CHECKPOINT_AS_IS, &c, &err), -1);
    assert_has(err.text, "a second time");
    write_fused(d, n, false, 4);
    assert_int_equal(checkpoint_open(d, CHECKPOINT_AS_IS, &c, &err), -1);
    assert_has(err.text, "experts.gate_up_proj\" has shape [3, 4, 16]; [3, 8, 8]");
    names_free(&n);
    made_remove(&d);
}

// ------------------------------------------------------------------ values

// All values that a source gives, and their digest.
struct store {
    const struct names *names;
    void **values; // (names->n)
    uint64_t digest;
};

static struct store store_read(const struct names *names, const enum dtype *dtypes,
                               struct weight_source source) {
    struct store s = {names, memory_new((size_t)names->n, sizeof(void *)), 0};
    void *room = memory_new(WEIGHT_CHUNK, 4);
    struct error err;
    for (int i = 0; i < names->n; i++) {
        int64_t size = weight_n(&names->weights[i]);
        size_t bytes = dtype_bytes(dtypes[i]);
        s.values[i] = memory_new((size_t)size, bytes);
        for (int64_t first = 0; first < size; first += 1000) {
            int64_t n = size - first < 1000 ? size - first : 1000;
            const void *v = source.read(source.self, i, first, n, room, &err);
            if (!v) fail_msg("%s", err.text);
            memcpy((char *)s.values[i] + (size_t)first * bytes, v, (size_t)n * bytes);
            s.digest += digest_range(names->hashes[i], first, n, dtypes[i], v);
        }
    }
    free(room);
    return s;
}

static void store_free(struct store *s) {
    for (int i = 0; i < s->names->n; i++) free(s->values[i]);
    free(s->values);
}

static void test_types(void **state) {
    (void)state;
    char *d = made_directory();
    write_config(d, true, true, true);
    struct names *n = names_of(d);
    static const int types[] = {CHECKPOINT_AS_IS, DTYPE_BF16, DTYPE_F16, DTYPE_F32};
    static const char *const names[] = {"", "bf16", "f16", "f32"};
    for (int stored = 0; stored < N_FLOAT_DTYPES; stored++) {
        write_checkpoint(d, n, (enum dtype)stored, NULL);
        for (int t = 0; t < 4; t++) {
            struct checkpoint *c = open_good(d, types[t]);
            struct store s = store_read(c->names, c->dtypes, checkpoint_source(c));
            char name[CHECKPOINT_TYPES_BYTES];
            checkpoint_dtype_name(c->names, c->dtypes, name);
            assert_string_equal(name, t ? names[t] : dtype_name((enum dtype)stored));
            assert_true(s.digest == digest_of(c));
            for (int i = 0; i < n->n; i++) {
                bool bias = n->weights[i].kind == WEIGHT_EXPERT_BIAS;
                assert_string_equal(dtype_name(c->dtypes[i]), bias ? "f32" : name);
                struct buffer v = made_values(&n->weights[i], DTYPE_F32, 1);
                for (int64_t k = 0; k < weight_n(&n->weights[i]); k++) // exact in all types
                    assert_true(dtype_get(c->dtypes[i], s.values[i], k) ==
                                dtype_get(DTYPE_F32, v.ptr, k));
                buffer_free(&v);
            }
            store_free(&s);
            checkpoint_close(&c);
        }
    }
    names_free(&n);
    made_remove(&d);
}

static void test_overflow(void **state) {
    (void)state;
    static const char name[] = "model.layers.1.self_attn.q_proj.weight";
    char *d = made_directory();
    write_config(d, true, false, true);
    struct names *n = names_of(d);
    struct checkpoint *c;
    struct error err;
    uint64_t digest;
    write_checkpoint(d, n, DTYPE_F32, &(struct edit){.name = name, .first = 70000});
    c = open_good(d, DTYPE_F16);
    assert_int_equal(checkpoint_digest(c, &digest, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_has(err.text, name);
    assert_has(err.text, "element 0");
    assert_has(err.text, "70000");
    assert_has(err.text, "f16");
    checkpoint_close(&c);
    c = open_good(d, DTYPE_BF16);
    assert_int_equal(checkpoint_digest(c, &digest, &err), 0);
    checkpoint_close(&c);
    assert_int_equal(checkpoint_types_parse("q4_1", &(int){0}, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    names_free(&n);
    made_remove(&d);
}

// A value that is not finite is refused, in each type and where no type changes, with its place.
static void test_not_finite(void **state) {
    (void)state;
    static const char *const names[] = {"model.layers.1.self_attn.q_proj.weight",
                                        "model.layers.2.feed_forward.expert_bias"};
    char *d = made_directory();
    write_config(d, true, false, true);
    struct names *n = names_of(d);
    struct checkpoint *c;
    struct error err;
    uint64_t digest;
    for (int i = 0; i < 2; i++)
        for (int bad = 0; bad < 2; bad++)
            for (int stored = 0; stored < N_FLOAT_DTYPES; stored++)
                for (int t = CHECKPOINT_AS_IS; t < N_FLOAT_DTYPES; t++) {
                    struct edit edit = {.name = names[i], .first = bad ? NAN : -INFINITY};
                    write_checkpoint(d, n, (enum dtype)stored, &edit);
                    c = open_good(d, t);
                    assert_int_equal(checkpoint_digest(c, &digest, &err), -1);
                    assert_int_equal(err.code, ERROR_CONFIG);
                    assert_has(err.text, names[i]);
                    assert_has(err.text, "element 0");
                    assert_has(err.text, bad ? "nan" : "-inf");
                    assert_has(err.text, "a finite value");
                    checkpoint_close(&c);
                }
    names_free(&n);
    made_remove(&d);
}

static void test_random(void **state) {
    (void)state;
    struct model_config config;
    struct error err;
    assert_int_equal(config_synthetic("tiny", &config, &err), 0);
    struct names *n = names_new(&config.shape);
    enum dtype *dtypes = memory_new((size_t)n->n, sizeof *dtypes);
    checkpoint_synthetic_dtypes(n, CHECKPOINT_AS_IS, dtypes);
    uint64_t digests[3];
    for (int run = 0; run < 3; run++) {
        const struct checkpoint_random random = {n, dtypes, run == 2 ? 6 : 5};
        struct store s = store_read(n, dtypes, checkpoint_random_source(&random));
        digests[run] = s.digest;
        double sum = 0, squares = 0, size = (double)weight_n(&n->weights[0]);
        for (int64_t i = 0; i < weight_n(&n->weights[0]); i++) {
            double v = (double)dtype_get(dtypes[0], s.values[0], i);
            sum += v;
            squares += v * v;
        }
        assert_true(fabs(sum / size) < 0.01);
        // (128 columns) deviation 1 / 16: within a factor of 2 of 1 / sqrt(128).
        assert_true(fabs(sqrt(squares / size) - 0.0625) < 0.002);
        assert_true(dtype_get(dtypes[1], s.values[1], 3) == 1); // the first norm
        store_free(&s);
    }
    assert_true(digests[0] == digests[1] && digests[0] != digests[2]);
    free(dtypes);
    names_free(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_name_forms),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_heads),
        cmocka_unit_test(test_fused),    cmocka_unit_test(test_types),
        cmocka_unit_test(test_overflow), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

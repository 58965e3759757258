// Checkpoints with a master: its values, what is resident beside it, and who may have none.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/types/types.h"
#include "protocol/base/memory.h"
#include "tests/load/made.h"
#include "worker/load/checkpoint.h"

static const char config_text[] =
    "{\"model_type\":\"lfm2_moe\",\"vocab_size\":11,\"hidden_size\":64,\"intermediate_size\":256,"
    "\"moe_intermediate_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":2,"
    "\"num_key_value_heads\":1,\"num_dense_layers\":1,\"num_experts\":3,\"num_experts_per_tok\":2,"
    "\"layer_types\":[\"conv\",\"full_attention\"],\"conv_L_cache\":3,\"norm_eps\":1e-5,"
    "\"rope_theta\":1e4,\"max_position_embeddings\":64,\"tie_word_embeddings\":true,"
    "\"conv_bias\":true,\"use_expert_bias\":true}";

static const int types[] = {DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};

// Values of 24 bits, where `stored` has room for them; q_proj begins with `first`, if not 0.
static struct names *write_checkpoint(const char *d, enum dtype stored, float first) {
    struct model_config c;
    struct error err;
    struct made m = {0};
    made_write_text(d, "config.json", config_text);
    if (config_load(d, &c, &err)) fail_msg("%s", err.text);
    struct names *n = names_new(&c.shape);
    for (int i = 0; i < n->n; i++) {
        const struct weight *w = &n->weights[i];
        char name[NAMES_MAX_BYTES];
        struct buffer v = made_values(w, stored, 1);
        for (int64_t k = 0; k < weight_n(w); k++)
            dtype_put(stored, v.ptr, k, dtype_get(stored, v.ptr, k) * (1 + (float)(k % 7) / 9000));
        if (first != 0 && w->kind == WEIGHT_Q) dtype_put(stored, v.ptr, 0, first);
        names_write(w, name);
        made_add(&m, name, made_dtype_name(stored), w->n_dims, w->dims, v.ptr, v.len);
        buffer_free(&v);
    }
    made_write_file(&m, d, "model.safetensors");
    made_clear(&m);
    return n;
}

static struct checkpoint *open_master(const char *d, int type) {
    struct checkpoint *c;
    struct error err;
    if (checkpoint_open(d, type, &c, &err) || checkpoint_keep_master(c, &err))
        fail_msg("%s", err.text);
    return c;
}

// The master is the stored values in bf16; what is resident is made of these and of nothing else.
static void check_weight(const struct checkpoint *c, int i) {
    struct weight_source source = checkpoint_source(c);
    struct error err;
    int64_t n = tensor_n(&c->tensors[i]);
    enum dtype master = c->master_dtypes[i], resident = c->dtypes[i];
    bool is_bias = c->names->weights[i].kind == WEIGHT_EXPERT_BIAS;
    void *room = memory_new((size_t)n, 4), *blocks = memory_new((size_t)n, 4);
    float *floats = memory_new((size_t)n, sizeof *floats);
    assert_int_equal(master, is_bias ? DTYPE_F32 : DTYPE_BF16);
    const void *values = source.read_master(source.self, i, 0, n, room, &err);
    assert_non_null(values);
    for (int64_t k = 0; k < n; k++) {
        char want[4];
        dtype_put(master, want, 0, dtype_get(c->tensors[i].dtype, c->tensors[i].data, k));
        floats[k] = dtype_get(master, want, 0);
        assert_true(dtype_get(master, values, k) == floats[k]);
    }
    if (dtype_is_block(resident))
        type_pack(resident, floats, n, blocks);
    else
        for (int64_t k = 0; k < n; k++) dtype_put(resident, blocks, k, floats[k]);
    values = source.read(source.self, i, 0, n, room, &err);
    assert_non_null(values);
    assert_memory_equal(values, blocks, type_size(resident, n));
    free(room);
    free(blocks);
    free(floats);
}

static void test_values(void **state) {
    (void)state;
    for (int stored = 0; stored < N_FLOAT_DTYPES; stored++) {
        char *d = made_directory();
        struct names *n = write_checkpoint(d, (enum dtype)stored, 0);
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            struct checkpoint *c = open_master(d, types[t]);
            int n_blocks = 0;
            for (int i = 0; i < n->n; i++) {
                check_weight(c, i);
                n_blocks += dtype_is_block(c->dtypes[i]);
            }
            assert_true(n_blocks > 5 && n_blocks < n->n);
            checkpoint_close(&c);
        }
        names_free(&n);
        made_remove(&d);
    }
}

// A bf16 checkpoint is its own master: nothing is copied on the way.
static void test_as_stored(void **state) {
    (void)state;
    char *d = made_directory();
    struct names *n = write_checkpoint(d, DTYPE_BF16, 0);
    struct checkpoint *c = open_master(d, DTYPE_Q4_0);
    struct weight_source source = checkpoint_source(c);
    struct error err;
    char room[4];
    assert_ptr_equal(source.read_master(source.self, 0, 0, 1, room, &err), c->tensors[0].data);
    checkpoint_close(&c);
    names_free(&n);
    made_remove(&d);
}

static void test_floats_need_none(void **state) {
    (void)state;
    char *d = made_directory();
    struct names *n = write_checkpoint(d, DTYPE_BF16, 0);
    for (int t = CHECKPOINT_AS_IS; t < N_FLOAT_DTYPES; t++) {
        struct checkpoint *c;
        struct error err;
        assert_int_equal(checkpoint_open(d, t, &c, &err), 0);
        assert_int_equal(checkpoint_keep_master(c, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
        assert_non_null(strstr(err.text, "--weights q8_0, q4_0"));
        assert_null(c->master_dtypes);
        checkpoint_close(&c);
    }
    names_free(&n);
    made_remove(&d);
}

// What bf16 or a block cannot hold is refused when it is read, with its tensor.
static void test_too_large(void **state) {
    (void)state;
    static const float large[] = {3.4e38f, -1e20f, 1e13f};
    for (size_t k = 0; k < sizeof large / sizeof *large; k++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            char *d = made_directory();
            struct names *n = write_checkpoint(d, DTYPE_F32, large[k]);
            struct checkpoint *c = open_master(d, types[t]);
            struct weight_source source = checkpoint_source(c);
            struct error err = {0};
            int q = 0;
            while (n->weights[q].kind != WEIGHT_Q) q++;
            char *room = memory_new(4096, 4);
            assert_null(source.read(source.self, q, 0, 64, room, &err));
            assert_int_equal(err.code, ERROR_CONFIG);
            assert_non_null(strstr(err.text, "self_attn.q_proj.weight"));
            assert_non_null(strstr(err.text, dtype_name(c->dtypes[q])));
            bool is_too_large = k == 0; // for bf16
            const void *master = source.read_master(source.self, q, 0, 64, room, &err);
            assert_int_equal(master == NULL, is_too_large);
            free(room);
            checkpoint_close(&c);
            names_free(&n);
            made_remove(&d);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_as_stored),
        cmocka_unit_test(test_floats_need_none),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

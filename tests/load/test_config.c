// config.json: both spellings of every key, and a refusal that names the culprit for each mistake.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "worker/load/config.h"

struct pair {
    const char *key, *value; // value NULL: the key is left out
};

static const struct pair moe[] = {
    {"model_type", "\"lfm2_moe\""},
    {"architectures", "[\"Lfm2MoeForCausalLM\"]"},
    {"vocab_size", "512"},
    {"hidden_size", "72"},
    {"intermediate_size", "100"},
    {"moe_intermediate_size", "40"},
    {"num_hidden_layers", "3"},
    {"num_attention_heads", "6"},
    {"num_key_value_heads", "2"},
    {"num_dense_layers", "1"},
    {"num_experts", "8"},
    {"num_experts_per_tok", "2"},
    {"layer_types", "[\"conv\", \"full_attention\", \"conv\"]"},
    {"conv_L_cache", "3"},
    {"conv_bias", "false"},
    {"norm_eps", "1e-05"},
    {"rope_parameters", "{\"rope_theta\": 5000.0, \"rope_type\": \"default\"}"},
    {"max_position_embeddings", "1000"},
    {"use_expert_bias", "true"},
    {"norm_topk_prob", "false"},
    {"routed_scaling_factor", "2.5"},
    {"tie_word_embeddings", "true"},
    {"bos_token_id", "1"},
    {"eos_token_id", "7"},
    {"pad_token_id", "0"},
    {"dtype", "\"float32\""},
};

// The 1.2B as its first config.json spelled it.
static const struct pair dense[] = {
    {"model_type", "\"lfm2\""},
    {"vocab_size", "65536"},
    {"hidden_size", "2048"},
    {"block_ff_dim", "12288"},
    {"block_auto_adjust_ff_dim", "true"},
    {"block_ffn_dim_multiplier", "1.0"},
    {"block_multiple_of", "256"},
    {"block_norm_eps", "1e-05"},
    {"num_hidden_layers", "16"},
    {"num_attention_heads", "32"},
    {"num_key_value_heads", "8"},
    {"full_attn_idxs", "[2, 5, 8, 10, 12, 14]"},
    {"conv_L_cache", "3"},
    {"conv_bias", "false"},
    {"rope_theta", "1000000.0"},
    {"max_position_embeddings", "128000"},
    {"tie_embedding", "true"},
    {"bos_token_id", "1"},
    {"eos_token_id", "[7, 2]"},
    {"torch_dtype", "\"bfloat16\""},
};

enum { N_MOE = sizeof moe / sizeof *moe, N_DENSE = sizeof dense / sizeof *dense };

static void add_pair(struct buffer *b, const char *key, const char *value) {
    if (value) buffer_printf(b, "%s\"%s\": %s", b->len > 1 ? ", " : "", key, value);
}

// The base with some keys given another value, left out, or added.
static struct buffer edited(const struct pair *base, int n, const struct pair *edits, int n_edits) {
    struct buffer b = {0};
    buffer_add_text(&b, "{");
    for (int i = 0; i < n; i++) {
        bool replaced = false;
        for (int e = 0; e < n_edits; e++)
            replaced |= edits[e].key && strcmp(edits[e].key, base[i].key) == 0;
        if (!replaced) add_pair(&b, base[i].key, base[i].value);
    }
    for (int e = 0; e < n_edits; e++)
        if (edits[e].key) add_pair(&b, edits[e].key, edits[e].value);
    buffer_add_text(&b, "}");
    return b;
}

static int parse(const struct pair *base, int n, const struct pair *edits, int n_edits,
                 const char *generation, struct model_config *c, struct error *err) {
    struct buffer text = edited(base, n, edits, n_edits);
    memset(c, 0, sizeof *c);
    memset(err, 0, sizeof *err);
    int rc = config_parse(buffer_slice(&text), slice_of(generation), c, err);
    buffer_free(&text);
    return rc;
}

static void accept(const struct pair *base, int n, const struct pair *edits, int n_edits,
                   const char *generation, struct model_config *c) {
    struct error err;
    if (parse(base, n, edits, n_edits, generation, c, &err)) fail_msg("refused: %s", err.text);
}

static void test_new_spelling(void **state) {
    (void)state;
    struct model_config c;
    accept(moe, N_MOE, NULL, 0, "", &c);
    const struct model_shape *s = &c.shape;
    assert_string_equal(c.family, "lfm2_moe");
    assert_int_equal(s->vocab, 512);
    assert_int_equal(s->hidden, 72);
    assert_int_equal(s->n_layers, 3);
    assert_int_equal(s->n_heads, 6);
    assert_int_equal(s->n_kv_heads, 2);
    assert_int_equal(s->head_dim, 12);
    assert_int_equal(s->conv_width, 3);
    assert_int_equal(s->n_dense_layers, 1);
    assert_int_equal(s->ff_dense, 100);
    assert_int_equal(s->n_experts, 8);
    assert_int_equal(s->n_experts_used, 2);
    assert_int_equal(s->ff_expert, 40);
    assert_int_equal(s->max_positions, 1000);
    assert_true(s->norm_eps == 1e-5f && s->rope_theta == 5000 && s->routed_scale == 2.5f);
    assert_true(!s->norm_topk && s->use_expert_bias && !s->conv_bias && s->tied_head);
    assert_true(!s->is_attention[0] && s->is_attention[1] && !s->is_attention[2]);
    assert_int_equal(c.dtype, DTYPE_F32);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.pad_id, 0);
    assert_int_equal(c.n_end_ids, 1);
    assert_int_equal(c.end_ids[0], 7);
}

static void test_old_spelling(void **state) {
    (void)state;
    struct model_config c;
    accept(dense, N_DENSE, NULL, 0, "{\"eos_token_id\": [2, 11]}", &c);
    assert_string_equal(c.family, "lfm2");
    assert_int_equal(c.shape.ff_dense, 8192);
    assert_int_equal(c.shape.n_dense_layers, 16);
    assert_int_equal(c.shape.n_experts, 0);
    assert_int_equal(shape_n_attention(&c.shape), 6);
    assert_true(c.shape.is_attention[14] && !c.shape.is_attention[15]);
    assert_true(c.shape.rope_theta == 1e6f && c.shape.norm_eps == 1e-5f && c.shape.tied_head);
    assert_int_equal(c.dtype, DTYPE_BF16);
    assert_int_equal(c.pad_id, -1);
    assert_int_equal(c.n_end_ids, 3);
    assert_int_equal(c.end_ids[0], 7);
    assert_int_equal(c.end_ids[1], 2);
    assert_int_equal(c.end_ids[2], 11);
    assert_int_equal(config_n_parameters(&c.shape), 1170340608);
}

static void test_spellings_mix(void **state) {
    (void)state;
    const struct pair old[] = {
        {"num_experts", NULL},
        {"num_local_experts", "8"},
        {"rope_parameters", NULL},
        {"rope_theta", "5000"},
        {"tie_word_embeddings", NULL},
        {"tie_embedding", "false"},
        {"layer_types", NULL},
        {"full_attn_idxs", "[1]"},
        {"dtype", NULL},
        {"torch_dtype", "\"float16\""},
        {"rope_scaling", "null"},
        {"head_dim", "24"},
        {"norm_eps", NULL},
        {"block_norm_eps", "1e-6"},
        {"eos_token_id", "null"},
    };
    struct model_config c;
    accept(moe, N_MOE, old, sizeof old / sizeof *old, "{\"eos_token_id\": 9}", &c);
    assert_int_equal(c.shape.n_experts, 8);
    assert_true(c.shape.rope_theta == 5000 && !c.shape.tied_head && c.shape.is_attention[1]);
    assert_int_equal(c.shape.head_dim, 24);
    assert_true(c.shape.norm_eps == 1e-6f);
    assert_int_equal(c.dtype, DTYPE_F16);
    assert_int_equal(c.n_end_ids, 1);
    assert_int_equal(c.end_ids[0], 9);
}

static void test_dense_width(void **state) {
    (void)state;
    static const struct {
        struct pair edits[4];
        int width;
    } cases[] = {
        {{{"block_ff_dim", "6656"}}, 4608},
        {{{"block_ff_dim", "10240"}}, 6912},
        {{{"block_ff_dim", "10752"}, {"block_auto_adjust_ff_dim", "false"}}, 10752},
        {{{"block_ff_dim", NULL}, {"intermediate_size", "10752"}}, 7168},
        {{{"intermediate_size", "999"}}, 8192}, // block_ff_dim wins
        {{{"block_ff_dim", "100"}, {"block_ffn_dim_multiplier", "null"}}, 66},
        {{{"block_ff_dim", "100"}, {"block_ffn_dim_multiplier", "1.5"}, {"block_multiple_of", "8"}},
         104},
        {{{"block_ff_dim", "100"}, {"block_multiple_of", NULL}, {"block_ffn_dim_multiplier", NULL}},
         256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_config c;
        accept(dense, N_DENSE, cases[i].edits, 4, "", &c);
        if (c.shape.ff_dense != cases[i].width)
            fail_msg("case %zu: width %d, expected %d", i, c.shape.ff_dense, cases[i].width);
    }
}

static void test_synthetic(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t total, active;
    } cases[] = {
        {"24b", 23843661440, 2326881920}, {"8b", 8339930560, 1557740992},
        {"2.6b", 2569272320, 2569272320}, {"1.2b", 1170340608, 1170340608},
        {"700m", 742489344, 742489344},   {"350m", 354483968, 354483968},
    };
    struct model_config c;
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(config_synthetic(cases[i].name, &c, &err), 0);
        assert_int_equal(config_n_parameters(&c.shape), cases[i].total);
        assert_int_equal(config_n_active(&c.shape), cases[i].active);
    }
    assert_int_equal(config_synthetic("24b", &c, &err), 0);
    assert_int_equal(kernels_page_bytes(&c.shape, DTYPE_BF16, 1), 20480);
    assert_int_equal(kernels_page_bytes(&c.shape, DTYPE_F16, 16), 16 * 20480);
    assert_int_equal(kernels_page_bytes(&c.shape, DTYPE_Q8_0, 16), 16 * 20480 / 64 * 34);
    assert_int_equal(kernels_conv_bytes(&c.shape, DTYPE_BF16, 0), 245760);
    assert_int_equal(kernels_conv_bytes(&c.shape, DTYPE_F16, 0), 2 * 245760);
    assert_int_equal(kernels_conv_bytes(&c.shape, DTYPE_Q8_0, 0), 2 * 245760);
    struct weight *list;
    assert_int_equal(weights_list(&c.shape, &list), 7610);
    free(list);
    assert_int_equal(config_synthetic("tiny", &c, &err), 0);
    assert_int_equal(config_synthetic("7b", &c, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, "\"7b\""));
}

static const char huge[] = "99999999999999999999999999";

// Each edit of the mixture config makes it wrong; the sentence must hold all three texts.
static const struct {
    struct pair edits[2];
    const char *key, *found, *expected;
} bad_moe[] = {
    {{{"model_type", "\"llama\""}}, "model_type", "llama", "lfm2_moe"},
    {{{"model_type", NULL}}, "model_type", "missing", "lfm2_moe"},
    {{{"model_type", "3"}}, "model_type", "3", "lfm2_moe"},
    {{{"architectures", "[\"Lfm2Model\"]"}}, "architectures", "Lfm2Model", "Lfm2ForCausalLM"},
    {{{"architectures", "[\"Lfm2BidirectionalModel\", \"Lfm2ForCausalLMX\"]"}},
     "architectures",
     "Bidirectional",
     "Lfm2MoeForCausalLM"},
    {{{"architectures", "\"Lfm2ForCausalLM\""}}, "architectures", "is", "in it"},
    {{{"vocab_size", "0"}}, "vocab_size", "is 0", "1 to 2097152"},
    {{{"vocab_size", NULL}}, "vocab_size", "missing", "integer"},
    {{{"vocab_size", huge}}, "vocab_size", "999999", "integer"},
    {{{"hidden_size", "-3"}}, "hidden_size", "-3", "integer"},
    {{{"hidden_size", "72.5"}}, "hidden_size", "72.5", "integer"},
    {{{"hidden_size", "\"72\""}}, "hidden_size", "\"72\"", "integer"},
    {{{"hidden_size", "null"}}, "hidden_size", "missing", "integer"},
    {{{"hidden_size", "2147483648"}}, "hidden_size", "2147483648", "integer"},
    {{{"hidden_size", "73"}}, "hidden_size", "73", "multiple of \"num_attention_heads\""},
    {{{"hidden_size", "78"}}, "head_dim", "13", "even"},
    {{{"head_dim", "7"}}, "head_dim", "7", "even"},
    {{{"head_dim", "0"}}, "head_dim", "0", "integer"},
    {{{"num_hidden_layers", "4"}}, "layer_types", "3 entries", "4 were expected"},
    {{{"num_hidden_layers", "257"}}, "num_hidden_layers", "257", "256"},
    {{{"num_attention_heads", "5"}}, "num_attention_heads", "5", "multiple"},
    {{{"num_key_value_heads", "4"}}, "num_attention_heads", "4", "multiple"},
    {{{"num_key_value_heads", "0"}}, "num_key_value_heads", "0", "integer"},
    {{{"layer_types", NULL}}, "layer_types", "missing", "array"},
    {{{"layer_types", "\"conv\""}}, "layer_types", "conv", "array"},
    {{{"layer_types", "[\"conv\", \"mamba\", \"conv\"]"}}, "layer_types", "mamba", "conv"},
    {{{"layer_types", "[\"conv\", 1, \"conv\"]"}}, "layer_types\"[1]", "1", "conv"},
    {{{"full_attn_idxs", "[0]"}}, "full_attn_idxs", "[0]", "the same of both"},
    {{{"conv_L_cache", "1"}}, "conv_L_cache", "1", "integer"},
    {{{"conv_L_cache", "9"}}, "conv_L_cache", "9", "8"},
    {{{"conv_bias", "0"}}, "conv_bias", "0", "true or false"},
    {{{"norm_eps", NULL}}, "norm_eps", "missing", "number"},
    {{{"norm_eps", "0"}}, "norm_eps", "0", "number"},
    {{{"norm_eps", "1e400"}}, "norm_eps", "1e400", "number"},
    {{{"block_norm_eps", "1e-6"}}, "norm_eps", "1e-6", "the same of both"},
    {{{"rope_parameters", NULL}}, "rope_theta", "missing", "rope_parameters.rope_theta"},
    {{{"rope_parameters", "{\"rope_theta\": -1}"}}, "rope_parameters.rope_theta", "-1", "number"},
    {{{"rope_parameters", "{\"rope_theta\": 5e3, \"rope_type\": \"yarn\"}"}},
     "rope_parameters.rope_type",
     "yarn",
     "default"},
    {{{"rope_parameters", "{\"rope_theta\": 5e3, \"partial_rotary_factor\": 0.5}"}},
     "partial_rotary_factor",
     "0.5",
     "1 was expected"},
    {{{"rope_parameters", "7"}}, "rope_parameters", "7", "object"},
    {{{"rope_theta", "10"}}, "rope_theta", "10", "the same of both"},
    {{{"rope_scaling", "{\"type\": \"linear\", \"factor\": 2}"}},
     "rope_scaling.type",
     "linear",
     "default"},
    {{{"max_position_embeddings", "0"}}, "max_position_embeddings", "0", "integer"},
    {{{"tie_embedding", "false"}}, "tie_embedding", "false", "the same of both"},
    {{{"tie_word_embeddings", "\"yes\""}}, "tie_word_embeddings", "yes", "true or false"},
    {{{"num_dense_layers", "4"}}, "num_dense_layers", "4", "0 to 3"},
    {{{"num_dense_layers", "-1"}}, "num_dense_layers", "-1", "integer"},
    {{{"num_experts", NULL}}, "num_experts", "missing", "integer"},
    {{{"num_experts", "1025"}}, "num_experts", "1025", "1024"},
    {{{"num_local_experts", "4"}}, "num_local_experts", "4", "the same of both"},
    {{{"num_experts_per_tok", "9"}}, "num_experts_per_tok", "9", "num_experts"},
    {{{"num_experts_per_tok", "0"}}, "num_experts_per_tok", "0", "integer"},
    {{{"moe_intermediate_size", NULL}}, "moe_intermediate_size", "missing", "integer"},
    {{{"intermediate_size", "-8"}}, "intermediate_size", "-8", "integer"},
    {{{"use_expert_bias", "1"}}, "use_expert_bias", "1", "true or false"},
    {{{"norm_topk_prob", "[]"}}, "norm_topk_prob", "[]", "true or false"},
    {{{"routed_scaling_factor", "0"}}, "routed_scaling_factor", "0", "number"},
    {{{"routed_scaling_factor", "true"}}, "routed_scaling_factor", "true", "number"},
    {{{"dtype", "\"float64\""}}, "dtype", "float64", "bfloat16"},
    {{{"eos_token_id", "512"}}, "eos_token_id", "512", "0 to 511"},
    {{{"eos_token_id", "[7, -1]"}}, "eos_token_id", "-1", "0 to 511"},
    {{{"eos_token_id", "\"</s>\""}}, "eos_token_id", "</s>", "ids"},
    {{{"bos_token_id", "700"}}, "bos_token_id", "700", "511"},
    {{{"pad_token_id", "-1"}}, "pad_token_id", "-1", "integer"},
    {{{"quantization_config", "{\"bits\": 4}"}}, "quantization_config", "bits", "not quantised"},
    {{{"hidden_act", "\"gelu\""}}, "hidden_act", "gelu", "silu"},
};

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void test_refusals(void **state) {
    (void)state;
    struct model_config c;
    struct error err;
    for (size_t i = 0; i < sizeof bad_moe / sizeof *bad_moe; i++) {
        if (parse(moe, N_MOE, bad_moe[i].edits, 2, "", &c, &err) != -1)
            fail_msg("accepted: %s %s", bad_moe[i].edits[0].key, bad_moe[i].found);
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_has(err.text, "config.json");
        assert_has(err.text, bad_moe[i].key);
        assert_has(err.text, bad_moe[i].found);
        assert_has(err.text, bad_moe[i].expected);
    }
}

static void test_dense_refusals(void **state) {
    (void)state;
    static const struct {
        struct pair edits[2];
        const char *key, *found;
    } cases[] = {
        {{{"full_attn_idxs", "[2, 2]"}}, "full_attn_idxs", "2"},
        {{{"full_attn_idxs", "[16]"}}, "full_attn_idxs", "16"},
        {{{"full_attn_idxs", "[\"2\"]"}}, "full_attn_idxs", "\"2\""},
        {{{"full_attn_idxs", "{}"}}, "full_attn_idxs", "{}"},
        {{{"full_attn_idxs", NULL}}, "layer_types", "missing"},
        {{{"block_ff_dim", NULL}}, "intermediate_size", "missing"},
        {{{"block_ff_dim", "0"}}, "block_ff_dim", "0"},
        {{{"block_multiple_of", "0"}}, "block_multiple_of", "0"},
        {{{"block_ffn_dim_multiplier", "-2"}}, "block_ffn_dim_multiplier", "-2"},
        {{{"block_ffn_dim_multiplier", "1000"}}, "block_ff_dim", "8192000"},
        {{{"block_ff_dim", "1"}, {"block_ffn_dim_multiplier", "null"}}, "block_ff_dim", "is 0"},
        {{{"block_auto_adjust_ff_dim", "2"}}, "block_auto_adjust_ff_dim", "2"},
    };
    struct model_config c;
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (parse(dense, N_DENSE, cases[i].edits, 2, "", &c, &err) != -1)
            fail_msg("accepted: %s", cases[i].edits[0].key);
        assert_has(err.text, cases[i].key);
        assert_has(err.text, cases[i].found);
    }
}

static void test_broken_files(void **state) {
    (void)state;
    struct model_config c;
    struct error err;
    const char *texts[] = {"", "{", "[]", "null", "{\"model_type\": \"lfm2\"", "\xff\xfe", "{}{}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(config_parse(slice_of(texts[i]), slice_of(""), &c, &err), -1);
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_has(err.text, "config.json");
    }
    assert_int_equal(parse(moe, N_MOE, NULL, 0, "{\"eos_token_id\": 5000}", &c, &err), -1);
    assert_has(err.text, "generation_config.json");
    assert_has(err.text, "5000");
    assert_int_equal(parse(moe, N_MOE, NULL, 0, "[", &c, &err), -1);
    assert_has(err.text, "generation_config.json");
    assert_int_equal(config_load("no such directory", &c, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_has(err.text, "no such directory/config.json");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_spelling),   cmocka_unit_test(test_old_spelling),
        cmocka_unit_test(test_spellings_mix),  cmocka_unit_test(test_dense_width),
        cmocka_unit_test(test_synthetic),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_dense_refusals), cmocka_unit_test(test_broken_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

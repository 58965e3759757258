// config.json from an enemy; behind a NUL byte, generation_config.json. Whatever is accepted must
// be a shape that every product of the loaders and backends fits.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/load/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shape(const struct model_config *c) {
    const struct model_shape *s = &c->shape;
    if (s->n_layers < 1 || s->n_layers > MODEL_MAX_LAYERS || s->hidden < 1 || s->vocab < 1) abort();
    if (s->n_heads % s->n_kv_heads || s->head_dim % 2 || s->n_experts_used > s->n_experts) abort();
    if (s->conv_width < 2 || s->conv_width > MODEL_MAX_CONV_WIDTH || s->max_positions < 1) abort();
    if (!(s->norm_eps > 0) || !(s->rope_theta > 0)) abort();
    if (shape_n_moe(s) < 0 || (shape_n_moe(s) > 0) != (s->n_experts > 0)) abort();
    for (int i = 0; i < c->n_end_ids; i++)
        if (c->end_ids[i] < 0 || c->end_ids[i] >= s->vocab) abort();
    // weights_list of a large shape is slow; its product bounds are in the config's ranges.
    if ((int64_t)s->n_layers * (s->n_experts + 1) > 1000) return;
    if (config_n_parameters(s) < config_n_active(s) || config_n_active(s) < 1) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *nul = size ? memchr(text, 0, size) : NULL;
    struct slice config = {text, nul ? (size_t)(nul - text) : size}, generation = {"", 0};
    if (nul) generation = (struct slice){nul + 1, size - config.len - 1};
    struct model_config c;
    struct error err = {0};
    if (config_parse(config, generation, &c, &err) == 0)
        check_shape(&c);
    else if (err.code != ERROR_CONFIG || !strstr(err.text, "config.json"))
        abort();
    return 0;
}

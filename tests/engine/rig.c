#include "tests/engine/rig.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

enum { PAGE_TOKENS = 16 };

static int or_else(int value, int otherwise) {
    return value ? value : otherwise;
}

static struct model_shape shape_of(const struct rig_options *o) {
    struct model_shape s = harness_shape(o->has_moe ? 1 : 0);
    s.vocab = or_else(o->vocab, 97);
    return s;
}

static const void *read_random(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    struct reference_random r = {(uint64_t)index * 7919 + (uint64_t)first + 1};
    const enum dtype *dtypes = self;
    (void)err;
    for (int64_t i = 0; i < n; i++)
        dtype_put(dtypes[index], room, i, (float)reference_normal(&r) / 8);
    return room;
}

static void open_model(struct rig *rig, const struct rig_options *ro,
                       const struct engine_options *eo, struct model *m) {
    struct error err = {0};
    struct weight *list;
    int n = weights_list(&m->shape, &list), device = 0;
    enum dtype *dtypes = memory_new((size_t)n, sizeof *dtypes);
    uint64_t *hashes = memory_new((size_t)n, sizeof *hashes);
    const char *path = NULL;
    for (int i = 0; i < n; i++) dtypes[i] = harness_dtype(&list[i], DTYPE_F32);
    m->ops = ro->is_real ? kernels_find(harness_device(), &device, &path, &err) : &fake_backend;
    struct backend_options o = {.shape = m->shape,
                                .weight_dtypes = dtypes,
                                .weight_hashes = hashes,
                                .kv_dtype = ro->kv,
                                .page_tokens = eo->page_tokens,
                                .n_pages = eo->n_pages,
                                .n_conv_slots = eo->max_rows + eo->max_prefixes,
                                .arena_pages = eo->suspend_pages,
                                .arena_slots = eo->suspend_slots,
                                .max_draft = eo->draft.max_draft,
                                .max_segments = eo->max_rows + eo->max_prefixes,
                                .max_tokens = eo->max_rows + eo->prefill_chunk,
                                .max_outputs = eo->max_rows + eo->prefill_chunk,
                                .n_threads = 2,
                                .device = device,
                                .path = path};
    const struct weight_source source = {.self = dtypes, .read = read_random};
    if (!m->ops || m->ops->open(&o, &m->backend, &err) ||
        (ro->is_real && m->ops->load(m->backend, &source, NULL, &err)))
        fail_msg("%s", err.text);
    rig->fake = ro->is_real ? NULL : (struct fake *)m->backend;
    free(dtypes);
    free(hashes);
    free(list);
}

void rig_open(struct rig *rig, const struct rig_options *o) {
    struct model model = {.shape = shape_of(o), .digest = 1};
    struct engine_options eo = {.max_rows = or_else(o->max_rows, 8),
                                .max_prefixes = or_else(o->max_prefixes, 4),
                                .max_context = or_else(o->max_context, 128),
                                .prefill_chunk = or_else(o->prefill_chunk, 16),
                                .page_tokens = PAGE_TOKENS,
                                .suspend_pages = o->suspend_pages,
                                .suspend_slots = o->suspend_slots,
                                .draft = o->draft};
    if (!eo.draft.memory_bytes) eo.draft.memory_bytes = 1 << 16;
    int row_pages = (eo.max_context + PAGE_TOKENS - 1) / PAGE_TOKENS + 1;
    eo.n_pages = or_else(o->n_pages, row_pages * (eo.max_rows + eo.max_prefixes));
    open_model(rig, o, &eo, &model);
    const struct vocabulary v = {.tokenizer = o->tokenizer,
                                 .end_ids = o->end_ids,
                                 .n_end_ids = o->n_end_ids,
                                 .n_route_values =
                                     shape_n_moe(&model.shape) * model.shape.n_experts_used};
    struct error err = {0};
    if (engine_open(&rig->engine, &model, &eo, &v, &err)) fail_msg("%s", err.text);
}

void rig_close(struct rig *rig) {
    engine_close(&rig->engine);
}

struct task *rig_task(const struct rig *rig, uint64_t serial, int n_prompt, int n, int max_new) {
    struct task *t = task_new();
    int32_t *ids = arena_take(&t->arena, (size_t)n_prompt, sizeof *ids);
    for (int i = 0; i < n_prompt; i++)
        ids[i] = (int32_t)((uint32_t)(i * 31 + 7) % (uint32_t)rig->engine.model.shape.vocab);
    t->serial = t->group_seed = serial;
    t->prompt_ids = ids;
    t->n_prompt = n_prompt;
    t->n_samples = n;
    t->n_left = n;
    t->sampling = (struct sampling){
        .n = n, .max_new_tokens = max_new, .temperature = 1, .top_p = 1, .repetition_penalty = 1};
    return t;
}

int rig_step(struct rig *rig) {
    struct error err = {0};
    engine_submit(&rig->engine);
    return engine_finish(&rig->engine, &err);
}

void rig_run(struct rig *rig) {
    int rc;
    do {
        rc = rig_step(rig);
        assert_true(rc >= 0);
    } while (rc > 0);
}

int rig_take(struct rig *rig, struct sample **out, int max) {
    int n = 0;
    for (struct sample *s = engine_take_finished(&rig->engine); s; s = s->next) {
        assert_true(n < max);
        out[n++] = s;
    }
    return n;
}

void rig_free(struct sample **samples, int n) {
    for (int i = 0; i < n; i++) sample_free(&samples[i]);
}

void rig_update(struct rig *rig, uint64_t version) {
    struct model *m = &rig->engine.model;
    struct weight *list;
    struct error err = {0};
    int n = weights_list(&m->shape, &list), at = 0;
    while (list[at].kind != WEIGHT_CONV_IN) at++;
    assert_true(at < n);
    int64_t size = weight_n(&list[at]);
    enum dtype type = harness_dtype(&list[at], DTYPE_F32);
    void *values = memory_new((size_t)size, dtype_bytes(type));
    if (m->ops->weight_read(m->backend, at, 0, size, values, &err)) fail_msg("%s", err.text);
    for (int64_t i = 0; i < size; i++)
        dtype_put(type, values, i, 1.25f * dtype_get(type, values, i));
    m->ops->weight_write(m->backend, at, 0, size, values);
    free(values);
    free(list);
    engine_set_version(&rig->engine, version, version);
}

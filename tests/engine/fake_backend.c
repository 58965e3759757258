#include "tests/engine/fake_backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/digest.h"
#include "protocol/base/memory.h"

int32_t fake_id(uint64_t seed, uint32_t position, uint32_t sample, int vocab) {
    return (int32_t)(digest_mix(seed, position, sample) % (uint32_t)vocab);
}

float fake_lp(uint64_t seed, uint32_t position, uint32_t sample) {
    return -(float)(digest_mix(seed + 1, position, sample) % 1000) / 64;
}

static int fake_plan(const struct backend_options *o, struct backend_plan *out, struct error *err) {
    (void)o, (void)err;
    *out = (struct backend_plan){0};
    return 0;
}

static int fake_open(const struct backend_options *o, struct backend **out, struct error *err) {
    (void)err;
    struct fake *f = memory_new(1, sizeof *f);
    *f = (struct fake){.base = {&fake_backend}, .options = *o, .bad_position = -1};
    f->next_block = -1;
    f->is_checked = true;
    f->ids = memory_new((size_t)o->max_outputs, sizeof *f->ids);
    f->lp = memory_new((size_t)o->max_outputs, sizeof *f->lp);
    f->bad = memory_new((size_t)o->max_outputs, 1);
    f->slot_used = memory_new((size_t)o->n_conv_slots, 1);
    *out = &f->base;
    return 0;
}

static void fake_close(struct backend **b) {
    struct fake *f = (struct fake *)*b;
    free(f->ids);
    free(f->lp);
    free(f->bad);
    free(f->slot_used);
    free(f);
    *b = NULL;
}

static const char *fake_numerics(const struct backend *b) {
    (void)b;
    return "fake";
}

static void check_move(const struct fake *f, const struct state_move *m) {
    const struct backend_options *o = &f->options;
    const int here[] = {o->n_pages,      o->n_pages,      o->arena_pages,
                        o->n_conv_slots, o->n_conv_slots, o->arena_slots};
    const int there[] = {o->n_pages,      o->arena_pages, o->n_pages,
                         o->n_conv_slots, o->arena_slots, o->n_conv_slots};
    assert(m->from >= 0 && m->from < here[m->kind] && m->to >= 0 && m->to < there[m->kind]);
}

static void fake_move(struct backend *b, const struct state_move *moves, size_t n) {
    struct fake *f = (struct fake *)b;
    assert(f->next_block < 0);
    for (size_t i = 0; f->is_checked && i < n; i++) check_move(f, &moves[i]);
    f->n_moves += n;
}

static void check_segment(struct fake *f, const struct step_segment *s, int first) {
    const struct backend_options *o = &f->options;
    int last = s->position + s->n_tokens - 1;
    assert(s->first_token == first && s->n_tokens > 0 && s->position >= 0);
    assert(last / o->page_tokens < s->n_pages);
    for (int p = 0; p < s->n_pages; p++) assert(s->pages[p] >= 0 && s->pages[p] < o->n_pages);
    assert(s->conv_slot >= 0 && s->conv_slot < o->n_conv_slots && !f->slot_used[s->conv_slot]);
    f->slot_used[s->conv_slot] = 1;
}

static void check_step(struct fake *f, const struct step *step) {
    const struct backend_options *o = &f->options;
    int first = 0, token = 0;
    memset(f->slot_used, 0, (size_t)o->n_conv_slots);
    assert(step->n_tokens <= o->max_tokens && step->n_outputs <= o->max_outputs);
    assert(step->n_segments <= o->max_segments);
    for (int i = 0; i < step->n_segments; i++) {
        check_segment(f, &step->segments[i], first);
        first += step->segments[i].n_tokens;
    }
    assert(first == step->n_tokens);
    for (int i = 0; i < step->n_outputs; i++) {
        assert(step->outputs[i].token >= token && step->outputs[i].token < step->n_tokens);
        token = step->outputs[i].token;
    }
}

static void fake_begin(struct backend *b, const struct step *step) {
    struct fake *f = (struct fake *)b;
    assert(f->next_block < 0);
    if (f->is_checked) check_step(f, step);
    f->next_block = 0;
    f->step = *step;
    f->n_segments = step->n_segments;
}

// Two blocks a layer, between embed and head.
static void take_block(struct backend *b, int block) {
    struct fake *f = (struct fake *)b;
    assert(f->next_block == block);
    f->next_block++;
}

static void fake_embed(struct backend *b) {
    take_block(b, 0);
}

static void fake_operator(struct backend *b, int layer) {
    take_block(b, 1 + 2 * layer);
}

static void fake_feed_forward(struct backend *b, int layer) {
    take_block(b, 2 + 2 * layer);
}

static void fake_head(struct backend *b) {
    take_block(b, 1 + 2 * ((struct fake *)b)->options.shape.n_layers);
}

// Everything is taken here: the caller may change its arrays afterwards.
static void fake_submit(struct backend *b) {
    struct fake *f = (struct fake *)b;
    take_block(b, 2 + 2 * f->options.shape.n_layers);
    for (int i = 0; i < f->step.n_outputs; i++) {
        const struct step_output *o = &f->step.outputs[i];
        const struct draw *d = &o->draw;
        f->ids[i] = o->is_draw ? fake_id(d->seed, d->position, d->sample, f->options.shape.vocab)
                               : o->target;
        f->lp[i] = o->is_draw ? fake_lp(d->seed, d->position, d->sample)
                              : fake_lp(0, (uint32_t)o->target, 0);
        f->bad[i] = 0;
    }
    for (int i = 0, s = 0; f->bad_position >= 0 && i < f->step.n_outputs; i++) {
        while (f->step.outputs[i].token >=
               f->step.segments[s].first_token + f->step.segments[s].n_tokens)
            s++;
        const struct step_segment *g = &f->step.segments[s];
        f->bad[i] = g->position + f->step.outputs[i].token - g->first_token >= f->bad_position;
    }
}

static void fill_routes(const struct fake *f, uint16_t *routes) {
    const struct model_shape *s = &f->options.shape;
    size_t width = (size_t)(shape_n_moe(s) * s->n_experts_used), n = 0;
    for (int i = 0; i < f->step.n_segments; i++)
        for (int t = 0; t < f->step.segments[i].n_tokens; t++)
            for (size_t k = 0; k < width; k++)
                routes[n++] = (uint16_t)(f->step.segments[i].position + t + (int)k);
}

static int fake_wait(struct backend *b, struct step_result *r, struct error *err) {
    struct fake *f = (struct fake *)b;
    assert(f->next_block == 3 + 2 * f->options.shape.n_layers);
    f->next_block = -1;
    if (f->step_us) usleep((useconds_t)f->step_us);
    if (f->is_lost) return error_set(err, ERROR_IO, "The device is lost.");
    size_t n = (size_t)f->step.n_outputs;
    memcpy(r->ids, f->ids, n * sizeof *r->ids);
    memcpy(r->lp_full, f->lp, n * sizeof *r->lp_full);
    memcpy(r->lp_behav, f->lp, n * sizeof *r->lp_behav);
    memcpy(r->bad, f->bad, n);
    if (f->step.want_routes) fill_routes(f, r->routes);
    f->n_steps++;
    f->n_tokens += (uint64_t)f->step.n_tokens;
    return 0;
}

// There are no weights: only updates that change nothing but the version.
static int fake_apply(struct backend *b, const struct weight_change *changes, int n,
                      struct error *err) {
    (void)b, (void)changes, (void)err;
    assert(n == 0);
    return 0;
}

const struct backend_ops fake_backend = {
    .abi = KERNELS_ABI,
    .name = "fake",
    .plan = fake_plan,
    .open = fake_open,
    .close = fake_close,
    .numerics = fake_numerics,
    .apply = fake_apply,
    .move = fake_move,
    .begin = fake_begin,
    .embed = fake_embed,
    .conv = fake_operator,
    .attention = fake_operator,
    .dense = fake_feed_forward,
    .moe = fake_feed_forward,
    .head = fake_head,
    .submit = fake_submit,
    .wait = fake_wait,
};

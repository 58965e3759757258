#include "worker/session/partial.h"

#include <string.h>

static int check_tokens(const struct request_context *c, struct column tokens, struct error *err) {
    for (uint64_t i = 0; i < tokens.n; i++)
        if (column_i32(tokens)[i] < 0 || column_i32(tokens)[i] >= c->vocab)
            return error_set(err, ERROR_INPUT,
                             "partial_tokens[%llu] is %d; expected an id from 0 to %d.",
                             (unsigned long long)i, column_i32(tokens)[i], c->vocab - 1);
    return 0;
}

static int check_routes(const struct request_context *c, const struct task *t,
                        const struct message_task *m, struct error *err) {
    uint64_t n_positions = (uint64_t)t->n_prompt - 1 + m->partial_tokens.n;
    uint64_t n = n_positions * (uint64_t)c->n_route_values;
    if (!m->partial_routed.n || (t->routed_experts && m->partial_routed.n == n)) return 0;
    return error_set(err, ERROR_INPUT,
                     "partial_routed has %llu values; expected %llu, those of %llu positions, and "
                     "routed_experts beside them.",
                     (unsigned long long)m->partial_routed.n, (unsigned long long)n,
                     (unsigned long long)n_positions);
}

static const void *keep(struct task *t, struct column c) {
    return arena_copy(&t->arena, c.data, c.n * column_dtype_bytes(c.dtype));
}

static const uint16_t *keep_routes(struct task *t, struct column c) {
    if (c.dtype == COLUMN_U16 || !c.n) return c.n ? keep(t, c) : NULL;
    uint16_t *routes = arena_take(&t->arena, c.n, sizeof *routes);
    for (uint64_t i = 0; i < c.n; i++) routes[i] = column_u8(c)[i];
    return routes;
}

static const struct version_span *keep_spans(struct task *t, const struct message_task *m) {
    uint64_t n = m->partial_span_first.n;
    struct version_span *spans = arena_take(&t->arena, n, sizeof *spans);
    for (uint64_t i = 0; i < n; i++)
        spans[i] = (struct version_span){column_i32(m->partial_span_first)[i],
                                         column_u64(m->partial_span_version)[i]};
    return spans;
}

static const int32_t *join_ids(struct task *t, struct column tokens) {
    size_t n = (size_t)t->n_prompt;
    int32_t *ids = arena_take(&t->arena, n + tokens.n, sizeof *ids);
    memcpy(ids, t->prompt_ids, n * sizeof *ids);
    memcpy(ids + n, tokens.data, tokens.n * sizeof *ids);
    return ids;
}

int partial_from_message(const struct request_context *c, struct task *t,
                         const struct message_task *m, struct error *err) {
    uint64_t n = m->partial_tokens.n;
    if (n == 0) return 0;
    if (check_tokens(c, m->partial_tokens, err) || check_routes(c, t, m, err)) return -1;
    if (n >= (uint64_t)t->sampling.max_new_tokens) return 0;
    t->prompt_ids = join_ids(t, m->partial_tokens);
    t->partial = (struct partial){.n_tokens = (int)n,
                                  .n_spans = (int)m->partial_span_first.n,
                                  .lp_full = keep(t, m->partial_lp_full),
                                  .lp_behav = keep(t, m->partial_lp_behav),
                                  .spans = keep_spans(t, m),
                                  .routes = keep_routes(t, m->partial_routed)};
    return 0;
}

// A step's description: counted, laid out behind its header in pinned memory, filled. The memory
// grows when a step needs more (long lists of pages, penalties, biases); recorded graphs hold its
// address and go then.
#include <assert.h>
#include <string.h>

#include "kernels/cuda/backend.h"

enum {
    ALIGN = 16,
    N_LENGTHS = 512, // buckets of the order of attention's work: shared or not, 512 positions each
    LENGTH_BITS = 9,
};

struct counts {
    int n_conv_rows, n_snapshots, n_items, n_rows, n_wants, n_stored, n_pages, n_seen, n_biases;
    bool is_split; // attention takes chunks apart
};

// ------------------------------------------------------------------ attention

static int n_chunks(const struct step_segment *g) {
    return (g->position + g->n_tokens + ATTENTION_CHUNK - 1) / ATTENTION_CHUNK;
}

// Whole tokens of 16 rows.
static int warp_tokens(const struct cuda *c) {
    return ATTENTION_ROWS / (c->shape.n_heads / c->shape.n_kv_heads);
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

static bool is_shared(const struct cuda *c, const struct step_segment *g) {
    return g->n_tokens > warp_tokens(c);
}

static int n_items(const struct cuda *c, const struct step_segment *g) {
    int tokens = ATTENTION_WARPS * warp_tokens(c), n_kv = c->shape.n_kv_heads;
    if (is_shared(c, g)) return (g->n_tokens + tokens - 1) / tokens * n_kv;
    return (n_kv + ATTENTION_WARPS - 1) / ATTENTION_WARPS;
}

// Cells that a segment takes when its chunks are worked at apart; 0: it is not.
static int n_cells(const struct cuda *c, const struct step_segment *g, int n_used) {
    int n = n_chunks(g) * c->shape.n_kv_heads;
    bool is_apart = !is_shared(c, g) && n_chunks(g) > 1 && n_used + n <= ATTENTION_CELLS;
    return is_apart ? n : 0;
}

static void count_items(const struct cuda *c, const struct step *s, struct counts *n) {
    int used = 0, more = 0;
    for (int i = 0; i < s->n_segments; i++) {
        const struct step_segment *g = &s->segments[i];
        int cells = n_cells(c, g, used);
        n->n_items += n_items(c, g);
        if (cells) more += n_items(c, g) * (n_chunks(g) - 1);
        used += cells;
    }
    // Two blocks a SM have work then, at most as much as fits at once.
    n->is_split = n->n_items < 2 * c->queue.n_sms;
    if (n->is_split) n->n_items += more;
    if (c->d.n_attention == 0) n->n_items = 0;
}

static struct step_item *add_items(const struct cuda *c, const struct step_segment *g, int segment,
                                   int cell, int n_apart, struct step_item *to) {
    struct step_item item = {.segment = segment, .n_tokens = g->n_tokens, .n_chunks = 1};
    int n_kv = c->shape.n_kv_heads, tokens = ATTENTION_WARPS * warp_tokens(c);
    item.chunk = -1;
    if (is_shared(c, g)) {
        item.is_shared = 1;
        for (item.first = 0; item.first < g->n_tokens; item.first += tokens)
            for (item.kv_head = 0; item.kv_head < n_kv; item.kv_head++) {
                int left = g->n_tokens - item.first;
                item.n_tokens = left < tokens ? left : tokens;
                *to++ = item;
            }
        return to;
    }
    item.cell = cell;
    if (n_apart) item.n_chunks = n_apart;
    for (item.kv_head = 0; item.kv_head < n_kv; item.kv_head += ATTENTION_WARPS)
        for (int chunk = 0; chunk < item.n_chunks; chunk++) {
            item.chunk = n_apart ? chunk : -1;
            *to++ = item;
        }
    return to;
}

static int length_of(const struct cuda *c, const struct step_segment *g) {
    int length = (g->position + g->n_tokens) / ATTENTION_CHUNK;
    return 2 * smaller(length, N_LENGTHS / 2 - 1) + is_shared(c, g);
}

// The longest first.
static void fill_items(const struct cuda *c, const struct step *s, const struct counts *n,
                       struct step_item *to) {
    int first[N_LENGTHS + 1] = {0}, used = 0;
    const struct step_item *end = to + n->n_items;
    if (n->n_items == 0) return;
    for (int i = 0; i < s->n_segments; i++) first[N_LENGTHS - length_of(c, &s->segments[i])]++;
    for (int i = 1; i <= N_LENGTHS; i++) first[i] += first[i - 1];
    for (int i = 0; i < s->n_segments; i++)
        c->order[first[N_LENGTHS - 1 - length_of(c, &s->segments[i])]++] = i;
    for (int i = 0; i < s->n_segments; i++) {
        // Cells are given out in the order of the segments, as they were counted.
        int cells = n->is_split ? n_cells(c, &s->segments[i], used) : 0;
        c->first_cell[i] = cells ? used : -1;
        used += cells;
    }
    assert(used <= ATTENTION_CELLS);
    for (int k = 0; k < s->n_segments; k++) {
        int i = c->order[k], cell = c->first_cell[i];
        const struct step_segment *g = &s->segments[i];
        to = add_items(c, g, i, cell < 0 ? 0 : cell, cell < 0 ? 0 : n_chunks(g), to);
    }
    assert(to == end);
}

// ------------------------------------------------------------------ convolution

// Rows of the product in tiles, and the snapshots of segments that are cut: runs[i].snapshot. A
// segment's second tile begins with the tokens whose products its first tokens need. Null: counts.
static void lay_conv_rows(const struct cuda *c, const struct step *s, int32_t *rows,
                          int32_t *snapshots, struct step_run *runs, struct counts *n) {
    int tile = c->bounds.conv_tile, at = 0;
    n->n_conv_rows = n->n_snapshots = 0;
    if (c->d.n_conv == 0) return;
    for (int i = 0; i < s->n_segments; i++) {
        const struct step_segment *g = &s->segments[i];
        for (int done = 0; done < g->n_tokens;) {
            if (at % tile == 0 && done > 0) {
                int halo = done < c->d.n_past ? done : c->d.n_past;
                for (int k = halo; k > 0; k--, at++)
                    if (rows) rows[at] = (g->first_token + done - k) | CONV_HALO;
            }
            int take = tile - at % tile, left = g->n_tokens - done;
            if (take >= left) take = left;
            for (int k = 0; k < take; k++, at++)
                if (rows) rows[at] = g->first_token + done + k;
            if (done == 0 && take < left && g->position > 0) {
                if (rows) {
                    runs[i].snapshot = n->n_snapshots;
                    snapshots[n->n_snapshots] = i;
                }
                n->n_snapshots++;
            }
            done += take;
        }
    }
    for (; at % tile; at++)
        if (rows) rows[at] = -1;
    n->n_conv_rows = at;
    assert(n->n_snapshots <= c->d.max_snapshots);
}

// ------------------------------------------------------------------ outputs

static bool has_penalty(const struct draw *d) {
    return d->repetition_penalty != 1.0f;
}

static bool needs_logits(const struct cuda *c, const struct step_output *o) {
    const struct draw *d = &o->draw;
    if (!o->is_draw) return false;
    if (has_penalty(d) || d->n_bias > 0) return true;
    bool has_top_k = d->top_k > 0 && d->top_k < c->shape.vocab;
    return d->temperature != 0 && (has_top_k || d->top_p < 1 || d->min_p > 0);
}

static void count_outputs(const struct cuda *c, const struct step *s, struct counts *n) {
    int last = -1, last_stored = -1;
    n->n_wants = s->n_outputs;
    for (int i = 0; i < s->n_outputs; i++) {
        const struct step_output *o = &s->outputs[i];
        assert(o->token >= last && o->token >= 0 && o->token < s->n_tokens);
        n->n_rows += o->token != last;
        last = o->token;
        if (!needs_logits(c, o)) continue;
        n->n_stored += o->token != last_stored;
        last_stored = o->token;
        n->n_seen += has_penalty(&o->draw);
        n->n_biases += o->draw.n_bias;
    }
}

static int seen_words(const struct cuda *c) {
    return (c->shape.vocab + 31) / 32;
}

struct output_room {
    struct step_row *rows;
    struct step_want *wants;
    uint32_t *seen;
    int32_t *bias_ids;
    float *biases;
    int n_rows, n_stored, n_seen, n_biases;
};

static void fill_seen(const struct cuda *c, const struct draw *d, uint32_t *bits) {
    memset(bits, 0, (size_t)seen_words(c) * sizeof *bits);
    for (int i = 0; i < d->n_seen; i++) bits[d->seen[i] / 32] |= 1u << d->seen[i] % 32;
}

static struct step_want fill_want(const struct cuda *c, const struct step_output *o,
                                  struct output_room *r) {
    const struct draw *d = &o->draw;
    struct step_want w = {.row = r->n_rows - 1,
                          .target = o->target,
                          .is_draw = o->is_draw,
                          .needs_logits = needs_logits(c, o),
                          .temperature = o->is_draw ? d->temperature : o->temperature,
                          .penalty = 1,
                          .seen = -1};
    if (!o->is_draw) return w;
    w.top_p = d->top_p;
    w.min_p = d->min_p;
    w.penalty = d->repetition_penalty;
    w.top_k = d->top_k;
    w.position = d->position;
    w.sample = d->sample;
    w.seed_low = (uint32_t)d->seed;
    w.seed_high = (uint32_t)(d->seed >> 32);
    if (has_penalty(d)) {
        w.seen = r->n_seen++;
        fill_seen(c, d, r->seen + (size_t)w.seen * (size_t)seen_words(c));
    }
    w.first_bias = r->n_biases;
    w.n_bias = d->n_bias;
    for (int i = 0; i < d->n_bias; i++, r->n_biases++) {
        r->bias_ids[r->n_biases] = d->bias_ids[i];
        r->biases[r->n_biases] = d->bias[i];
    }
    return w;
}

static void fill_outputs(const struct cuda *c, const struct step *s, struct output_room *r) {
    int last = -1;
    for (int i = 0; i < s->n_outputs; i++) {
        const struct step_output *o = &s->outputs[i];
        if (o->token != last) r->rows[r->n_rows++] = (struct step_row){o->token, i, 0, -1};
        last = o->token;
        struct step_row *row = &r->rows[r->n_rows - 1];
        row->n++;
        if (needs_logits(c, o) && row->stored < 0) row->stored = r->n_stored++;
        r->wants[i] = fill_want(c, o, r);
    }
}

// ------------------------------------------------------------------ the whole

static int used_pages(const struct cuda *c, const struct step_segment *g) {
    return (g->position + g->n_tokens - 1) / c->d.page_tokens + 1;
}

static void check_segments(const struct cuda *c, const struct step *s) {
    int next = 0;
    assert(s->n_tokens > 0 && s->n_tokens <= c->d.max_tokens && s->n_outputs <= c->d.max_outputs);
    assert(s->n_segments <= c->d.max_segments);
    for (int t = 0; t < s->n_tokens; t++) assert(s->ids[t] >= 0 && s->ids[t] < c->shape.vocab);
    for (int i = 0; i < s->n_segments; i++) {
        const struct step_segment *g = &s->segments[i];
        assert(g->first_token == next && g->n_tokens > 0 && g->position >= 0);
        assert(used_pages(c, g) <= g->n_pages);
        assert(g->conv_slot >= 0 && g->conv_slot < c->d.n_conv_slots);
        for (int k = 0; k < used_pages(c, g); k++)
            assert(g->pages[k] >= 0 && g->pages[k] < c->d.n_pages);
        next += g->n_tokens;
    }
    assert(next == s->n_tokens);
}

static struct counts count(const struct cuda *c, const struct step *s) {
    struct counts n = {0};
    count_items(c, s, &n);
    lay_conv_rows(c, s, NULL, NULL, NULL, &n);
    count_outputs(c, s, &n);
    for (int i = 0; i < s->n_segments; i++) n.n_pages += used_pages(c, &s->segments[i]);
    return n;
}

static uint32_t place(size_t *at, int n, size_t size) {
    size_t here = *at;
    *at += ((size_t)n * size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return (uint32_t)here;
}

static struct step_header lay_out(const struct cuda *c, const struct step *s,
                                  const struct counts *n) {
    struct step_header h = {.n_tokens = s->n_tokens,
                            .n_segments = s->n_segments,
                            .n_conv_rows = n->n_conv_rows,
                            .n_snapshots = n->n_snapshots,
                            .n_items = n->n_items,
                            .n_rows = n->n_rows,
                            .n_wants = n->n_wants,
                            .n_stored = n->n_stored};
    size_t at = (sizeof h + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    h.tokens_at = place(&at, s->n_tokens, sizeof(struct step_token));
    h.runs_at = place(&at, s->n_segments, sizeof(struct step_run));
    h.pages_at = place(&at, n->n_pages, sizeof(int32_t));
    h.conv_rows_at = place(&at, n->n_conv_rows, sizeof(int32_t));
    h.snapshots_at = place(&at, n->n_snapshots, sizeof(int32_t));
    h.items_at = place(&at, n->n_items, sizeof(struct step_item));
    h.rows_at = place(&at, n->n_rows, sizeof(struct step_row));
    h.wants_at = place(&at, n->n_wants, sizeof(struct step_want));
    h.seen_at = place(&at, n->n_seen * seen_words(c), sizeof(uint32_t));
    h.bias_ids_at = place(&at, n->n_biases, sizeof(int32_t));
    h.biases_at = place(&at, n->n_biases, sizeof(float));
    h.n_bytes = (uint32_t)at;
    return h;
}

static void fill_segments(const struct cuda *c, const struct step *s, struct step_token *tokens,
                          struct step_run *runs, int32_t *pages) {
    int at = 0;
    for (int i = 0; i < s->n_segments; i++) {
        const struct step_segment *g = &s->segments[i];
        int n = used_pages(c, g);
        runs[i] = (struct step_run){g->first_token, g->n_tokens, g->position, g->conv_slot, -1, at};
        memcpy(pages + at, g->pages, (size_t)n * sizeof *pages);
        at += n;
        for (int k = 0; k < g->n_tokens; k++) {
            int position = g->position + k, t = g->first_token + k;
            tokens[t] =
                (struct step_token){s->ids[t], position, g->pages[position / c->d.page_tokens], i};
        }
    }
}

// The arrays of the host's copy, to write into.
#define ARRAY(type, name) ((type *)((char *)c->step + c->step->name##_at))

static void fill(struct cuda *c, const struct step *s, struct counts *n) {
    fill_segments(c, s, ARRAY(struct step_token, tokens), ARRAY(struct step_run, runs),
                  ARRAY(int32_t, pages));
    lay_conv_rows(c, s, ARRAY(int32_t, conv_rows), ARRAY(int32_t, snapshots),
                  ARRAY(struct step_run, runs), n);
    fill_items(c, s, n, ARRAY(struct step_item, items));
    struct output_room r = {.rows = ARRAY(struct step_row, rows),
                            .wants = ARRAY(struct step_want, wants),
                            .seen = ARRAY(uint32_t, seen),
                            .bias_ids = ARRAY(int32_t, bias_ids),
                            .biases = ARRAY(float, biases)};
    fill_outputs(c, s, &r);
    assert(r.n_rows == n->n_rows && r.n_stored == n->n_stored);
    assert(r.n_seen == n->n_seen && r.n_biases == n->n_biases);
}

// The least power of 2 that is not below n, from `least` on.
static int bound(int n, int least) {
    int b = least;
    while (b < n) b *= 2;
    return b;
}

// An expert's tile holds its share of the tokens and a quarter more: larger ones would multiply
// zeros, smaller ones read its weights again, as half of the experts would with their mean share.
// From 128 on it is the largest there is.
static int expert_tile(const struct cuda *c, int n_tokens) {
    const struct model_shape *s = &c->shape;
    const struct layer *last = &c->weights.layers[s->n_layers - 1]; // dense ones come first
    int most = expert_most_tokens(&c->queue, &last->gate, &last->down);
    int share = n_tokens * s->n_experts_used / s->n_experts;
    if (share >= 128) return most;
    return smaller(smaller(bound(share + share / 4, 8), 128), most);
}

static struct step_bounds bounds_of(const struct cuda *c, int n_tokens, int n_rows) {
    struct step_bounds b = {.tokens = bound(n_tokens, 8), .rows = n_rows ? bound(n_rows, 8) : 0};
    b.conv_tile = conv_in_tile(&c->queue, b.tokens);
    b.row_tile = smaller(b.rows, c->max_token_tile);
    if (c->d.n_moe) b.expert_tile = expert_tile(c, b.tokens);
    return b;
}

void step_describe(struct cuda *c, const struct step *s) {
    check_segments(c, s);
    int n_rows = 0;
    for (int i = 0, last = -1; i < s->n_outputs; last = s->outputs[i++].token)
        n_rows += s->outputs[i].token != last;
    c->bounds = bounds_of(c, s->n_tokens, n_rows);
    struct counts n = count(c, s);
    struct step_header h = lay_out(c, s, &n);
    backend_room_for_step(c, h.n_bytes);
    if (c->failed) return;
    *c->step = h;
    fill(c, s, &n);
}

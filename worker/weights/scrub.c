#include "worker/weights/scrub.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

enum {
    PIECES = 64,      // of a pass over a small model
    ALIGN = 1 << 10,  // pieces are whole blocks of any type
    MAX_RESTARTS = 6, // of a tensor, that double its pace
};

struct scrub {
    const struct resident *resident;
    struct backend *backend;
    int64_t interval_ms, piece, total; // elements of a piece and of all weights
    int64_t *good_ms;                  // (weights) when each was last whole
    int64_t last_ms;
    double due; // elements
    uint64_t n_passes;

    // The tensor under way.
    int weight, n_restarts;
    int64_t first; // next element
    uint64_t sum;  // of those before it
};

struct scrub *scrub_open(const struct resident *resident, struct backend *backend, int interval_s,
                         int64_t now_ms) {
    struct scrub *s = memory_new(1, sizeof *s);
    const struct names *names = resident->names;
    *s = (struct scrub){.resident = resident,
                        .backend = backend,
                        .interval_ms = 1000 * (int64_t)interval_s,
                        .good_ms = memory_new((size_t)names->n, sizeof *s->good_ms),
                        .last_ms = now_ms};
    for (int i = 0; i < names->n; i++) {
        s->good_ms[i] = now_ms;
        s->total += weight_n(&names->weights[i]);
    }
    s->piece = (s->total / PIECES + ALIGN) / ALIGN * ALIGN;
    if (s->piece > SCRUB_PIECE) s->piece = SCRUB_PIECE;
    return s;
}

void scrub_free(struct scrub **scrub) {
    if (*scrub) free((*scrub)->good_ms);
    free(*scrub);
    *scrub = NULL;
}

void scrub_restart(struct scrub *s) {
    if (s->first == 0) return;
    s->first = 0;
    s->sum = 0;
    if (s->n_restarts < MAX_RESTARTS) s->n_restarts++;
}

uint64_t scrub_n_passes(const struct scrub *s) {
    return s->n_passes;
}

static int tell(const struct scrub *s, int64_t now_ms, struct scrub_damage *damage,
                struct error *err) {
    names_write(&s->resident->names->weights[s->weight], damage->tensor);
    damage->good_ms = s->good_ms[s->weight];
    return error_set(
        err, ERROR_INTERNAL,
        "The resident weights are damaged: tensor '%s' has digest %016llx, %016llx was expected. "
        "It was whole %.1f s ago; what was drawn since is suspect.",
        damage->tensor, (unsigned long long)s->sum,
        (unsigned long long)s->resident->tensor_digests[s->weight],
        (double)(now_ms - damage->good_ms) / 1000);
}

// The tensor is through.
static int compare(struct scrub *s, int64_t now_ms, struct scrub_damage *damage,
                   struct error *err) {
    if (s->sum != s->resident->tensor_digests[s->weight]) return tell(s, now_ms, damage, err);
    s->good_ms[s->weight] = now_ms;
    s->first = 0;
    s->sum = 0;
    s->n_restarts = 0;
    if (++s->weight < s->resident->names->n) return 0;
    s->weight = 0;
    s->n_passes++;
    return 0;
}

// The next piece, at most to the end of its tensor.
static int sum_up(struct scrub *s, int64_t now_ms, struct scrub_damage *damage, struct error *err) {
    int64_t size = weight_n(&s->resident->names->weights[s->weight]);
    int64_t n = size - s->first < s->piece ? size - s->first : s->piece;
    uint64_t sum = 0;
    if (s->backend->ops->weight_digest(s->backend, s->weight, s->first, n, &sum, err)) return -1;
    s->first += n;
    s->sum += sum;
    s->due -= (double)n;
    return s->first == size ? compare(s, now_ms, damage, err) : 0;
}

int scrub_turn(struct scrub *s, int64_t now_ms, struct scrub_damage *damage, struct error *err) {
    double pace = (double)s->total / (double)s->interval_ms;
    damage->tensor[0] = 0;
    s->due += pace * (double)(now_ms - s->last_ms) * (double)(1 << s->n_restarts);
    s->last_ms = now_ms;
    if (s->due > SCRUB_MOST) s->due = SCRUB_MOST;
    while (s->due >= (double)s->piece)
        if (sum_up(s, now_ms, damage, err)) return -1;
    return 0;
}

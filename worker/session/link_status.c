// What the I/O thread publishes of itself, of its session and of weight updates.
#include <string.h>

#include "protocol/base/clock.h"
#include "worker/session/link_state.h"

static double seconds_since(int64_t at_us) {
    return (double)(clock_us() - at_us) / 1e6;
}

static void note_status(struct link *l, const struct message_weights_status *m) {
    struct status_link *seen = &l->seen;
    if (m->phase == PHASE_STAGED && l->offered_us)
        histogram_add(&seen->stage, MEASURE_STAGE, seconds_since(l->offered_us), 1);
    if (m->phase == PHASE_APPLIED && l->commit_us)
        histogram_add(&seen->commit, MEASURE_COMMIT, seconds_since(l->commit_us), 1);
    if (m->phase != PHASE_STAGED && m->phase != PHASE_RECEIVING) l->offered_us = l->commit_us = 0;
}

void link_note_update(struct link *l, const struct message *m) {
    switch (m->type) {
    case MESSAGE_WEIGHTS_BEGIN:
        l->offered_us = clock_us();
        break;
    case MESSAGE_WEIGHTS_COMMIT:
        if (!l->commit_us) l->commit_us = clock_us();
        break;
    case MESSAGE_WEIGHTS_STATUS:
        note_status(l, &m->weights_status);
        break;
    default:
        break;
    }
}

// Ready means: what is served is at least what --min-version says, and what the trainer pushed
// last. A version of another epoch that a restarted trainer counts from may be higher.
static bool is_current(struct link *l) {
    uint64_t version = status_read(l->options.board).version;
    if (!l->joined || version < l->options.min_version) return false;
    bool pushed_here = l->version_session == l->session && !link_is_applying(l);
    return !l->wanted_version || version == l->wanted_version || pushed_here;
}

void link_publish(struct link *l) {
    struct status_link *seen = &l->seen;
    struct socket_counters counters;
    socket_counters(l->socket, &counters);
    seen->turn_ms = clock_ms();
    seen->joined = l->joined;
    seen->draining = l->draining;
    seen->is_current = is_current(l);
    memcpy(seen->run, l->run, sizeof seen->run);
    seen->epoch = l->epoch;
    seen->n_foreign = l->n_foreign;
    seen->n_resent_samples = l->outbox.n_resent_samples;
    seen->n_unauthenticated = counters.n_unauthenticated;
    seen->n_full = counters.n_full;
    memcpy(seen->n_refused, counters.refused, sizeof seen->n_refused);
    seen->n_nccl_aborts = stager_n_aborts(l->stager);
    seen->spool_bytes = l->outbox.n_bytes;
    seen->n_unacked = l->outbox.n_unacked;
    seen->free_slots = l->joined && l->credit > l->n_received ? l->credit - l->n_received : 0;
    seen->staging_version = l->update ? update_version(l->update) : 0;
    status_publish_link(l->options.board, seen);
}

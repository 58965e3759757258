// Weight updates as the I/O thread drives them: offer, pull, stage, commit, report.
#include <string.h>

#include "worker/session/link_state.h"

static void report(struct link *l, uint64_t update, enum message_phase phase, const char *tensor,
                   const char *why) {
    struct status state = status_read(l->options.board);
    struct message m = {.type = MESSAGE_WEIGHTS_STATUS};
    m.weights_status = (struct message_weights_status){.update = update,
                                                       .phase = phase,
                                                       .version = state.version,
                                                       .digest = state.digest,
                                                       .tensor = slice_of(tensor),
                                                       .error = slice_of(why)};
    if (phase == PHASE_FAILED) log_say(l->options.log, LOG_WARN, "weight update failed: %s", why);
    link_say(l, &m);
}

void link_weights_begin(struct link *l, const struct message_weights_begin *m) {
    char tensor[NAMES_MAX_BYTES];
    struct error why = {0};
    if (l->update && update_id(l->update) == m->update) return; // offered again
    if (l->update_committed == m->update && m->update) return;
    link_weights_abort(l, 0);
    const struct update_target target = {.names = l->options.names,
                                         .dtypes = l->options.dtypes,
                                         .version = status_read(l->options.board).version,
                                         .is_inherited = l->version_session < l->first_session,
                                         .staging_bytes = l->options.staging_bytes};
    l->staged_reported = false;
    if (update_begin(m, &target, &l->update, tensor, &why)) {
        report(l, m->update, PHASE_FAILED, tensor, why.text);
        return;
    }
    log_say(l->options.log, LOG_INFO, "staging policy version %llu, %.1f MiB",
            (unsigned long long)m->version, (double)m->total_bytes / (1 << 20));
}

void link_weights_chunk(struct link *l, const struct message_weights_chunk *m) {
    char tensor[NAMES_MAX_BYTES];
    struct error why = {0};
    if (!l->update || update_id(l->update) != m->update) return;
    if (!update_chunk(l->update, m, tensor, &why)) return;
    update_free(&l->update);
    report(l, m->update, PHASE_FAILED, tensor, why.text);
}

void link_weights_commit(struct link *l, uint64_t update) {
    if (l->update_committed == update) return; // said again; the answer is on its way
    if (!l->update || update_id(l->update) != update || !update_is_staged(l->update)) {
        report(l, update, PHASE_FAILED, "", "This update is not staged here.");
        return;
    }
    const struct event apply = {.kind = EVENT_UPDATE, .update = l->update};
    l->update = NULL;
    l->update_committed = update;
    l->version_session = l->session;
    l->n_committed++;
    inbox_put(&l->inbox, &apply);
}

void link_weights_abort(struct link *l, uint64_t update) {
    if (l->update && (!update || update_id(l->update) == update)) update_free(&l->update);
}

bool link_is_applying(struct link *l) {
    return status_read(l->options.board).n_updates != l->n_committed;
}

static int send_pulls(struct link *l, int64_t now_ms, struct error *err) {
    struct message m = {.type = MESSAGE_WEIGHTS_PULL};
    while (update_next_pull(l->update, now_ms, &m.weights_pull))
        if (link_send(l, &m, err)) return -1;
    return 0;
}

int link_weights_pump(struct link *l, int64_t now_ms, struct error *err) {
    if (l->update_committed && !link_is_applying(l)) {
        uint64_t update = l->update_committed;
        l->update_committed = 0;
        report(l, update, PHASE_APPLIED, "", "");
    }
    if (!l->update) return 0;
    if (send_pulls(l, now_ms, err)) return -1;
    if (l->staged_reported || !update_is_staged(l->update)) return 0;
    l->staged_reported = true;
    report(l, update_id(l->update), PHASE_STAGED, "", "");
    return 0;
}

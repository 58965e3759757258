// Weight updates as the I/O thread drives them: offer, pull, stage, commit, take back, report.
#include <string.h>

#include "protocol/base/clock.h"
#include "worker/session/link_state.h"

static void say(struct link *l, const struct message_weights_status *status) {
    struct status state = status_read(l->options.board);
    struct message m = {.type = MESSAGE_WEIGHTS_STATUS, .weights_status = *status};
    m.weights_status.version = state.version;
    m.weights_status.digest += state.digest;
    link_say(l, &m);
}

// differs: what came is not what was announced.
static void say_failed(struct link *l, uint64_t update, const char *tensor, const char *why,
                       bool differs) {
    *(differs ? &l->seen.n_updates_mismatched : &l->seen.n_updates_failed) += 1;
    log_say(l->options.log, LOG_WARN, "weight update failed: %s", why);
    say(l, &(struct message_weights_status){.update = update,
                                            .phase = PHASE_FAILED,
                                            .tensor = slice_of(tensor),
                                            .error = slice_of(why)});
}

static void drop(struct link *l) {
    if (l->update) update_drop(l->update);
    update_release(&l->update);
    message_free(&l->offer);
}

void link_weights_drop(struct link *l) {
    drop(l);
    update_release(&l->applied);
}

bool link_is_applying(struct link *l) {
    return status_read(l->options.board).n_updates != l->n_handed;
}

void link_weights_join(struct link *l, const struct message_nccl_join *m) {
    l->join = (struct receiver_join){
        .comm = {.rank = (int)m->rank, .n_ranks = (int)m->n_ranks, .version = (int)m->version},
        .deadline_ms = (int64_t)m->deadline_ms};
    memcpy(l->join.comm.id, m->id.data, sizeof l->join.comm.id);
    l->has_join = true;
}

// The thread of weights joins the communicator, when it is another, and receives.
static void begin_receiving(struct link *l) {
    if (l->has_join)
        log_say(l->options.log, LOG_INFO,
                "joining NCCL as rank %d of %d; without progress for %.1f s it is left",
                l->join.comm.rank, l->join.comm.n_ranks, (double)l->join.deadline_ms / 1000);
    stager_receive(l->stager, l->update, l->has_join ? &l->join : NULL);
    l->has_join = l->told_receiving = false;
}

static void begin_reading(struct link *l, const struct message_weights_begin *m) {
    const struct directory_file file = directory_file(m);
    log_say(l->options.log, LOG_INFO, "reading %s in --weights-dir", file.name);
    stager_read(l->stager, l->update, l->options.weights_dir, &file);
}

// Whether this worker can have bytes in the way that the offer says.
static int check_transport(const struct link *l, const struct message_weights_begin *m,
                           struct error *err) {
    if (m->transport == TRANSPORT_NCCL && !receiver_can(l->options.engine->model.backend))
        return error_set(err, ERROR_INPUT, "This worker's device cannot receive by NCCL.");
    if (m->transport == TRANSPORT_DIRECTORY && !l->options.weights_dir)
        return error_set(err, ERROR_INPUT, "This worker has no --weights-dir.");
    return 0;
}

static void begin(struct link *l, const struct message_weights_begin *m) {
    char tensor[NAMES_MAX_BYTES];
    struct error why = {0};
    const struct update_target target = {.resident = l->resident,
                                         .version = status_read(l->options.board).version,
                                         .is_inherited = l->version_session < l->first_session,
                                         .staging_bytes = l->options.staging_bytes};
    if (check_transport(l, m, &why)) {
        say_failed(l, m->update, "", why.text, false);
        return;
    }
    if (update_begin(m, &target, &l->update, tensor, &why)) {
        say_failed(l, m->update, tensor, why.text, false);
        return;
    }
    update_release(&l->applied); // its former values give way
    l->told = UPDATE_STAGING;
    log_say(l->options.log, LOG_INFO, "staging policy version %llu, %.1f MiB",
            (unsigned long long)m->version, (double)m->total_bytes / (1 << 20));
    if (m->transport == TRANSPORT_NCCL) begin_receiving(l);
    if (m->transport == TRANSPORT_DIRECTORY) begin_reading(l, m);
}

// Begun in the pump: the staging memory is the engine's while it applies.
void link_weights_begin(struct link *l, struct message **m) {
    uint64_t update = (*m)->weights_begin.update;
    if (l->update && update_id(l->update) == update) return; // offered again
    if (l->applied && update_id(l->applied) == update) return;
    drop(l);
    l->offer = *m;
    *m = NULL;
}

void link_weights_chunk(struct link *l, struct message **m) {
    const struct message_weights_chunk *c = &(*m)->weights_chunk;
    if (!l->update || update_id(l->update) != c->update || !update_take(l->update, c)) return;
    stager_put(l->stager, l->update, *m);
    *m = NULL;
}

static void hand_over(struct link *l, enum event_kind kind, int64_t until_ms) {
    const struct event event = {
        .kind = kind, .update = update_hold(l->applied), .until_ms = until_ms};
    l->n_handed++;
    inbox_put(&l->inbox, &event);
}

void link_weights_commit(struct link *l, const struct message_weights_commit *m) {
    uint64_t update = m->update;
    if (l->applied && update_id(l->applied) == update) return; // said again; the answer comes
    if (!l->update || update_id(l->update) != update ||
        update_state(l->update) != UPDATE_VERIFIED) {
        say_failed(l, update, "", "This update is not staged here.", false);
        return;
    }
    l->applied = l->update;
    l->update = NULL;
    l->told = UPDATE_VERIFIED;
    l->version_session = l->session;
    hand_over(l, EVENT_APPLY, m->hold_ms ? clock_ms() + (int64_t)m->hold_ms : 0);
}

void link_weights_abort(struct link *l, uint64_t update) {
    bool is_offer = l->offer && l->offer->weights_begin.update == update;
    if (is_offer || (l->update && update_id(l->update) == update)) drop(l);
    if (!l->applied || update_id(l->applied) != update || l->is_undoing) return;
    l->is_undoing = true;
    hand_over(l, EVENT_UNDO, 0);
}

static int send_pulls(struct link *l, int64_t now_ms, struct error *err) {
    struct message m = {.type = MESSAGE_WEIGHTS_PULL};
    while (update_next_pull(l->update, now_ms, &m.weights_pull))
        if (link_send(l, &m, err)) return -1;
    return 0;
}

// Tells the trainer what has become of the offer.
static void tell_staged(struct link *l) {
    char tensor[NAMES_MAX_BYTES];
    struct error why = {0};
    enum update_state state = update_state(l->update);
    uint64_t id = update_id(l->update);
    if (state == UPDATE_FAILED) {
        bool differs = update_failure(l->update, tensor, &why);
        drop(l);
        say_failed(l, id, tensor, why.text, differs);
    } else if (!l->told_receiving && update_is_receiving(l->update)) {
        l->told_receiving = true;
        say(l, &(struct message_weights_status){.update = id, .phase = PHASE_RECEIVING});
    } else if (state == UPDATE_VERIFIED && l->told != UPDATE_VERIFIED) {
        log_say(l->options.log, LOG_INFO,
                "policy version %llu is staged: proved in %.1f ms, remade in %.1f ms",
                (unsigned long long)update_version(l->update),
                (double)update_check_us(l->update) / 1000,
                (double)update_remake_us(l->update) / 1000);
        l->told = UPDATE_VERIFIED;
        l->seen.weight_bytes[update_transport(l->update)] += update_total_bytes(l->update);
        say(l, &(struct message_weights_status){.update = id,
                                                .phase = PHASE_STAGED,
                                                .digest = update_digest_change(l->update),
                                                .check_us = (uint64_t)update_check_us(l->update)});
    }
}

// Tells the trainer that the engine has done what was handed to it.
static void tell_applied(struct link *l) {
    enum update_state state = update_state(l->applied);
    if (state == l->told || link_is_applying(l)) return;
    l->told = state;
    say(l, &(struct message_weights_status){.update = update_id(l->applied),
                                            .phase = state == UPDATE_ROLLED_BACK ? PHASE_ROLLED_BACK
                                                                                 : PHASE_APPLIED,
                                            .pause_us = (uint64_t)update_pause_us(l->applied)});
    if (state != UPDATE_ROLLED_BACK) return;
    l->is_undoing = false;
    update_release(&l->applied);
}

int link_weights_pump(struct link *l, int64_t now_ms, struct error *err) {
    if (l->applied) tell_applied(l);
    if (l->offer && !link_is_applying(l)) {
        begin(l, &l->offer->weights_begin);
        message_free(&l->offer);
    }
    if (!l->update) return 0;
    if (send_pulls(l, now_ms, err)) return -1;
    tell_staged(l);
    return 0;
}

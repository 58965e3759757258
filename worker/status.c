#include "worker/status.h"

#include <string.h>

const char *const status_memory_names[STATUS_N_MEMORY] = {"weights",     "kv_pages",  "conv_slots",
                                                          "scratch",     "suspended", "staging",
                                                          "second_copy", "master"};

void status_open(struct status_board *board, struct status first) {
    memset(board, 0, sizeof *board);
    pthread_mutex_init(&board->lock, NULL);
    board->last = first;
}

void status_close(struct status_board *board) {
    pthread_mutex_destroy(&board->lock);
}

void status_publish(struct status_board *board, struct status status) {
    if (!board) return;
    pthread_mutex_lock(&board->lock);
    board->last = status;
    pthread_mutex_unlock(&board->lock);
}

struct status status_read(struct status_board *board) {
    pthread_mutex_lock(&board->lock);
    struct status status = board->last;
    pthread_mutex_unlock(&board->lock);
    return status;
}

void status_publish_link(struct status_board *board, const struct status_link *link) {
    pthread_mutex_lock(&board->lock);
    board->link = *link;
    pthread_mutex_unlock(&board->lock);
}

void status_publish_facts(struct status_board *board, const struct status_facts *facts) {
    pthread_mutex_lock(&board->lock);
    board->facts = *facts;
    pthread_mutex_unlock(&board->lock);
}

void status_enter(struct status_board *board, enum status_phase phase) {
    pthread_mutex_lock(&board->lock);
    board->phase = phase;
    pthread_mutex_unlock(&board->lock);
}

void status_paused(struct status_board *board, int64_t us) {
    pthread_mutex_lock(&board->lock);
    histogram_add(&board->work.measures[MEASURE_PAUSE], MEASURE_PAUSE, (double)us / 1e6, 1);
    board->work.idle_us[IDLE_WEIGHTS] += us;
    pthread_mutex_unlock(&board->lock);
}

void status_scrubbed(struct status_board *board, uint64_t n_passes) {
    pthread_mutex_lock(&board->lock);
    board->work.n_scrub_passes = n_passes;
    pthread_mutex_unlock(&board->lock);
}

void status_look(struct status_board *board, struct status_snapshot *out) {
    pthread_mutex_lock(&board->lock);
    out->last = board->last;
    out->work = board->work;
    out->link = board->link;
    out->facts = board->facts;
    out->phase = board->phase;
    pthread_mutex_unlock(&board->lock);
}

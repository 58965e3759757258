#include "worker/status.h"

void status_open(struct status_board *board, struct status first) {
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

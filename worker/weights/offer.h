// An offer of an update against the weights that are served: what of it is wrong, or where its
// parts will lie in the staging memory.
#ifndef WORKER_WEIGHTS_OFFER_H
#define WORKER_WEIGHTS_OFFER_H

#include "kernels/kernels.h"
#include "worker/weights/update.h"

// The tensors that change: places in the staging memory are those in the stream.
struct offer {
    int n;
    struct weight_change *changes; // (n)
    uint64_t *ends;                // (n) where each ends in the stream; it begins where the one
                                   // before it ends
    uint64_t *checks;              // (n) announced
    uint64_t total_bytes;
};

// As update_begin.
int offer_read(struct offer *o, const struct message_weights_begin *m,
               const struct update_target *target, char tensor[NAMES_MAX_BYTES], struct error *err);
void offer_free(struct offer *o);

#endif

// The network as an order of blocks. Names no device, no number format and no layout.
#ifndef WORKER_ENGINE_MODEL_H
#define WORKER_ENGINE_MODEL_H

#include "kernels/kernels.h"

// An open backend with its weights, and what they are.
struct model {
    const struct backend_ops *ops;
    struct backend *backend; // owned
    struct model_shape shape;
    uint64_t version; // policy version of the resident weights, 0 until an update
    uint64_t digest;  // of them
};

// Hands the moves of state and one step to the backend. Everything may change once it returns.
void model_submit(struct model *m, const struct state_move *moves, size_t n_moves,
                  const struct step *step);

// Waits for the step. Results go to `result` as kernels.h says. -1 when the device failed; then
// nothing of the step holds and the caller must not go on with its sequences.
int model_wait(struct model *m, struct step_result *result, struct error *err);

void model_close(struct model *m);

#endif

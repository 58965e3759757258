// The network as an order of blocks. Names no device, no number format and no layout.
#ifndef WORKER_ENGINE_MODEL_H
#define WORKER_ENGINE_MODEL_H

#include "kernels/kernels.h"

// An open backend with its weights, and the policy version that they are.
struct model {
    const struct backend_ops *ops;
    struct backend *backend; // owned
    struct model_shape shape;
    uint64_t version; // policy version of the resident weights, 0 until an update
};

// Runs one step and waits for it. Results go to `result` as kernels.h says. -1 when the device
// failed; then nothing of the step holds and the caller must not go on with its sequences.
int model_step(struct model *m, const struct step *step, struct step_result *result,
               struct error *err);

void model_close(struct model *m);

#endif

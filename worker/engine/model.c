#include "worker/engine/model.h"

int model_step(struct model *m, const struct step *step, struct step_result *result,
               struct error *err) {
    const struct backend_ops *ops = m->ops;
    struct backend *b = m->backend;
    ops->begin(b, step);
    ops->embed(b);
    for (int layer = 0; layer < m->shape.n_layers; layer++) {
        if (m->shape.is_attention[layer])
            ops->attention(b, layer);
        else
            ops->conv(b, layer);
        if (shape_is_moe(&m->shape, layer))
            ops->moe(b, layer);
        else
            ops->dense(b, layer);
    }
    ops->head(b);
    ops->submit(b);
    return ops->wait(b, result, err);
}

void model_close(struct model *m) {
    if (m->backend) m->ops->close(&m->backend);
}

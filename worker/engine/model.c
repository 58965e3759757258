#include "worker/engine/model.h"

void model_submit(struct model *m, const struct state_move *moves, size_t n_moves,
                  const struct step *step) {
    const struct backend_ops *ops = m->ops;
    struct backend *b = m->backend;
    ops->move(b, moves, n_moves);
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
}

int model_wait(struct model *m, struct step_result *result, struct error *err) {
    return m->ops->wait(m->backend, result, err);
}

void model_close(struct model *m) {
    if (m->backend) m->ops->close(&m->backend);
}

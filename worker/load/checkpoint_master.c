// The types of a master.
#include "kernels/types/types.h"
#include "protocol/base/memory.h"
#include "worker/load/checkpoint.h"

// What was packed has lost the values that a trainer compares with.
static int check_stored(const struct checkpoint *c, struct error *err) {
    for (int i = 0; i < c->names->n; i++) {
        enum dtype t = c->tensors[i].dtype;
        if (!dtype_is_block(t)) continue;
        char name[NAMES_MAX_BYTES];
        names_write(&c->names->weights[i], name);
        return error_set(err, ERROR_CONFIG,
                         "Model %s: tensor \"%s\" is stored as %s; --master keeps the values from "
                         "which blocks are packed, so a checkpoint of floats was expected.",
                         c->path, name, dtype_name(t));
    }
    return 0;
}

static bool has_blocks(const struct checkpoint *c) {
    for (int i = 0; i < c->names->n; i++)
        if (dtype_is_block(c->dtypes[i])) return true;
    return false;
}

int checkpoint_keep_master(struct checkpoint *c, struct error *err) {
    if (check_stored(c, err)) return -1;
    if (!has_blocks(c))
        return error_set(err, ERROR_USAGE,
                         "--master keeps bf16 values beside weights of block types, and these are "
                         "floats, which updates change by themselves; --weights q8_0, q4_0, q4_k, "
                         "q5_k or q6_k was expected.");
    c->master_dtypes = memory_new((size_t)c->names->n, sizeof *c->master_dtypes);
    for (int i = 0; i < c->names->n; i++)
        c->master_dtypes[i] = checkpoint_resident(&c->names->weights[i], DTYPE_BF16, DTYPE_BF16);
    return 0;
}

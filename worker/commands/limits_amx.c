#include "worker/commands/limits_amx.h"

#include "kernels/amx.h"

#if defined(AMX_EMULATED)
// Plain C has no limit of its own to tell.
bool limits_amx_is_there(void) {
    return false;
}
void limits_amx_int8(int n, int chains) {
    (void)n, (void)chains;
}
void limits_amx_bf16(int n, int chains) {
    (void)n, (void)chains;
}
#else
bool limits_amx_is_there(void) {
    return amx_is_there();
}

static void start(void) {
    struct amx_sizes sizes = {0};
    for (int i = 0; i < AMX_TILES; i++) amx_size(&sizes, i, AMX_ROWS, AMX_ROW_BYTES);
    AMX_CONFIGURE(&sizes);
    AMX_ZERO(0);
    AMX_ZERO(1);
    AMX_ZERO(2);
    AMX_ZERO(3);
    AMX_ZERO(4);
    AMX_ZERO(5);
    AMX_ZERO(6);
    AMX_ZERO(7);
}

void limits_amx_int8(int n, int chains) {
    start();
    for (int i = 0; i < n * chains / 6; i++) {
        AMX_DOT_INT8(0, 6, 7);
        AMX_DOT_INT8(1, 6, 7);
        AMX_DOT_INT8(2, 6, 7);
        AMX_DOT_INT8(3, 6, 7);
        AMX_DOT_INT8(4, 6, 7);
        AMX_DOT_INT8(5, 6, 7);
    }
    AMX_RELEASE();
}

void limits_amx_bf16(int n, int chains) {
    start();
    for (int i = 0; i < n * chains / 6; i++) {
        AMX_DOT_BF16(0, 6, 7);
        AMX_DOT_BF16(1, 6, 7);
        AMX_DOT_BF16(2, 6, 7);
        AMX_DOT_BF16(3, 6, 7);
        AMX_DOT_BF16(4, 6, 7);
        AMX_DOT_BF16(5, 6, 7);
    }
    AMX_RELEASE();
}
#endif

// Movements of the state of sequences.
#ifndef KERNELS_STATE_H
#define KERNELS_STATE_H

#include <stdint.h>

// One movement of the state of sequences. Pages and conv slots of the arena are numbered by
// themselves, from 0.
enum move_kind {
    MOVE_PAGE_COPY,    // page `from` -> page `to`
    MOVE_PAGE_SUSPEND, // page `from` -> arena page `to`
    MOVE_PAGE_RESUME,  // arena page `from` -> page `to`
    MOVE_CONV_COPY,    // conv slot `from` -> conv slot `to`
    MOVE_CONV_SUSPEND, // conv slot `from` -> arena slot `to`
    MOVE_CONV_RESUME,  // arena slot `from` -> conv slot `to`
};
struct state_move {
    enum move_kind kind;
    int32_t from, to;
};

#endif

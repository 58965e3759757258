// The inner loops of a weight update: codes to places in the packed layout, a run at a time, and
// what is done with the values there.
#ifndef KERNELS_CPU_DELTA_RUN_H
#define KERNELS_CPU_DELTA_RUN_H

#include <stdbool.h>

#include "kernels/cpu/weights.h"
#include "kernels/delta.h"
#include "kernels/kernels.h"

enum { DELTA_RUN = 1024 }; // few enough that what was asked of the second cache is still there

// Some values of a change.
struct delta_run {
    int n;
    uint32_t position[DELTA_RUN]; // elements of the weight, in row-major order
    size_t at[DELTA_RUN];         // elements of its memory
};

// A way through one block of codes.
struct delta_walk {
    const struct weight_slot *slot;
    const void *codes;
    int code_bytes;
    int64_t next, end;                 // codes
    uint64_t n_values;                 // before the next code
    uint64_t end_cursor, end_n_values; // where the block must end; the last one: anywhere
    bool is_last;
    int64_t row, column; // of the cursor; the column may be the row's end
    char *all_values;
    char *values; // of the run that delta_next gave
    bool failed;  // a position lies beyond the weight
};

// -1 with a sentence where the block's anchor cannot be one.
int delta_begin(struct delta_walk *w, const struct weight_slot *slot,
                const struct weight_change *change, char *staging, int64_t block,
                struct error *err);
// The next values of the block, and asks the caches for their places; false where there are none,
// or a position lies beyond the weight (`failed`).
bool delta_next(struct delta_walk *w, struct delta_run *run);
// -1 with a sentence where the block went wrong, or does not end where it must.
int delta_end(const struct delta_walk *w, struct error *err);

// Adds what staged and resident values of a run make of the digest.
void delta_sum(const struct weight_slot *slot, uint64_t name_hash, const struct delta_run *run,
               const void *values, struct change_sums *sums);

// Puts a run's values where they lie.
void delta_put(const struct weight_slot *slot, const struct delta_run *run, const void *values);
// Exchanges a run's values with the resident ones.
void delta_exchange(const struct weight_slot *slot, const struct delta_run *run, void *values);
// The same for elements first .. first + n - 1, whole blocks of rows but at the end; all_values:
// those of the whole weight.
void delta_exchange_rows(const struct weight_slot *slot, int64_t first, int64_t n,
                         void *all_values);

#endif

// What this machine gives in the minutes of a run, beside which `bench` tells speeds.
#include <string.h>

#include "kernels/types/types.h"
#include "protocol/base/machine.h"
#include "worker/commands/bench.h"
#include "worker/commands/limits.h"

bool bench_is_mostly_blocks(const struct setup *s) {
    int64_t n_blocks = 0, n = 0;
    for (int i = 0; i < s->names->n; i++) {
        int64_t n_values = weight_n(&s->names->weights[i]);
        n += n_values;
        n_blocks += dtype_is_block(s->dtypes[i]) ? n_values : 0;
    }
    return 2 * n_blocks > n;
}

void bench_look(struct bench_looks *l, const struct setup *s, const struct bench_flags *f) {
    if (strcmp(f->engine.device, "cpu") != 0) return;
    int n_threads = f->engine.n_threads ? f->engine.n_threads : machine_n_cores();
    l->read[l->n] = limits_read_bandwidth(n_threads);
    l->peak[l->n] = bench_is_mostly_blocks(s)             ? limits_peak_int8_flops(n_threads)
                    : strcmp(f->engine.math, "bf16") == 0 ? limits_peak_bf16_flops(n_threads)
                                                          : limits_peak_flops(n_threads);
    l->attention_peak[l->n++] = f->prefill ? limits_peak_flops(n_threads) : 0;
}

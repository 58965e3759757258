#include "kernels/cpu/peak.h"

#include "kernels/cpu/backend.h"
#include "protocol/base/clock.h"

enum { ROUNDS = 200000, CHUNKS_A_THREAD = 8 };

float peak_portable(int n) {
    float sums[PEAK_CHAINS][PEAK_LANES], total = 0;
    for (int i = 0; i < PEAK_CHAINS; i++)
        for (int j = 0; j < PEAK_LANES; j++) sums[i][j] = (float)(i + j);
    for (int r = 0; r < n; r++)
        for (int i = 0; i < PEAK_CHAINS; i++)
            for (int j = 0; j < PEAK_LANES; j++) sums[i][j] = sums[i][j] * 0.999f + 0.001f;
    for (int i = 0; i < PEAK_CHAINS; i++)
        for (int j = 0; j < PEAK_LANES; j++) total += sums[i][j];
    return total;
}

struct job {
    const struct isa *isa;
    volatile float sink;
};

static void run(void *arg, int chunk, int thread) {
    struct job *job = arg;
    (void)chunk, (void)thread;
    job->sink = job->isa->peak(ROUNDS);
}

double peak_flops(struct backend *b) {
    struct cpu *c = (struct cpu *)b;
    struct job job = {.isa = c->isa};
    int n_chunks = CHUNKS_A_THREAD * pool_n_threads(c->pool);
    double best = 0;
    for (int i = 0; i < 5; i++) {
        int64_t started = clock_us();
        pool_run(c->pool, n_chunks, false, run, &job);
        double seconds = (double)(clock_us() - started + 1) / 1e6;
        double flops = 2.0 * PEAK_CHAINS * PEAK_LANES * ROUNDS * n_chunks / seconds;
        if (flops > best) best = flops;
    }
    return best;
}

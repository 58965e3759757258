// The sample kernels (samples/), which use the wrappers together: rings of stages, a producer warp,
// programmatic launches one behind the other.
#include "tests/cudasim/samples/samples.h"
#include "tests/cudasim/wrappers/wrappers.h"

#include <math.h>

struct gemm {
    int m, n, k;
    std::vector<uint16_t> x, w;
    std::vector<double> want;
    gemm(context &c, int m, int n, int k)
        : m(m), n(n), k(k), x(c.random_bf16((size_t)m * k)), w(c.random_bf16((size_t)n * k)),
          want((size_t)m * n) {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
                for (int e = 0; e < k; e++)
                    want[i * n + j] += (double)float_of(x[i * k + e]) * float_of(w[j * k + e]);
    }
    void expect(context &c, const char *name, const uint16_t *out) const {
        std::vector<uint16_t> have(want.size());
        c.fetch(have.data(), out, 2 * have.size());
        std::vector<float> wide(want.size());
        double largest = 1;
        for (size_t i = 0; i < want.size(); i++) {
            wide[i] = float_of(have[i]);
            largest = fmax(largest, fabs(want[i]));
        }
        c.expect(name, c.device(wide), want, largest / 256); // bf16 rounds to 1 in 512
    }
};

CASE(pipeline_mma, NEEDS_80) {
    gemm g(c, 100, 128, 320);
    uint16_t *out = c.zeros<uint16_t>(g.want.size());
    float *squares = c.zeros<float>(g.m);
    c.check(gemm_mma_launch(c.device(g.x), c.device(g.w), out, squares, g.m, g.n, g.k, nullptr),
            "launch");
    g.expect(c, "out", out);
    std::vector<double> sums(g.m);
    double largest = 0;
    for (size_t i = 0; i < g.want.size(); i++) {
        sums[i / g.n] += g.want[i] * g.want[i];
        largest = fmax(largest, sums[i / g.n]);
    }
    c.expect("squares", squares, sums, 1e-5 * largest);
}

CASE(pipeline_wgmma, NEEDS_90A) {
    for (int tokens : {16, 64, 128}) {
        gemm g(c, tokens + 9, 256, 640);
        const void *x = c.device(g.x), *w = c.device(g.w);
        uint16_t *out[2] = {c.zeros<uint16_t>(g.want.size()), c.zeros<uint16_t>(g.want.size())};
        for (int i = 0; i < 2; i++)
            c.check(gemm_wgmma_launch(x, w, out[i], g.m, g.n, g.k, tokens, nullptr), "launch");
        for (int i = 0; i < 2; i++)
            g.expect(c, (std::to_string(tokens) + " tokens, launch " + std::to_string(i)).c_str(),
                     out[i]);
    }
}

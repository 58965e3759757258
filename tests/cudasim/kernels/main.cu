// kernel_check [--family mma|wgmma] [--op NAME] [--large] [--seed N]   the checks
// kernel_check --time --large [--family mma|wgmma] [--op NAME]         times at shapes of the 24B
//                                       (without --large: tiny ones, to see that it runs)
// kernel_check --small                  few shapes: for the race and memory builds of the emulator
// kernel_check --count                  on the emulator: what kernels read and how (count.cu)
#include <stdlib.h>

#include "tests/cudasim/kernels/check.h"

static const struct {
    const char *name;
    void (*run)(checker &);
} CHECKS[] = {
    {"products", check_products}, {"experts", check_experts},     {"conv", check_conv},
    {"qkv", check_qkv},           {"attention", check_attention}, {"router", check_router},
    {"head", check_head},         {"rows", check_rows},           {"weights", check_weights},
    {"deltas", check_deltas},
};

static int attribute(cudaDeviceAttr which) {
    int value = 0;
    cudaError_t status = cudaDeviceGetAttribute(&value, which, 0);
    if (status == cudaSuccess) return value;
    printf("no CUDA device: %s\n", cudaGetErrorString(status));
    exit(2);
}

static void run_family(checker &c, enum family family, const char *op) {
    c.queue.family = family;
    for (auto &check : CHECKS) {
        if (op && strcmp(op, check.name) != 0) continue;
        check.run(c);
        c.release();
    }
}

int main(int argc, char **argv) {
    checker c;
    bool is_timed = false, is_counted = false, with_mma = true, with_wgmma = true;
    const char *op = nullptr;
    for (int i = 1; i < argc; i++) {
        std::string a = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
        if (a == "--time") {
            is_timed = true;
        } else if (a == "--count") {
            is_counted = true;
        } else if (a == "--small") {
            c.is_small = true;
        } else if (a == "--large") {
            c.is_large = true;
        } else if (a == "--family") {
            with_mma = value == "mma", with_wgmma = value == "wgmma", i++;
        } else if (a == "--op") {
            op = argv[++i];
        } else if (a == "--seed") {
            c.random.state = strtoull(argv[++i], nullptr, 10);
        } else {
            printf("unknown option %s\n", argv[i]);
            return 2;
        }
    }
    cudaStream_t stream;
    int major = attribute(cudaDevAttrComputeCapabilityMajor);
    if (cudaStreamCreate(&stream) != cudaSuccess) return 2;
    c.queue.stream = stream;
    c.queue.n_sms = attribute(cudaDevAttrMultiProcessorCount);
    c.queue.max_shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    c.queue.is_programmatic = major >= 9;
    with_wgmma &= major == 9;
    for (enum family f : {FAMILY_MMA, FAMILY_WGMMA}) {
        if (!(f == FAMILY_MMA ? with_mma : with_wgmma)) continue;
        c.queue.family = f;
        if (is_timed)
            time_all(c, op);
        else if (is_counted)
            count_all(c, op);
        else
            run_family(c, f, op);
        c.is_first_family = false;
    }
    if (is_timed) return 0;
    printf("%d checks, %d failed\n", c.n_run, c.n_failed);
    return c.n_failed > 0;
}

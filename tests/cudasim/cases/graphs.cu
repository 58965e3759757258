// Graphs by stream capture: what is frozen, what is read at each launch, what capture refuses.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/cases/check.h"

enum { N = 64 };
// to[i] = from[i] * 3 + *by + value
__global__ void step(const uint32_t *from, uint32_t *to, const uint32_t *by, uint32_t value) {
    wait_for_prior_grid();
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    to[i] = from[i] * 3 + *by + value;
}
static cudaError_t launch_step(const uint32_t *from, uint32_t *to, const uint32_t *by,
                               uint32_t value, cudaStream_t stream, bool programmatic = false) {
    struct launch how;
    how.grid = dim3(2), how.block = dim3(32), how.stream = stream;
    how.programmatic = programmatic;
    return launch_kernel(how, step, from, to, by, value);
}

static cudaStream_t make_stream() {
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
}
static cudaGraphExec_t finish(cudaStream_t s, size_t n_nodes) {
    cudaGraph_t graph;
    cudaGraphExec_t instance;
    CHECK_CUDA(cudaStreamEndCapture(s, &graph));
    size_t n = 0;
    CHECK_CUDA(cudaGraphGetNodes(graph, nullptr, &n));
    CHECK(n == n_nodes);
    CHECK_CUDA(cudaGraphInstantiate(&instance, graph, 0));
    CHECK_CUDA(cudaGraphDestroy(graph));
    return instance;
}

// Arguments are those of the capture; what pointers point to is read at each launch.
static void test_frozen() {
    cudaStream_t s = make_stream();
    uint32_t *in = pinned_array<uint32_t>(N), *out = pinned_array<uint32_t>(N);
    uint32_t *a = device_array<uint32_t>(N), *by = device_copy(std::vector<uint32_t>{100});
    uint32_t value = 7;
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK_CUDA(cudaMemcpyAsync(a, in, N * 4, cudaMemcpyHostToDevice, s));
    CHECK_CUDA(launch_step(a, a, by, value, s));
    CHECK_CUDA(cudaMemcpyAsync(out, a, N * 4, cudaMemcpyDeviceToHost, s));
    cudaStreamCaptureStatus status;
    CHECK_CUDA(cudaStreamIsCapturing(s, &status));
    CHECK(status == cudaStreamCaptureStatusActive);
    cudaGraphExec_t graph = finish(s, 3);
    value = 8; // too late
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < N; i++) in[i] = i + round;
        std::vector<uint32_t> now = {round * 1000};
        CHECK_CUDA(cudaMemcpy(by, now.data(), 4, cudaMemcpyHostToDevice));
        CHECK_CUDA(cudaGraphLaunch(graph, s));
        CHECK_CUDA(cudaStreamSynchronize(s));
        for (uint32_t i = 0; i < N; i++) CHECK(out[i] == (i + round) * 3 + round * 1000 + 7);
    }
    CHECK_CUDA(cudaGraphExecDestroy(graph));
}

// A second stream joins the capture by events: two branches, then one again.
static void test_branches() {
    cudaStream_t s = make_stream(), other = make_stream();
    cudaEvent_t fork, join;
    CHECK_CUDA(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    CHECK_CUDA(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
    uint32_t *a = device_copy(std::vector<uint32_t>(N, 1)), *b = device_array<uint32_t>(N);
    uint32_t *c = device_array<uint32_t>(N), *by = device_copy(std::vector<uint32_t>{0});
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
    CHECK_CUDA(launch_step(a, a, by, 1, s));
    CHECK_CUDA(cudaEventRecord(fork, s));
    CHECK_CUDA(cudaStreamWaitEvent(other, fork, 0));
    CHECK_CUDA(launch_step(a, b, by, 2, s));
    CHECK_CUDA(launch_step(a, c, by, 3, other));
    CHECK_CUDA(cudaEventRecord(join, other));
    CHECK_CUDA(cudaStreamWaitEvent(s, join, 0));
    CHECK_CUDA(launch_step(b, a, c, 0, s)); // reads both
    cudaGraphExec_t graph = finish(s, 4);
    uint32_t want = 1;
    for (int round = 0; round < 3; round++) {
        CHECK_CUDA(cudaGraphLaunch(graph, s));
        uint32_t first = want * 3 + 1;
        want = (first * 3 + 2) * 3 + (first * 3 + 3);
    }
    CHECK_CUDA(cudaStreamSynchronize(s));
    for (uint32_t w : fetch(a, N)) CHECK(w == want);
}

// Kernels of a graph that may overlap.
static void test_programmatic() {
    int major;
    CHECK_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    if (major < 9) return;
    cudaStream_t s = make_stream();
    uint32_t *a = device_copy(std::vector<uint32_t>(N, 1)), *b = device_array<uint32_t>(N);
    uint32_t *by = device_copy(std::vector<uint32_t>{0}), want = 1;
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    for (uint32_t i = 0; i < 6; i++)
        CHECK_CUDA(launch_step(i % 2 ? b : a, i % 2 ? a : b, by, i, s, true));
    cudaGraphExec_t graph = finish(s, 6);
    for (int round = 0; round < 2; round++) {
        CHECK_CUDA(cudaGraphLaunch(graph, s));
        for (uint32_t i = 0; i < 6; i++) want = want * 3 + i;
    }
    CHECK_CUDA(cudaStreamSynchronize(s));
    for (uint32_t w : fetch(a, N)) CHECK(w == want);
}

static void test_refusals() {
    cudaStream_t s = make_stream(), other = make_stream(), blocking;
    CHECK_CUDA(cudaStreamCreate(&blocking));
    cudaGraph_t graph;
    uint32_t *a = device_copy(std::vector<uint32_t>(N, 1));
    uint32_t *by = device_copy(std::vector<uint32_t>{0});
    void *p;
    CHECK_FAILS(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
                cudaErrorStreamCaptureUnsupported);
    // Calls that wait or allocate break the capture.
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK_FAILS(cudaMalloc(&p, 4), cudaErrorStreamCaptureUnsupported);
    CHECK_FAILS(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK_FAILS(cudaStreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
    CHECK_FAILS(launch_step(a, a, by, 0, s), cudaErrorStreamCaptureInvalidated);
    CHECK_FAILS(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    // In relaxed mode they are the caller's business.
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed));
    CHECK_CUDA(cudaMalloc(&p, 4));
    CHECK_CUDA(cudaStreamEndCapture(s, &graph));
    // The legacy default stream would have to wait for a blocking stream that is captured.
    CHECK_CUDA(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed));
    CHECK_FAILS(launch_step(a, a, by, 0, nullptr), cudaErrorStreamCaptureImplicit);
    CHECK_FAILS(cudaStreamEndCapture(blocking, &graph), cudaErrorStreamCaptureInvalidated);
    // A branch that is not joined again.
    cudaEvent_t fork;
    CHECK_CUDA(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK_CUDA(launch_step(a, a, by, 0, s));
    CHECK_CUDA(cudaEventRecord(fork, s));
    CHECK_CUDA(cudaStreamWaitEvent(other, fork, 0));
    CHECK_CUDA(launch_step(a, a, by, 0, other));
    CHECK_FAILS(cudaEventQuery(fork), cudaErrorStreamCaptureUnsupported);
    CHECK_FAILS(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureUnjoined);
    // An event of outside.
    CHECK_CUDA(cudaEventRecord(fork, other));
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK_FAILS(cudaStreamWaitEvent(s, fork, 0), cudaErrorStreamCaptureIsolation);
    CHECK_FAILS(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK_CUDA(launch_step(a, a, by, 0, s)); // the stream is as before
    CHECK_CUDA(cudaStreamSynchronize(s));
}

int main() {
    test_frozen();
    test_branches();
    test_programmatic();
    test_refusals();
    printf("ok\n");
    return 0;
}

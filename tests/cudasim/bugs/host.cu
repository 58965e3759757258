// Errors of host code: streams, events, copies, graphs, launches that overlap.
#include "tests/cudasim/bugs/bug.h"
#include "tests/cudasim/cudasim.h"

enum bug {
    CORRECT, DEREFERENCE, READ_BACK, REUSED_EARLY, PAGEABLE, WRONG_EVENT, NO_EVENT, DEFAULT_STREAM,
    STALE_ARGUMENT, FREED_IN_GRAPH, USE_AFTER_FREE, ALLOCATES_IN_CAPTURE, OVERLAP, HOST_POINTER,
    SHORT_COPY
};
enum { N = 256 };

__global__ void scale(const uint32_t *in, uint32_t *out, uint32_t by) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = in[i] * by + 1;
}
__global__ void scale_next(const uint32_t *in, uint32_t *out, uint32_t by, bool waits) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (waits) wait_for_prior_grid();
    out[i] = in[(i + 64) % N] * by + 1;
    launch_dependents();
}

static cudaStream_t make_stream() {
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
}
static void launch_scale(const uint32_t *in, uint32_t *out, uint32_t by, cudaStream_t s) {
    struct launch how;
    how.grid = dim3(N / 64), how.block = dim3(64), how.stream = s;
    CHECK_CUDA(launch_kernel(how, scale, in, out, by));
}

// In to the device, a kernel, and back.
static void round_trip(int bug) {
    cudaStream_t s = make_stream();
    std::vector<uint32_t> pageable(N);
    uint32_t *in = bug == PAGEABLE ? pageable.data() : pinned_array<uint32_t>(N);
    uint32_t *back = pinned_array<uint32_t>(N);
    uint32_t *x = device_array<uint32_t>(N), *y = device_array<uint32_t>(N);
    for (uint32_t i = 0; i < N; i++) in[i] = i;
    size_t bytes = bug == SHORT_COPY ? N * 2 : N * 4;
    CHECK_CUDA(cudaMemcpyAsync(x, in, bytes, cudaMemcpyHostToDevice, s));
    if (bug == REUSED_EARLY)
        for (uint32_t i = 0; i < N; i++) in[i] = 0;
    launch_scale(bug == HOST_POINTER ? in : x, y, 3, s);
    CHECK_CUDA(cudaMemcpyAsync(back, y, N * 4, cudaMemcpyDeviceToHost, s));
    if (bug != READ_BACK) CHECK_CUDA(cudaStreamSynchronize(s));
    for (uint32_t i = 0; i < N; i++) EXPECT(back[i] == i * 3 + 1);
    if (bug == DEREFERENCE) EXPECT(y[0] == 1);
    struct cudasim_host_counts counts;
    cudasim_host_counts(&counts);
    EXPECT(counts.pageable_copies == 0);
}

// Two streams: the second goes on with what the first made.
static void two_streams(int bug) {
    cudaStream_t a = make_stream(), b = make_stream();
    cudaEvent_t made;
    CHECK_CUDA(cudaEventCreateWithFlags(&made, cudaEventDisableTiming));
    uint32_t *x = device_array<uint32_t>(N), *y = device_array<uint32_t>(N);
    if (bug == DEFAULT_STREAM)
        CHECK_CUDA(cudaMemset(x, 0, N * 4)); // stream a does not wait for the default stream
    else
        CHECK_CUDA(cudaMemsetAsync(x, 0, N * 4, a));
    launch_scale(x, x, 2, a);
    CHECK_CUDA(cudaEventRecord(made, bug == WRONG_EVENT ? b : a));
    if (bug != NO_EVENT) CHECK_CUDA(cudaStreamWaitEvent(b, made, 0));
    launch_scale(x, y, 5, b);
    CHECK_CUDA(cudaStreamSynchronize(b));
    for (uint32_t v : fetch(y, N)) EXPECT(v == 6);
    CHECK_CUDA(cudaStreamSynchronize(a));
}

// A graph that is launched for each of three steps; the factor of a step lies in pinned memory.
static void graph_steps(int bug) {
    cudaStream_t s = make_stream();
    uint32_t *in = pinned_array<uint32_t>(N), *back = pinned_array<uint32_t>(N), factor = 1;
    uint32_t *x = device_array<uint32_t>(N), *y = device_array<uint32_t>(N), *extra = nullptr;
    if (bug == FREED_IN_GRAPH) y = device_array<uint32_t>(N);
    CHECK_CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    if (bug == ALLOCATES_IN_CAPTURE) CHECK_CUDA(cudaMalloc(&extra, 4));
    CHECK_CUDA(cudaMemcpyAsync(x, in, N * 4, cudaMemcpyHostToDevice, s));
    launch_scale(x, y, factor, s);
    CHECK_CUDA(cudaMemcpyAsync(back, y, N * 4, cudaMemcpyDeviceToHost, s));
    cudaGraph_t graph;
    cudaGraphExec_t steps;
    CHECK_CUDA(cudaStreamEndCapture(s, &graph));
    CHECK_CUDA(cudaGraphInstantiate(&steps, graph, 0));
    if (bug == FREED_IN_GRAPH) {
        CHECK_CUDA(cudaFree(y));
        y = device_array<uint32_t>(N);
    }
    for (uint32_t step = 1; step <= 3; step++) {
        uint32_t wanted = bug == STALE_ARGUMENT ? (factor = step) : 1;
        for (uint32_t i = 0; i < N; i++) in[i] = i + step;
        CHECK_CUDA(cudaGraphLaunch(steps, s));
        CHECK_CUDA(cudaStreamSynchronize(s));
        for (uint32_t i = 0; i < N; i++) EXPECT(back[i] == (i + step) * wanted + 1);
    }
}

// Two kernels of which the second may start early.
static void overlap(int bug) {
    cudaStream_t s = make_stream();
    std::vector<uint32_t> in(N, 1);
    uint32_t *x = device_copy(in), *y = device_array<uint32_t>(N), *z = device_array<uint32_t>(N);
    struct launch how;
    how.grid = dim3(N / 64), how.block = dim3(64), how.stream = s, how.programmatic = true;
    CHECK_CUDA(launch_kernel(how, scale_next, x, y, 2u, true));
    CHECK_CUDA(launch_kernel(how, scale_next, y, z, 3u, bug != OVERLAP));
    CHECK_CUDA(cudaStreamSynchronize(s));
    for (uint32_t v : fetch(z, N)) EXPECT(v == 10);
}

int main(int argc, char **argv) {
    int bug = bug_number(argc, argv,
                         {"correct", "dereference", "read_back", "reused_early", "pageable",
                          "wrong_event", "no_event", "default_stream", "stale_argument",
                          "freed_in_graph", "use_after_free", "allocates_in_capture", "overlap",
                          "host_pointer", "short_copy"});
    round_trip(bug);
    two_streams(bug);
    graph_steps(bug);
    overlap(bug);
    uint32_t *x = device_array<uint32_t>(N);
    CHECK_CUDA(cudaMemset(x, 0, N * 4));
    CHECK_CUDA(cudaFree(x));
    if (bug == USE_AFTER_FREE) launch_scale(x, x, 1, nullptr);
    CHECK_CUDA(cudaDeviceSynchronize());
    return 0;
}

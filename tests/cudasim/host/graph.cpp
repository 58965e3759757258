// Graphs by stream capture: kernels, their arguments and copies are frozen as they were captured.
#include <set>
#include <thread>

#include "tests/cudasim/host/runtime.h"

using namespace cudasim;

static std::set<GraphExec *> instances;
static std::set<std::shared_ptr<Graph> *> graphs; // a cudaGraph_t points to one

#define STREAM(s, handle)                                                                          \
    Stream *s = stream_of(handle);                                                                 \
    if (!s) return result(cudaErrorInvalidResourceHandle, "a stream that does not exist")

// Whether node a is among those that `ends` depend on, or one of them.
static bool reaches(const Graph &g, const std::vector<int> &ends, int a) {
    std::vector<int> stack = ends;
    std::set<int> seen;
    while (!stack.empty()) {
        int n = stack.back();
        stack.pop_back();
        if (n == a) return true;
        if (!seen.insert(n).second) continue;
        for (int m : g.nodes[(size_t)n].after) stack.push_back(m);
    }
    return false;
}

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    CALL(cudaStreamBeginCapture);
    STREAM(s, stream);
    if (s->number == 0)
        return result(cudaErrorStreamCaptureUnsupported, "the legacy default stream is captured");
    if (s->capture) return result(cudaErrorIllegalState, "a stream is captured twice");
    s->capture.reset(new Capture());
    s->capture->graph = std::make_shared<Graph>();
    s->capture->graph->streams.push_back(s);
    s->capture->origin = true;
    s->capture->mode = mode;
    s->capture->thread = std::this_thread::get_id();
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    CALL(cudaStreamIsCapturing);
    STREAM(s, stream);
    *status = !s->capture                  ? cudaStreamCaptureStatusNone
              : s->capture->graph->invalid ? cudaStreamCaptureStatusInvalidated
                                           : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    CALL(cudaStreamEndCapture);
    STREAM(s, stream);
    if (graph) *graph = nullptr;
    if (!s->capture) return result(cudaErrorIllegalState, "cudaStreamEndCapture without a capture");
    if (!s->capture->origin)
        return result(cudaErrorStreamCaptureUnmatched,
                      "the capture is ended in a stream that only joined it");
    std::shared_ptr<Graph> g = s->capture->graph;
    cudaError_t status = g->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    for (Stream *other : g->streams)
        if (other != s && other->capture)
            for (int n : other->capture->ends)
                if (status == cudaSuccess && !reaches(*g, s->capture->ends, n))
                    status = cudaErrorStreamCaptureUnjoined;
    for (Stream *other : g->streams) other->capture.reset();
    g->streams.clear();
    g->open = false;
    if (status != cudaSuccess)
        return result(status, "the capture failed: %s", cudaGetErrorString(status));
    auto *handle = new std::shared_ptr<Graph>(g);
    graphs.insert(handle);
    *graph = (cudaGraph_t)handle;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *instance, cudaGraph_t graph,
                                 unsigned long long flags) {
    CALL(cudaGraphInstantiate);
    auto *handle = (std::shared_ptr<Graph> *)graph;
    if (!instance || !graphs.count(handle)) return result(cudaErrorInvalidValue);
    if (flags & ~(unsigned long long)(cudaGraphInstantiateFlagAutoFreeOnLaunch |
                                      cudaGraphInstantiateFlagUpload |
                                      cudaGraphInstantiateFlagUseNodePriority))
        return result(cudaErrorNotSupported, "cudaGraphInstantiate with flags %#llx", flags);
    GraphExec *e = new GraphExec();
    e->graph = std::make_shared<Graph>(**handle);
    instances.insert(e);
    *instance = (cudaGraphExec_t)e;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t instance, cudaStream_t stream) {
    CALL(cudaGraphLaunch);
    STREAM(s, stream);
    GraphExec *e = (GraphExec *)instance;
    if (!instances.count(e)) return result(cudaErrorInvalidValue, "a graph that does not exist");
    if (s->capture) {
        s->capture->graph->invalid = true;
        return result(cudaErrorStreamCaptureUnsupported, "a graph is launched inside of a capture");
    }
    host_counts.graph_launches++;
    std::shared_ptr<const Graph> g = e->graph;
    std::vector<OperationPtr> after;
    if (e->last && !e->last->done) after.push_back(e->last);
    cudaError_t status = enqueue(s, {"graph", [g] { run_nodes(g->nodes); }}, after);
    e->last = s->last;
    return result(status);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t instance, cudaStream_t stream) {
    CALL(cudaGraphUpload);
    STREAM(s, stream);
    (void)s;
    return instances.count((GraphExec *)instance) ? cudaSuccess : result(cudaErrorInvalidValue);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *n_nodes) {
    CALL(cudaGraphGetNodes);
    auto *handle = (std::shared_ptr<Graph> *)graph;
    if (!graphs.count(handle)) return result(cudaErrorInvalidValue);
    if (nodes) return result(cudaErrorNotSupported, "cudaGraphGetNodes only counts nodes");
    *n_nodes = (*handle)->nodes.size();
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    CALL(cudaGraphDestroy);
    auto *handle = (std::shared_ptr<Graph> *)graph;
    if (!graphs.erase(handle)) return result(cudaErrorInvalidValue);
    delete handle;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t instance) {
    CALL(cudaGraphExecDestroy);
    GraphExec *e = (GraphExec *)instance;
    if (!instances.erase(e)) return result(cudaErrorInvalidValue);
    delete e;
    return cudaSuccess;
}

} // extern "C"

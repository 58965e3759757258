#include "kernels/cuda/graph.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

const struct graph *graph_find(const struct graphs *g, const struct step_bounds *bounds) {
    for (int i = 0; i < g->n; i++)
        if (memcmp(&g->items[i].bounds, bounds, sizeof *bounds) == 0) return &g->items[i];
    return NULL;
}

// Relaxed: a kernel's first launch may load its code, which other modes forbid.
int graph_begin(cudaStream_t stream) {
    return cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
}

int graph_end(struct graphs *g, cudaStream_t stream, const struct step_bounds *bounds) {
    cudaGraph_t recorded = NULL;
    struct graph graph = {.bounds = *bounds};
    cudaError_t status = cudaStreamEndCapture(stream, &recorded);
    if (status) return status;
    status = cudaGraphInstantiate(&graph.exec, recorded, 0);
    cudaGraphDestroy(recorded);
    if (status) return status;
    g->items = memory_resize(g->items, (size_t)g->n + 1, sizeof *g->items);
    g->items[g->n++] = graph;
    return cudaSuccess;
}

void graphs_clear(struct graphs *g) {
    for (int i = 0; i < g->n; i++) cudaGraphExecDestroy(g->items[i].exec);
    free(g->items);
    *g = (struct graphs){0};
}

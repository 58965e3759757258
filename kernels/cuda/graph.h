// Launches of a step that were recorded and are replayed: one graph for each set of bounds.
#ifndef KERNELS_CUDA_GRAPH_H
#define KERNELS_CUDA_GRAPH_H

#include <cuda_runtime_api.h>

// What a step's launches are made for: bounds of what its description holds.
struct step_bounds {
    int tokens, rows; // powers of 2; rows may be 0
    int token_tile, conv_tile, expert_tile, row_tile;
};

struct graph {
    struct step_bounds bounds;
    cudaGraphExec_t exec;
};
struct graphs {
    struct graph *items; // (n)
    int n;
};

// NULL: none was recorded for these bounds.
const struct graph *graph_find(const struct graphs *g, const struct step_bounds *bounds);

// What the stream is asked to do goes into a graph until graph_end(), which adds it. Both return a
// cudaError_t.
int graph_begin(cudaStream_t stream);
int graph_end(struct graphs *g, cudaStream_t stream, const struct step_bounds *bounds);
void graphs_clear(struct graphs *g);

#endif

// Added tokens: whole strings that are found in a text before it is cut and merged.
#ifndef WORKER_LOAD_ADDED_H
#define WORKER_LOAD_ADDED_H

#include <stdint.h>

#include "protocol/base/slice.h"

struct added_node {
    uint8_t byte;
    int32_t id;             // the token that ends here, or -1
    int32_t child, sibling; // nodes, or 0 (the root is nobody's child)
};

// A trie of bytes. Zero-initialised is empty.
struct added {
    struct added_node *nodes; // (n_nodes), node 0 is the root
    int32_t n_nodes, capacity;
    int32_t by_first[256]; // the root's children by byte, or 0
};

// `text` is not empty and no token of the trie yet.
void added_put(struct added *a, struct slice text, int32_t id);
void added_free(struct added *a);

// The first place at or behind `from` where a token starts, and of those that start there the
// longest. Returns the place, or text.len when there is none; stores id and length.
size_t added_find(const struct added *a, struct slice text, size_t from, int32_t *id, size_t *len);

#endif

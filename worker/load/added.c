#include "worker/load/added.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

static int32_t new_node(struct added *a, uint8_t byte) {
    if (a->n_nodes == a->capacity) {
        a->capacity = a->capacity ? 2 * a->capacity : 256;
        a->nodes = memory_resize(a->nodes, (size_t)a->capacity, sizeof *a->nodes);
    }
    a->nodes[a->n_nodes] = (struct added_node){.byte = byte, .id = -1};
    return a->n_nodes++;
}

static int32_t child_of(const struct added *a, int32_t node, uint8_t byte) {
    if (node == 0) return a->by_first[byte];
    int32_t c = a->nodes[node].child;
    while (c > 0 && a->nodes[c].byte != byte) c = a->nodes[c].sibling;
    return c;
}

void added_put(struct added *a, struct slice text, int32_t id) {
    assert(text.len > 0);
    if (a->n_nodes == 0) new_node(a, 0);
    int32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        int32_t child = child_of(a, node, byte);
        if (child == 0) {
            child = new_node(a, byte);
            if (node == 0) {
                a->by_first[byte] = child;
            } else {
                a->nodes[child].sibling = a->nodes[node].child;
                a->nodes[node].child = child;
            }
        }
        node = child;
    }
    assert(a->nodes[node].id < 0);
    a->nodes[node].id = id;
}

void added_free(struct added *a) {
    free(a->nodes);
    *a = (struct added){0};
}

size_t added_find(const struct added *a, struct slice text, size_t from, int32_t *id, size_t *len) {
    for (size_t start = from; start < text.len; start++) {
        int32_t node = a->by_first[(uint8_t)text.ptr[start]];
        *id = -1;
        for (size_t at = start + 1; node > 0; at++) {
            if (a->nodes[node].id >= 0) *id = a->nodes[node].id, *len = at - start;
            if (at == text.len) break;
            node = child_of(a, node, (uint8_t)text.ptr[at]);
        }
        if (*id >= 0) return start;
    }
    return text.len;
}

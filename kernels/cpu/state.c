#include "kernels/cpu/backend.h"

#include <assert.h>
#include <string.h>

static char *page(struct backend *b, int i) {
    struct cpu *c = (struct cpu *)b;
    assert(i >= 0 && i < c->n_pages);
    return c->pages.data + (size_t)i * c->page_bytes;
}

static char *conv(struct backend *b, int i) {
    struct cpu *c = (struct cpu *)b;
    assert(i >= 0 && i < c->n_conv_slots);
    return c->convs.data + (size_t)i * c->conv_bytes;
}

void cpu_page_copy(struct backend *b, int from, int to) {
    memmove(page(b, to), page(b, from), ((struct cpu *)b)->page_bytes);
}

void cpu_page_out(struct backend *b, int i, void *host) {
    memcpy(host, page(b, i), ((struct cpu *)b)->page_bytes);
}

void cpu_page_in(struct backend *b, int i, const void *host) {
    memcpy(page(b, i), host, ((struct cpu *)b)->page_bytes);
}

void cpu_conv_clear(struct backend *b, int slot) {
    memset(conv(b, slot), 0, ((struct cpu *)b)->conv_bytes);
}

void cpu_conv_copy(struct backend *b, int from, int to) {
    memmove(conv(b, to), conv(b, from), ((struct cpu *)b)->conv_bytes);
}

void cpu_conv_out(struct backend *b, int slot, void *host) {
    memcpy(host, conv(b, slot), ((struct cpu *)b)->conv_bytes);
}

void cpu_conv_in(struct backend *b, int slot, const void *host) {
    memcpy(conv(b, slot), host, ((struct cpu *)b)->conv_bytes);
}

#include "protocol/base/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first block is small, as most arenas are; the next ones are four times the last one's size.
enum { FIRST_BLOCK_BYTES = 4 * 1024, MAX_BLOCK_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

static size_t total(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX) {
        fprintf(stderr, "stampede: %zu elements of %zu bytes exceed the address space.\n", n, size);
        abort();
    }
    return bytes;
}

static void *checked(void *p, size_t bytes) {
    if (!p) {
        fprintf(stderr, "stampede: out of memory for %zu bytes.\n", bytes);
        abort();
    }
    return p;
}

void *memory_new(size_t n, size_t size) {
    size_t bytes = total(n, size);
    return checked(calloc(bytes ? bytes : 1, 1), bytes);
}

void *memory_take(size_t n, size_t size) {
    size_t bytes = total(n, size);
    return checked(malloc(bytes ? bytes : 1), bytes);
}

void *memory_resize(void *old, size_t n, size_t size) {
    size_t bytes = total(n, size);
    return checked(realloc(old, bytes ? bytes : 1), bytes);
}

char *memory_copy(const void *bytes, size_t len) {
    char *copy = memory_new(len + 1, 1);
    if (len) memcpy(copy, bytes, len);
    return copy;
}

void *arena_take(struct arena *arena, size_t n, size_t size) {
    size_t bytes = (total(n, size) + 15) & ~(size_t)15;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < bytes) {
        size_t room = block ? 4 * block->size : FIRST_BLOCK_BYTES;
        if (room > MAX_BLOCK_BYTES) room = MAX_BLOCK_BYTES;
        if (room < bytes) room = bytes;
        struct arena_block *fresh = memory_new(1, sizeof *fresh + room);
        fresh->size = room;
        fresh->next = block;
        arena->blocks = block = fresh;
    }
    void *p = block->bytes + block->used;
    block->used += bytes;
    assert(block->used <= block->size);
    arena->n_bytes += bytes;
    return p;
}

// A block of its own, with no room behind it: what later objects get is zeroed.
void *arena_take_unset(struct arena *arena, size_t n, size_t size) {
    const size_t bytes = (total(n, size) + 15) & ~(size_t)15;
    if (bytes < MAX_BLOCK_BYTES) return arena_take(arena, n, size);
    struct arena_block *fresh = memory_take(1, sizeof *fresh + bytes);
    struct arena_block **place = arena->blocks ? &arena->blocks->next : &arena->blocks;
    *fresh = (struct arena_block){.next = *place, .used = bytes, .size = bytes};
    *place = fresh;
    arena->n_bytes += bytes;
    return fresh->bytes;
}

char *arena_copy(struct arena *arena, const void *bytes, size_t len) {
    char *copy = arena_take(arena, len + 1, 1);
    if (len) memcpy(copy, bytes, len);
    return copy;
}

void arena_clear(struct arena *arena) {
    for (struct arena_block *block = arena->blocks; block;) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena) {
    struct arena_block *kept = NULL;
    for (struct arena_block *block = arena->blocks; block;) {
        struct arena_block *next = block->next;
        if (!kept || block->size > kept->size) {
            free(kept);
            kept = block;
        } else {
            free(block);
        }
        block = next;
    }
    *arena = (struct arena){.blocks = kept};
    if (!kept) return;
    kept->next = NULL;
    if (kept->size > MAX_BLOCK_BYTES) { // one large value is not worth its memory for ever
        arena_clear(arena);
        return;
    }
    memset(kept->bytes, 0, kept->used);
    kept->used = 0;
}

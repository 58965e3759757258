// Allocation that cannot return NULL, and an arena.
//
// What a peer or a file can make large goes through a bound first; what is left are sizes that
// the memory plan has printed. Failing those is not recoverable, so these abort with a sentence.
#ifndef PROTOCOL_BASE_MEMORY_H
#define PROTOCOL_BASE_MEMORY_H

#include <stddef.h>

// Zeroed memory for `n` elements of `size` bytes; n * size may be 0. Freed with free().
void *memory_new(size_t n, size_t size);

// The same without zeroing it, for what is filled at once or may never be touched.
void *memory_take(size_t n, size_t size);

// realloc() that cannot fail; new bytes are not zeroed.
void *memory_resize(void *old, size_t n, size_t size);

// A copy of `len` bytes with a terminating 0 behind them. Freed with free().
char *memory_copy(const void *bytes, size_t len);

// Many small objects with one lifetime. Zero-initialised is empty.
struct arena {
    struct arena_block *blocks;
    size_t n_bytes; // handed out so far
};

// Zeroed, 16-byte aligned memory, valid until arena_clear.
void *arena_take(struct arena *arena, size_t n, size_t size);
// The same without zeroing what is large, for what is filled before it is read, or in part only.
void *arena_take_unset(struct arena *arena, size_t n, size_t size);
char *arena_copy(struct arena *arena, const void *bytes, size_t len); // 0-terminated copy
void arena_clear(struct arena *arena);                                // frees everything

// Empties the arena and keeps its largest block, for loops that fill it again and again.
void arena_reset(struct arena *arena);

#endif

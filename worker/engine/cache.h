// Who holds which KV page and which conv slot. Integers only: the bytes live in the backend, and
// every change that moves bytes is written down as an operation for the backend to execute.
//
// A KV page stands for `page_tokens` positions in all attention layers at once. A conv slot holds
// the state of all convolution layers of one sequence. A sequence is a list of pages, the number
// of positions computed in them, and one conv slot; a prompt being prefilled (prefix) and a row
// are sequences.
//
// Sharing: a fork holds the full pages of its prefix by reference count and gets a copy of the
// partial last page at once, because its first step writes there. So a page that two sequences
// hold is full and never written again, and a page that can be written has one holder.
//
// Suspension: a sequence is awake (its pages are on the device) or parked. A page of which no
// holder is awake is cold: it may be moved to the arena in host memory, one page at a time, when
// somebody else needs the room, and is brought back when a holder wakes. A page stays shared
// wherever it lies. The conv state goes to the arena with the first page, if a slot is free there.
//
// Every page carries the weights version that was current when it was taken.
//
// Every call costs what it moves or hands out, and none searches: sequences that share pages are a
// ring, so that a page that moves finds its holders.
#ifndef WORKER_ENGINE_CACHE_H
#define WORKER_ENGINE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cache_op_kind {
    CACHE_PAGE_COPY,    // device page `from` -> device page `to`
    CACHE_PAGE_SUSPEND, // device page `from` -> arena page `to`
    CACHE_PAGE_RESUME,  // arena page `from` -> device page `to`
    CACHE_CONV_COPY,    // conv slot `from` -> conv slot `to`
    CACHE_CONV_SUSPEND, // conv slot `from` -> arena slot `to`
    CACHE_CONV_RESUME,  // arena slot `from` -> conv slot `to`
};

// One movement of bytes. Operations are executed in the order in which they were emitted, all of
// them before the step: a later one may overwrite what an earlier one has read.
struct cache_op {
    enum cache_op_kind kind;
    int32_t from, to;
};

struct cache_options {
    int32_t page_tokens;  // positions in a page, >= 1
    int32_t n_pages;      // device pages, >= 1
    int32_t n_conv_slots; // device conv slots, >= 1; also the largest number of sequences
    int32_t arena_pages;  // pages of the host arena, >= 0
    int32_t arena_slots;  // conv slots of the host arena, >= 0
    int32_t max_tokens;   // positions that one sequence can have, >= 1
};

struct cache;

// All memory is taken here, but for the list of operations, which grows to the largest step.
struct cache *cache_open(const struct cache_options *options);
void cache_free(struct cache **cache);

// The operations emitted since the last cache_clear_ops. Valid until the next call that emits.
const struct cache_op *cache_ops(const struct cache *cache, size_t *n_ops);
void cache_clear_ops(struct cache *cache);

// Opens an awake sequence without pages; its conv slot may hold anything. Returns its id, 0 to
// n_conv_slots - 1. The caller sees to it that fewer than n_conv_slots sequences are open.
int32_t cache_new_seq(struct cache *cache, uint64_t version);

// Opens an awake sequence that continues the awake sequence `prefix`: shares its full pages,
// copies its partial page (which takes one free page: the caller has checked) and its conv state.
int32_t cache_fork_seq(struct cache *cache, int32_t prefix);

// Gives back everything that the sequence holds.
void cache_close_seq(struct cache *cache, int32_t seq);

// Makes `seq` an awake sequence without pages again, under another weights version.
void cache_reset_seq(struct cache *cache, int32_t seq, uint64_t version);

// Takes `n` free device pages for an awake sequence, tagged with `version`. There must be as many.
void cache_take_pages(struct cache *cache, int32_t seq, int32_t n, uint64_t version);

// Says that `n` more positions of an awake sequence have been computed, in pages that it holds.
void cache_advance_seq(struct cache *cache, int32_t seq, int32_t n);

// Gives back the pages of an awake sequence in which no position has been computed.
void cache_trim_seq(struct cache *cache, int32_t seq);

// Parks an awake sequence; its pages stay where they are until cache_suspend_page moves them.
void cache_park_seq(struct cache *cache, int32_t seq);

// Moves one cold page of a parked sequence to the arena, which must have a free page. Returns
// false where the sequence has no cold page on the device.
bool cache_suspend_page(struct cache *cache, int32_t seq);

// Marks a parked sequence awake, so that its pages on the device stay there, and brings back its
// conv state. Its pages in the arena must then be brought back one by one, before its next step,
// with cache_resume_page, each of which takes one free device page.
void cache_wake_seq(struct cache *cache, int32_t seq);
void cache_resume_page(struct cache *cache, int32_t seq);

// What is known of a sequence. `pages[i]` holds positions i * page_tokens and up: a device page
// id, or ~(arena page) where it is negative. `conv_slot` likewise. The array is valid, at the same
// address, while the sequence is open.
struct cache_seq {
    const int32_t *pages; // (n_pages)
    int32_t n_pages;
    int32_t n_tokens;  // positions computed
    int32_t n_away;    // how many of the pages lie in the arena
    int32_t conv_slot; // ~(arena slot) where negative
    bool awake;
    uint64_t version; // of the weights when the sequence (or its prefix) was started
};
struct cache_seq cache_seq(const struct cache *cache, int32_t seq);

int32_t cache_pages_for(const struct cache *cache, int32_t n_tokens); // rounded up
int32_t cache_n_free_pages(const struct cache *cache);
int32_t cache_n_free_arena_pages(const struct cache *cache);
uint64_t cache_page_version(const struct cache *cache, int32_t page);
int32_t cache_page_holders(const struct cache *cache, int32_t page); // 0: free

// For tests: NULL where every count, list and free list agrees with every other, else a sentence
// that names the first thing that does not. Walks everything.
const char *cache_check(const struct cache *cache);

#endif

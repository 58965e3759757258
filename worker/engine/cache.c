#include "worker/engine/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

// Ids that nobody holds. The one given back last is taken first.
struct pool {
    int32_t *ids; // (size) the first n are free
    int32_t n, size;
};

struct seq {
    int32_t *pages; // (max_pages) a device page, or ~(arena page)
    int32_t n_pages, n_tokens, n_away;
    int32_t n_here;     // parked: no page from here on was cold; awake: all pages before are here
    int32_t conv_slot;  // ~(arena slot) where negative
    int32_t next, prev; // the ring of those that may share pages: a prefix and its forks
    bool open, awake;
    uint64_t version;
};

// A page has `holders` sequences, of which `awake` are. Off the device nobody is awake, so for
// arena pages that count is 0, except between cache_wake_seq and cache_resume_page.
struct page {
    int32_t holders, awake;
    uint64_t version;
};

struct cache {
    struct cache_options options;
    int32_t max_pages;  // of one sequence
    struct page *pages; // (n_pages)
    struct page *arena; // (arena_pages)
    struct seq *seqs;   // (n_conv_slots)
    struct pool free_pages, free_arena, free_slots, free_arena_slots, free_seqs;
    struct cache_op *ops; // (ops_room)
    size_t n_ops, ops_room;
};

static struct pool new_pool(int32_t size) {
    struct pool pool = {memory_new((size_t)size, sizeof(int32_t)), size, size};
    for (int32_t i = 0; i < size; i++) pool.ids[i] = size - 1 - i;
    return pool;
}

static int32_t take(struct pool *pool) {
    assert(pool->n > 0);
    return pool->ids[--pool->n];
}

static void give(struct pool *pool, int32_t id) {
    assert(pool->n < pool->size);
    pool->ids[pool->n++] = id;
}

struct cache *cache_open(const struct cache_options *options) {
    const struct cache_options *o = options;
    assert(o->page_tokens >= 1 && o->n_pages >= 1 && o->n_conv_slots >= 1);
    assert(o->arena_pages >= 0 && o->arena_slots >= 0 && o->max_tokens >= 1);
    struct cache *cache = memory_new(1, sizeof *cache);
    cache->options = *o;
    cache->max_pages = cache_pages_for(cache, o->max_tokens);
    cache->pages = memory_new((size_t)o->n_pages, sizeof *cache->pages);
    cache->arena = memory_new((size_t)o->arena_pages, sizeof *cache->arena);
    cache->seqs = memory_new((size_t)o->n_conv_slots, sizeof *cache->seqs);
    for (int32_t i = 0; i < o->n_conv_slots; i++)
        cache->seqs[i].pages = memory_new((size_t)cache->max_pages, sizeof(int32_t));
    cache->free_pages = new_pool(o->n_pages);
    cache->free_arena = new_pool(o->arena_pages);
    cache->free_slots = new_pool(o->n_conv_slots);
    cache->free_arena_slots = new_pool(o->arena_slots);
    cache->free_seqs = new_pool(o->n_conv_slots);
    // Room for a step in which every page and every slot moves, so that it grows in hardly any.
    cache->ops_room = (size_t)o->n_pages + (size_t)o->n_conv_slots;
    cache->ops = memory_new(cache->ops_room, sizeof *cache->ops);
    return cache;
}

void cache_free(struct cache **cache) {
    struct cache *c = *cache;
    if (!c) return;
    for (int32_t i = 0; i < c->options.n_conv_slots; i++) free(c->seqs[i].pages);
    free(c->pages);
    free(c->arena);
    free(c->seqs);
    free(c->free_pages.ids);
    free(c->free_arena.ids);
    free(c->free_slots.ids);
    free(c->free_arena_slots.ids);
    free(c->free_seqs.ids);
    free(c->ops);
    free(c);
    *cache = NULL;
}

static void emit(struct cache *cache, enum cache_op_kind kind, int32_t from, int32_t to) {
    if (cache->n_ops == cache->ops_room) {
        cache->ops_room = 2 * cache->ops_room;
        cache->ops = memory_resize(cache->ops, cache->ops_room, sizeof *cache->ops);
    }
    cache->ops[cache->n_ops++] = (struct cache_op){kind, from, to};
}

const struct cache_op *cache_ops(const struct cache *cache, size_t *n_ops) {
    *n_ops = cache->n_ops;
    return cache->ops;
}

void cache_clear_ops(struct cache *cache) {
    cache->n_ops = 0;
}

static struct seq *seq_at(const struct cache *cache, int32_t seq) {
    assert(seq >= 0 && seq < cache->options.n_conv_slots && cache->seqs[seq].open);
    return &cache->seqs[seq];
}

static struct page *page_at(const struct cache *cache, int32_t entry) {
    return entry >= 0 ? &cache->pages[entry] : &cache->arena[~entry];
}

static int32_t take_page(struct cache *cache, uint64_t version) {
    int32_t page = take(&cache->free_pages);
    cache->pages[page] = (struct page){.holders = 1, .awake = 1, .version = version};
    return page;
}

static int32_t open_seq(struct cache *cache, uint64_t version) {
    int32_t seq = take(&cache->free_seqs);
    struct seq *s = &cache->seqs[seq];
    assert(!s->open);
    *s = (struct seq){.pages = s->pages, .open = true, .awake = true, .version = version};
    s->conv_slot = take(&cache->free_slots);
    s->next = s->prev = seq;
    return seq;
}

static void leave_ring(struct cache *cache, int32_t seq) {
    struct seq *s = &cache->seqs[seq];
    cache->seqs[s->next].prev = s->prev;
    cache->seqs[s->prev].next = s->next;
    s->next = s->prev = seq;
}

static void join_ring(struct cache *cache, int32_t seq, int32_t other) {
    struct seq *s = &cache->seqs[seq], *o = &cache->seqs[other];
    s->next = o->next;
    s->prev = other;
    cache->seqs[o->next].prev = seq;
    o->next = seq;
}

int32_t cache_new_seq(struct cache *cache, uint64_t version) {
    return open_seq(cache, version);
}

int32_t cache_fork_seq(struct cache *cache, int32_t prefix) {
    struct seq *p = seq_at(cache, prefix);
    assert(p->awake && p->n_away == 0);
    int32_t fork = open_seq(cache, p->version);
    struct seq *f = &cache->seqs[fork];
    join_ring(cache, fork, prefix);
    int32_t n_full = p->n_tokens / cache->options.page_tokens;
    for (int32_t i = 0; i < n_full; i++) {
        f->pages[i] = p->pages[i];
        struct page *page = page_at(cache, p->pages[i]);
        assert(page->version == p->version);
        page->holders++;
        page->awake++;
    }
    f->n_pages = n_full;
    f->n_tokens = p->n_tokens;
    if (n_full * cache->options.page_tokens < p->n_tokens) {
        f->pages[f->n_pages++] = take_page(cache, p->version);
        emit(cache, CACHE_PAGE_COPY, p->pages[n_full], f->pages[n_full]);
    }
    emit(cache, CACHE_CONV_COPY, p->conv_slot, f->conv_slot);
    return fork;
}

static void drop_pages(struct cache *cache, struct seq *s) {
    for (int32_t i = s->n_pages - 1; i >= 0; i--) {
        struct page *page = page_at(cache, s->pages[i]);
        if (s->awake) page->awake--;
        if (--page->holders > 0) continue;
        assert(page->awake == 0);
        if (s->pages[i] >= 0)
            give(&cache->free_pages, s->pages[i]);
        else
            give(&cache->free_arena, ~s->pages[i]);
    }
    s->n_pages = s->n_tokens = s->n_away = 0;
}

void cache_close_seq(struct cache *cache, int32_t seq) {
    struct seq *s = seq_at(cache, seq);
    drop_pages(cache, s);
    if (s->conv_slot >= 0)
        give(&cache->free_slots, s->conv_slot);
    else
        give(&cache->free_arena_slots, ~s->conv_slot);
    leave_ring(cache, seq);
    give(&cache->free_seqs, seq);
    s->open = s->awake = false;
}

void cache_reset_seq(struct cache *cache, int32_t seq, uint64_t version) {
    struct seq *s = seq_at(cache, seq);
    drop_pages(cache, s);
    leave_ring(cache, seq);
    if (s->conv_slot < 0) {
        give(&cache->free_arena_slots, ~s->conv_slot);
        s->conv_slot = take(&cache->free_slots);
    }
    s->awake = true;
    s->version = version;
}

void cache_take_pages(struct cache *cache, int32_t seq, int32_t n, uint64_t version) {
    struct seq *s = seq_at(cache, seq);
    assert(s->awake && s->n_pages + n <= cache->max_pages);
    for (int32_t i = 0; i < n; i++) s->pages[s->n_pages++] = take_page(cache, version);
}

void cache_advance_seq(struct cache *cache, int32_t seq, int32_t n) {
    struct seq *s = seq_at(cache, seq);
    assert(s->awake && s->n_away == 0);
    s->n_tokens += n;
    assert(s->n_tokens <= (int64_t)s->n_pages * cache->options.page_tokens);
}

void cache_trim_seq(struct cache *cache, int32_t seq) {
    struct seq *s = seq_at(cache, seq);
    int32_t n_used = cache_pages_for(cache, s->n_tokens);
    assert(s->awake && s->n_away == 0);
    while (s->n_pages > n_used) {
        struct page *page = page_at(cache, s->pages[--s->n_pages]);
        assert(page->holders == 1);
        *page = (struct page){0};
        give(&cache->free_pages, s->pages[s->n_pages]);
    }
}

void cache_park_seq(struct cache *cache, int32_t seq) {
    struct seq *s = seq_at(cache, seq);
    assert(s->awake && s->n_away == 0);
    s->awake = false;
    s->n_here = s->n_pages;
    for (int32_t i = 0; i < s->n_pages; i++) page_at(cache, s->pages[i])->awake--;
}

// Writes the new place of page number `i` of `seq`, now at `from`, into the list of each of its
// holders: they have it at the same number, since what is shared is the head of a prefix.
static void move_page(struct cache *cache, int32_t seq, int32_t i, int32_t from, int32_t to) {
    *page_at(cache, to) = *page_at(cache, from);
    int32_t left = page_at(cache, from)->holders;
    *page_at(cache, from) = (struct page){0};
    int32_t holder = seq;
    do {
        struct seq *s = &cache->seqs[holder];
        if (i < s->n_pages && s->pages[i] == from) {
            s->pages[i] = to;
            s->n_away += to < 0 ? 1 : -1;
            left--;
        }
        holder = s->next;
    } while (left > 0 && holder != seq);
    assert(left == 0);
}

// The last cold page of a parked sequence on the device, -1: none. Where none is left before the
// place of the last search, one behind it may have gone cold since.
static int32_t find_cold(const struct cache *cache, struct seq *s) {
    if (s->n_away == s->n_pages) return -1;
    for (int32_t from = s->n_here;; from = s->n_pages) {
        int32_t i = from - 1;
        while (i >= 0 && (s->pages[i] < 0 || cache->pages[s->pages[i]].awake > 0)) i--;
        s->n_here = i < 0 ? 0 : i;
        if (i >= 0 || from == s->n_pages) return i;
    }
}

bool cache_suspend_page(struct cache *cache, int32_t seq) {
    struct seq *s = seq_at(cache, seq);
    assert(!s->awake);
    int32_t i = find_cold(cache, s);
    if (i < 0) return false;
    if (s->conv_slot >= 0 && cache->free_arena_slots.n > 0) {
        int32_t slot = take(&cache->free_arena_slots);
        emit(cache, CACHE_CONV_SUSPEND, s->conv_slot, slot);
        give(&cache->free_slots, s->conv_slot);
        s->conv_slot = ~slot;
    }
    int32_t from = s->pages[i], to = take(&cache->free_arena);
    emit(cache, CACHE_PAGE_SUSPEND, from, to);
    move_page(cache, seq, i, from, ~to);
    give(&cache->free_pages, from);
    return true;
}

void cache_wake_seq(struct cache *cache, int32_t seq) {
    struct seq *s = seq_at(cache, seq);
    assert(!s->awake);
    s->awake = true;
    s->n_here = 0;
    for (int32_t i = 0; i < s->n_pages; i++) page_at(cache, s->pages[i])->awake++;
    if (s->conv_slot >= 0) return;
    int32_t slot = take(&cache->free_slots);
    emit(cache, CACHE_CONV_RESUME, ~s->conv_slot, slot);
    give(&cache->free_arena_slots, ~s->conv_slot);
    s->conv_slot = slot;
}

void cache_resume_page(struct cache *cache, int32_t seq) {
    struct seq *s = seq_at(cache, seq);
    assert(s->awake && s->n_away > 0);
    while (s->pages[s->n_here] >= 0) s->n_here++;
    int32_t i = s->n_here;
    int32_t from = ~s->pages[i], to = take(&cache->free_pages);
    emit(cache, CACHE_PAGE_RESUME, from, to);
    move_page(cache, seq, i, ~from, to);
    give(&cache->free_arena, from);
}

struct cache_seq cache_seq(const struct cache *cache, int32_t seq) {
    const struct seq *s = seq_at(cache, seq);
    return (struct cache_seq){s->pages,     s->n_pages, s->n_tokens, s->n_away,
                              s->conv_slot, s->awake,   s->version};
}

int32_t cache_pages_for(const struct cache *cache, int32_t n_tokens) {
    return n_tokens / cache->options.page_tokens + (n_tokens % cache->options.page_tokens != 0);
}

int32_t cache_n_free_pages(const struct cache *cache) {
    return cache->free_pages.n;
}

int32_t cache_n_free_arena_pages(const struct cache *cache) {
    return cache->free_arena.n;
}

uint64_t cache_page_version(const struct cache *cache, int32_t page) {
    assert(page >= 0 && page < cache->options.n_pages);
    return cache->pages[page].version;
}

int32_t cache_page_holders(const struct cache *cache, int32_t page) {
    assert(page >= 0 && page < cache->options.n_pages);
    return cache->pages[page].holders;
}

// Counts what the sequences hold, in arrays that cache_check compares with the pools.
struct count {
    struct page *pages, *arena; // as in the cache, but counted anew
    int32_t *slots, *arena_slots;
};

static const char *count_seq(const struct cache *cache, const struct seq *s, struct count *count) {
    int32_t n_away = 0, n_full = s->n_tokens / cache->options.page_tokens;
    if (s->n_pages > cache->max_pages) return "A sequence has more pages than it can.";
    for (int32_t i = 0; i < s->n_pages; i++) {
        int32_t entry = s->pages[i];
        if (entry >= cache->options.n_pages || ~entry >= cache->options.arena_pages)
            return "A page id is out of range.";
        struct page *page = entry >= 0 ? &count->pages[entry] : &count->arena[~entry];
        page->holders++;
        page->awake += s->awake;
        n_away += entry < 0;
        if (i >= n_full && page_at(cache, entry)->holders != 1)
            return "A page that is not full has more than one holder.";
    }
    if (n_away != s->n_away) return "A sequence miscounts its pages in the arena.";
    if (s->awake && n_away > 0) return "A sequence is awake with pages in the arena.";
    if (s->awake && s->conv_slot < 0) return "A sequence is awake with its conv state away.";
    if (cache_pages_for(cache, s->n_tokens) > s->n_pages)
        return "A sequence has more positions than its pages hold.";
    if (s->conv_slot >= 0)
        count->slots[s->conv_slot]++;
    else
        count->arena_slots[~s->conv_slot]++;
    return NULL;
}

// Every id is either held (counted[i] > 0) or once in the pool.
static const char *check_pool(const struct pool *pool, const int32_t *held, size_t stride) {
    int32_t *seen = memory_new((size_t)pool->size, sizeof *seen);
    const char *wrong = NULL;
    for (int32_t i = 0; i < pool->n; i++) seen[pool->ids[i]]++;
    for (int32_t i = 0; i < pool->size && !wrong; i++) {
        bool is_held = held[(size_t)i * stride] > 0;
        if (seen[i] > 1) wrong = "An id is in a free list twice.";
        if (seen[i] && is_held) wrong = "An id is both free and held.";
        if (!seen[i] && !is_held) wrong = "An id is lost: neither free nor held.";
    }
    free(seen);
    return wrong;
}

// Every holder of a shared page is in the ring of each of them.
static const char *check_ring(const struct cache *cache, int32_t seq) {
    const struct seq *s = &cache->seqs[seq];
    if (cache->seqs[s->next].prev != seq) return "A ring of sequences is broken.";
    for (int32_t i = 0; i < s->n_pages; i++) {
        int32_t left = page_at(cache, s->pages[i])->holders;
        for (int32_t at = s->next;; at = cache->seqs[at].next) {
            const struct seq *other = &cache->seqs[at];
            if (!other->open) return "A closed sequence is in a ring.";
            left -= i < other->n_pages && other->pages[i] == s->pages[i];
            if (at == seq) break;
        }
        if (left != 0) return "A holder of a page is not in the ring.";
    }
    return NULL;
}

static const char *check_seqs(const struct cache *cache) {
    const char *wrong = NULL;
    int32_t n = cache->options.n_conv_slots;
    int32_t *open = memory_new((size_t)n, sizeof *open);
    for (int32_t i = 0; i < n && !wrong; i++) {
        open[i] = cache->seqs[i].open;
        if (open[i]) wrong = check_ring(cache, i);
    }
    if (!wrong) wrong = check_pool(&cache->free_seqs, open, 1);
    free(open);
    return wrong;
}

static const char *check_pages(const struct page *pages, const struct page *count, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        if (pages[i].holders != count[i].holders) return "A page miscounts its holders.";
        if (pages[i].awake != count[i].awake) return "A page miscounts its awake holders.";
    }
    return NULL;
}

const char *cache_check(const struct cache *cache) {
    const struct cache_options *o = &cache->options;
    struct arena arena = {0};
    struct count count = {
        arena_take(&arena, (size_t)o->n_pages, sizeof *count.pages),
        arena_take(&arena, (size_t)o->arena_pages, sizeof *count.arena),
        arena_take(&arena, (size_t)o->n_conv_slots, sizeof *count.slots),
        arena_take(&arena, (size_t)o->arena_slots, sizeof *count.arena_slots),
    };
    const size_t stride = sizeof(struct page) / sizeof(int32_t);
    const char *wrong = NULL;
    for (int32_t i = 0; i < o->n_conv_slots && !wrong; i++)
        if (cache->seqs[i].open) wrong = count_seq(cache, &cache->seqs[i], &count);
    for (int32_t i = 0; i < o->n_conv_slots && !wrong; i++)
        if (count.slots[i] > 1) wrong = "Two sequences have one conv slot.";
    for (int32_t i = 0; i < o->arena_slots && !wrong; i++)
        if (count.arena_slots[i] > 1) wrong = "Two sequences have one conv slot of the arena.";
    if (!wrong) wrong = check_pages(cache->pages, count.pages, o->n_pages);
    if (!wrong) wrong = check_pages(cache->arena, count.arena, o->arena_pages);
    if (!wrong) wrong = check_pool(&cache->free_pages, &count.pages->holders, stride);
    if (!wrong && o->arena_pages)
        wrong = check_pool(&cache->free_arena, &count.arena->holders, stride);
    if (!wrong) wrong = check_pool(&cache->free_slots, count.slots, 1);
    if (!wrong) wrong = check_pool(&cache->free_arena_slots, count.arena_slots, 1);
    arena_clear(&arena);
    return wrong ? wrong : check_seqs(cache);
}

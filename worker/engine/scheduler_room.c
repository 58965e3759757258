// The banker's account, carried along while a plan is made: what a row or prefix may still take so
// that all before it in the order can reach their limits. scheduler_check.c counts it anew.
#include <limits.h>

#include "worker/engine/scheduler_state.h"

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static int32_t most(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static struct cache_seq row_seq(const struct scheduler *s, const struct row_slot *row) {
    return cache_seq(s->cache, row->seq);
}

// Finds for each share which holder comes last in the order: with it the pages come free.
static void find_last_holders(struct scheduler *s) {
    for (int32_t i = 0; i < s->n_rows; i++) {
        const struct row_slot *row = &s->rows[s->order[i]];
        if (row->share >= 0) s->shares[row->share].last = i;
    }
    for (int32_t i = 0; i < s->n_prefixes; i++) s->shares[s->prefixes[i]->share].last = s->n_rows;
    for (int32_t i = 0; i < s->n_rows; i++) {
        struct row_slot *row = &s->rows[s->order[i]];
        row->frees_shared = row->share >= 0 && s->shares[row->share].last == i;
    }
}

void scheduler_room_begin(struct scheduler *s) {
    // One page of storage stays empty where there is an arena, or two full sides could not swap.
    int32_t free = cache_n_free_pages(s->cache) + cache_n_free_arena_pages(s->cache);
    s->room = (struct room){free - (s->options.suspend_pages > 0), INT32_MAX};
    s->expected_growth = -1;
    find_last_holders(s);
}

void scheduler_room_take(struct scheduler *s, int32_t n) {
    s->room.avail -= n;
    if (s->room.low != INT32_MAX) s->room.low -= n;
}

void scheduler_room_pass(struct scheduler *s, int32_t slot, int32_t n_pages) {
    const struct row_slot *row = &s->rows[slot];
    s->room.low = least(s->room.low, s->room.avail - (row->entry->row_pages - n_pages));
    s->room.avail += n_pages - (row->frees_shared ? 0 : row->n_shared);
}

struct room scheduler_room_behind(const struct scheduler *s, int32_t n_prefixes) {
    struct room room = s->room;
    for (int32_t i = 0; i < n_prefixes; i++) {
        const struct prefix *prefix = s->prefixes[i];
        int32_t n_pages = cache_seq(s->cache, prefix->seq).n_pages;
        room.low =
            least(room.low, room.avail - (scheduler_entry_pages(s, prefix->owner) - n_pages));
        room.avail += n_pages;
    }
    return room;
}

int32_t scheduler_room_expected_tokens(const struct scheduler *s, const struct scheduler_task *task,
                                       int32_t n_drawn) {
    int32_t mean = scheduler_mean_length(s), limit = scheduler_row_tokens(s, task);
    if (mean < 0 || task->max_new_tokens == 0) return limit;
    int64_t n = (int64_t)task->n_prompt - 1 + most(mean, n_drawn + 1);
    return n < limit ? (int32_t)n : limit;
}

int32_t scheduler_room_growth(const struct scheduler *s, int32_t slot) {
    const struct row_slot *row = &s->rows[slot];
    const struct scheduler_task *task = &row->entry->task;
    struct cache_seq seq = row_seq(s, row);
    int32_t n_drawn = most(seq.n_tokens - (task->n_prompt - 1), row->n_drawn);
    int32_t n = scheduler_room_expected_tokens(s, task, n_drawn);
    return most(cache_pages_for(s->cache, n) - seq.n_pages, 0);
}

void scheduler_room_start(struct scheduler *s, int32_t slot) {
    scheduler_room_pass(s, slot, row_seq(s, &s->rows[slot]).n_pages);
    if (s->expected_growth >= 0) s->expected_growth += scheduler_room_growth(s, slot);
}

int32_t scheduler_room_expected(struct scheduler *s) {
    if (s->expected_growth < 0) {
        s->expected_growth = 0;
        for (int32_t i = 0; i < s->n_rows; i++)
            s->expected_growth += scheduler_room_growth(s, s->order[i]);
    }
    int32_t room = cache_n_free_pages(s->cache) - s->expected_growth;
    for (int32_t i = 0; i < s->n_prefixes; i++) {
        struct cache_seq seq = cache_seq(s->cache, s->prefixes[i]->seq);
        int32_t n_prefix = s->prefixes[i]->owner->task.n_prompt - 1;
        room -= cache_pages_for(s->cache, n_prefix) - seq.n_pages + seq.n_away;
    }
    return room;
}

#include <stdlib.h>

#include "protocol/base/memory.h"
#include "worker/engine/scheduler_state.h"

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static const char *check_entry(const struct scheduler *s, const struct scheduler_entry *e) {
    int32_t n_waiting = 0, n_live = 0, n_returning = 0;
    for (int32_t i = 0; i < e->task.n_samples; i++) {
        int32_t slot = e->samples[i];
        n_waiting += slot == SAMPLE_WAITING;
        if (slot == SAMPLE_WAITING && i < e->next_sample) return "A waiting sample is overlooked.";
        if (e->n_drawn && e->n_drawn[i] > 0) {
            if (slot != SAMPLE_WAITING) return "A sample that does not wait is to come back.";
            if (n_returning++ < n_waiting - 1) return "A sample that begins stands before another.";
        }
        if (slot < 0) continue;
        n_live++;
        if (s->rows[slot].entry != e || s->rows[slot].sample != i)
            return "A live sample has not the row that it names.";
    }
    if (n_waiting != e->n_waiting || n_live != e->n_live || n_returning != e->n_returning)
        return "A task miscounts its samples.";
    if (n_waiting + n_live == 0) return "A finished task is still in the queue.";
    if (!e->prefix) return NULL;
    if (e->task.is_held) return "A task that is held has a prefix.";
    if (n_waiting == 0) return "A prefix outlives the start of its last sample.";
    struct cache_seq seq = cache_seq(s->cache, e->prefix->seq);
    if (seq.version != s->version) return "A prefix is of an older weights version.";
    if (seq.n_tokens > e->task.n_prompt - 1) return "A prefix is longer than its prompt.";
    for (int32_t i = 0; i < seq.n_pages; i++)
        if (seq.pages[i] >= 0 && cache_page_version(s->cache, seq.pages[i]) != s->version)
            return "A page of a prefix is of an older weights version.";
    return NULL;
}

static const char *check_queue(const struct scheduler *s) {
    int32_t n_prefixes = 0, n_tasks = 0, n_waiting = 0, n_returning = 0;
    const struct scheduler_entry *prev = NULL;
    for (const struct scheduler_entry *e = s->head; e; prev = e, e = e->next) {
        const char *wrong = check_entry(s, e);
        if (wrong) return wrong;
        if (e->prev != prev) return "The queue's links are broken.";
        if (prev && prev->id >= e->id) return "The queue is not in order of arrival.";
        n_tasks++;
        n_waiting += e->n_waiting;
        n_returning += e->n_returning;
        if (!e->prefix) continue;
        if (n_prefixes == s->n_prefixes || s->prefixes[n_prefixes++] != e->prefix ||
            e->prefix->owner != e)
            return "The list of prefixes is wrong.";
    }
    if (s->tail != prev) return "The queue's end is wrong.";
    if (n_prefixes != s->n_prefixes) return "The prefixes are miscounted.";
    if (n_tasks != s->n_tasks || n_waiting != s->n_waiting || n_returning != s->n_returning)
        return "The queue is miscounted.";
    return NULL;
}

static const char *check_row(const struct scheduler *s, const struct row_slot *row, int32_t slot) {
    if (row->entry->samples[row->sample] != slot) return "A row's sample is not live.";
    struct cache_seq seq = cache_seq(s->cache, row->seq);
    int32_t n_tokens = seq.n_tokens;
    if (n_tokens < row->entry->task.n_prompt - 1 ||
        n_tokens > scheduler_row_tokens(s, &row->entry->task))
        return "A row has too few or too many positions.";
    if (!s->planned && seq.n_pages > cache_pages_for(s->cache, n_tokens))
        return "A row has kept a page that only refused guesses needed.";
    return NULL;
}

// Every slot is in use and once in the order, or free and in the list of those; a slot that came
// free may be in the order still.
static const char *check_rows(const struct scheduler *s, int32_t *seen) {
    int32_t n_rows = 0;
    for (int32_t i = 0; i < s->n_order; i++) {
        int32_t slot = s->order[i];
        if (!s->rows[slot].entry) continue;
        seen[slot]++;
        n_rows++;
        const char *wrong = check_row(s, &s->rows[slot], slot);
        if (wrong) return wrong;
    }
    if (n_rows != s->n_rows) return "The rows are miscounted.";
    for (int32_t i = 0; i < s->options.max_rows - s->n_rows; i++) {
        seen[s->free_rows[i]]++;
        if (s->rows[s->free_rows[i]].entry) return "A row slot in use is in the free list.";
    }
    for (int32_t i = 0; i < s->options.max_rows; i++)
        if (seen[i] != 1) return "A row slot is lost or doubled.";
    return NULL;
}

// ---- the account, counted anew: scheduler_room.c's twin

static int32_t first_page(const struct scheduler *s, struct cache_seq seq) {
    return seq.pages[0] >= 0 ? seq.pages[0] : s->options.n_pages + ~seq.pages[0];
}

// Which holder of each shared prefix comes last in the order, by the prefix's first page.
static int32_t *find_last_holders(const struct scheduler *s) {
    size_t n = (size_t)s->options.n_pages + (size_t)s->options.suspend_pages;
    int32_t *last = memory_new(n, sizeof *last);
    for (int32_t i = 0; i < s->n_order; i++) {
        const struct row_slot *row = &s->rows[s->order[i]];
        if (row->entry && row->n_shared > 0) last[first_page(s, cache_seq(s->cache, row->seq))] = i;
    }
    for (int32_t i = 0; i < s->n_prefixes; i++) {
        struct cache_seq seq = cache_seq(s->cache, s->prefixes[i]->seq);
        if (seq.n_pages > 0) last[first_page(s, seq)] = s->n_order;
    }
    return last;
}

static void count_row(const struct scheduler *s, int32_t i, const int32_t *last,
                      struct room *room) {
    const struct row_slot *row = &s->rows[s->order[i]];
    if (!row->entry) return;
    struct cache_seq seq = cache_seq(s->cache, row->seq);
    int32_t limit = cache_pages_for(s->cache, scheduler_row_tokens(s, &row->entry->task));
    room->low = least(room->low, room->avail - (limit - seq.n_pages));
    room->avail += seq.n_pages;
    if (row->n_shared > 0 && last[first_page(s, seq)] != i) room->avail -= row->n_shared;
}

static const char *check_room(const struct scheduler *s) {
    int32_t n_free = cache_n_free_pages(s->cache) + cache_n_free_arena_pages(s->cache);
    struct room room = {n_free - (s->options.suspend_pages > 0), INT32_MAX};
    int32_t *last = find_last_holders(s);
    for (int32_t i = 0; i < s->n_order; i++) count_row(s, i, last, &room);
    free(last);
    bool is_low = s->room_is_bound ? room.low >= s->room.low : room.low == s->room.low;
    if (s->planned && (room.avail != s->room.avail || (s->n_rows > 0 && !is_low)))
        return "The account that the plan went by is not the account.";
    for (int32_t i = 0; i < s->n_prefixes; i++) {
        const struct prefix *prefix = s->prefixes[i];
        int32_t n_pages = cache_seq(s->cache, prefix->seq).n_pages;
        room.low =
            least(room.low, room.avail - (scheduler_entry_pages(s, prefix->owner) - n_pages));
        room.avail += n_pages;
    }
    if (room.low < 0) return "Some row or prefix might never reach its limit.";
    int32_t all = s->options.n_pages + s->options.suspend_pages - (s->options.suspend_pages > 0);
    if (room.avail != all) return "The account of pages does not add up to all pages.";
    return NULL;
}

// Holders are counted, and an id is held or free.
static const char *check_shares(const struct scheduler *s) {
    int32_t n = s->options.max_rows + s->options.max_prefixes;
    int32_t *holders = memory_new((size_t)n, sizeof *holders);
    const char *wrong = NULL;
    for (int32_t i = 0; i < s->options.max_rows; i++)
        if (s->rows[i].entry && s->rows[i].share >= 0) holders[s->rows[i].share]++;
    for (int32_t i = 0; i < s->n_prefixes; i++) holders[s->prefixes[i]->share]++;
    for (int32_t i = 0; i < s->n_free_shares; i++)
        if (holders[s->free_shares[i]]-- != 0) wrong = "A share is free and held, or twice free.";
    for (int32_t i = 0; i < n && !wrong; i++)
        if (holders[i] == 0 || (holders[i] > 0 && holders[i] != s->shares[i].n_holders))
            wrong = "A share is lost, or miscounts its holders.";
    free(holders);
    return wrong;
}

static const char *check_growth(const struct scheduler *s) {
    if (!s->planned || s->expected_growth < 0) return NULL;
    int32_t growth = 0;
    for (int32_t i = 0; i < s->n_rows; i++) growth += scheduler_room_growth(s, s->order[i]);
    return growth == s->expected_growth ? NULL : "The growth that the plan expected is wrong.";
}

const char *scheduler_check(const struct scheduler *scheduler) {
    const struct scheduler *s = scheduler;
    const char *wrong = cache_check(s->cache);
    if (!wrong) wrong = check_queue(s);
    int32_t *seen = memory_new((size_t)s->options.max_rows, sizeof *seen);
    if (!wrong) wrong = check_rows(s, seen);
    free(seen);
    if (!wrong) wrong = check_shares(s);
    if (!wrong) wrong = check_room(s);
    return wrong ? wrong : check_growth(s);
}

#include <stdlib.h>

#include "protocol/base/memory.h"
#include "worker/engine/scheduler_state.h"

static const char *check_entry(const struct scheduler *s, const struct entry *e, int32_t n_rows) {
    int32_t n_waiting = 0, n_live = 0;
    for (int32_t i = 0; i < e->task.n_samples; i++) {
        n_waiting += e->samples[i] == SAMPLE_WAITING;
        n_live += e->samples[i] == SAMPLE_LIVE;
    }
    if (n_waiting != e->n_waiting || n_live != e->n_live) return "A task miscounts its samples.";
    if (n_live != n_rows) return "A live sample has no row, or two.";
    if (n_waiting + n_live == 0) return "A finished task is still in the queue.";
    if (e->prefix < 0) return NULL;
    if (n_waiting == 0) return "A prefix outlives the start of its last sample.";
    struct cache_seq seq = cache_seq(s->cache, e->prefix);
    if (seq.version != s->version) return "A prefix is of an older weights version.";
    if (seq.n_tokens > e->task.n_prompt - 1) return "A prefix is longer than its prompt.";
    for (int32_t i = 0; i < seq.n_pages; i++)
        if (seq.pages[i] >= 0 && cache_page_version(s->cache, seq.pages[i]) != s->version)
            return "A page of a prefix is of an older weights version.";
    return NULL;
}

static const char *check_queue(const struct scheduler *s) {
    int32_t n_prefixes = 0, n_tasks = 0, n_waiting = 0;
    const struct entry *prev = NULL;
    for (const struct entry *e = s->head; e; prev = e, e = e->next) {
        int32_t n_rows = 0;
        for (int32_t i = 0; i < s->n_rows; i++) n_rows += s->rows[s->order[i]].entry == e;
        const char *wrong = check_entry(s, e, n_rows);
        if (wrong) return wrong;
        if (e->prev != prev) return "The queue's links are broken.";
        if (prev && prev->id >= e->id) return "The queue is not in order of arrival.";
        n_tasks++;
        n_waiting += e->n_waiting;
        if (e->prefix < 0) continue;
        if (n_prefixes == s->n_prefixes || s->prefixes[n_prefixes++] != e)
            return "The list of prefixes is wrong.";
    }
    if (s->tail != prev) return "The queue's end is wrong.";
    if (n_prefixes != s->n_prefixes) return "The prefixes are miscounted.";
    if (n_tasks != s->n_tasks || n_waiting != s->n_waiting) return "The queue is miscounted.";
    return NULL;
}

static const char *check_rows(const struct scheduler *s, int32_t *seen) {
    for (int32_t i = 0; i < s->n_rows; i++) {
        const struct row *row = &s->rows[s->order[i]];
        seen[s->order[i]]++;
        if (!row->entry) return "A free row slot is in the order.";
        if (row->entry->samples[row->sample] != SAMPLE_LIVE) return "A row's sample is not live.";
        int32_t n_tokens = cache_seq(s->cache, row->seq).n_tokens;
        if (n_tokens < row->entry->task.n_prompt - 1 ||
            n_tokens > scheduler_row_tokens(s, &row->entry->task))
            return "A row has too few or too many positions.";
    }
    for (int32_t i = 0; i < s->options.max_rows - s->n_rows; i++) {
        seen[s->free_rows[i]]++;
        if (s->rows[s->free_rows[i]].entry) return "A row slot in use is in the free list.";
    }
    for (int32_t i = 0; i < s->options.max_rows; i++)
        if (seen[i] != 1) return "A row slot is lost or doubled.";
    return NULL;
}

const char *scheduler_check(const struct scheduler *scheduler) {
    const struct scheduler *s = scheduler;
    const char *wrong = cache_check(s->cache);
    if (!wrong) wrong = check_queue(s);
    int32_t *seen = memory_new((size_t)s->options.max_rows, sizeof *seen);
    if (!wrong) wrong = check_rows(s, seen);
    free(seen);
    if (wrong) return wrong;
    // The account writes scratch only.
    struct room room = scheduler_room((struct scheduler *)(uintptr_t)s, s->n_rows, s->n_prefixes);
    if (room.low < 0) return "Some row or prefix might never reach its limit.";
    int32_t all = s->options.n_pages + s->options.suspend_pages - (s->options.suspend_pages > 0);
    if (room.avail != all) return "The account of pages does not add up to all pages.";
    return NULL;
}

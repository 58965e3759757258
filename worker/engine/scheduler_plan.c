// One step: which rows and prompts run, and which pages they take, lend and lose for it.
#include <assert.h>
#include <string.h>

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

static struct cache_seq prefix_seq(const struct scheduler *s, const struct scheduler_entry *e) {
    return cache_seq(s->cache, e->prefix->seq);
}

// Moves one page of a sequence to the arena, parking it first.
static bool suspend(struct scheduler *s, int32_t seq) {
    if (cache_seq(s->cache, seq).awake) cache_park_seq(s->cache, seq);
    if (!cache_suspend_page(s->cache, seq)) return false;
    s->n_pages_moved++;
    return true;
}

// How many prefixes are before that of `e`, or before the place where it would be.
static int32_t prefix_place(const struct scheduler *s, const struct scheduler_entry *e) {
    int32_t i = 0;
    while (i < s->n_prefixes && s->prefixes[i]->owner->id < e->id) i++;
    return i;
}

// Frees one device page at the cost of a prefix at place `first` or behind it, the last first.
static bool free_page_of_prefix(struct scheduler *s, int32_t first) {
    if (cache_n_free_arena_pages(s->cache) == 0) return false;
    for (int32_t i = s->n_prefixes - 1; i >= first; i--)
        if (suspend(s, s->prefixes[i]->seq)) return true;
    return false;
}

// Frees one device page at the cost of whoever comes last behind row `i` of the order. Rows behind
// s->victim have none left to give in this plan.
static bool free_page_of_younger(struct scheduler *s, int32_t i) {
    if (free_page_of_prefix(s, 0)) return true;
    if (cache_n_free_arena_pages(s->cache) == 0) return false;
    for (; s->victim > i; s->victim--) {
        const struct row_slot *row = &s->rows[s->order[s->victim]];
        bool here = row_seq(s, row).n_away == 0;
        if (!suspend(s, row->seq)) continue;
        s->n_preempted += here;
        return true;
    }
    return false;
}

// Positions that the row has to compute anew before it draws.
static int32_t left_to_recompute(const struct scheduler *s, const struct row_slot *row) {
    int32_t end = row->entry->task.n_prompt - 1 + row->n_drawn;
    return row->n_drawn ? most(end - row_seq(s, row).n_tokens, 0) : 0;
}

// How many tokens a row that recomputes has in this step: one that it always has, and more as far
// as budget and pages go. `may_take`: pages that are free, and that the account allows; it takes
// none from anybody.
static int32_t take_recomputed(struct scheduler *s, const struct row_slot *row, bool may_take) {
    struct cache_seq seq = row_seq(s, row);
    int32_t n = least(left_to_recompute(s, row), s->budget) + 1;
    int32_t n_new = cache_pages_for(s->cache, seq.n_tokens + n) - seq.n_pages;
    n_new = least(n_new, least(cache_n_free_pages(s->cache), s->room.low));
    if (n_new > 0 && may_take) {
        cache_take_pages(s->cache, row->seq, n_new, s->version);
        scheduler_room_take(s, n_new);
    }
    n = least(n, row_seq(s, row).n_pages * s->options.page_tokens - seq.n_tokens);
    s->budget -= n - 1;
    return n;
}

static void add_row_segment(struct scheduler *s, int32_t slot, bool may_take) {
    const struct row_slot *row = &s->rows[slot];
    const struct scheduler_entry *e = row->entry;
    int32_t left = left_to_recompute(s, row), n = left ? take_recomputed(s, row, may_take) : 1;
    const struct cache_seq seq = row_seq(s, row);
    assert(seq.n_tokens + n <= seq.n_pages * s->options.page_tokens);
    s->segments[s->plan.n_rows++] =
        (struct segment){.user = e->task.user,
                         .row = slot,
                         .sample = e->task.first_sample + row->sample,
                         .position = seq.n_tokens,
                         .n_tokens = n,
                         .n_recomputed = least(n, left),
                         .conv_slot = seq.conv_slot,
                         .n_pages = seq.n_pages,
                         .pages = seq.pages,
                         .is_first = seq.n_tokens == e->task.n_prompt - 1,
                         .is_last = seq.n_tokens + n == scheduler_row_tokens(s, &e->task)};
    s->plan.n_tokens += n;
    s->plan.n_recomputed += least(n, left);
}

static void add_chunk_segment(struct scheduler *s, struct scheduler_entry *e, int32_t n) {
    struct cache_seq seq = prefix_seq(s, e);
    int32_t end = seq.n_tokens + n;
    assert(seq.awake && seq.n_away == 0 && cache_pages_for(s->cache, end) <= seq.n_pages);
    s->chunk_owners[s->n_chunks] = e;
    s->chunks[s->n_chunks++] = (struct segment){.user = e->task.user,
                                                .row = -1,
                                                .sample = -1,
                                                .position = seq.n_tokens,
                                                .n_tokens = n,
                                                .conv_slot = seq.conv_slot,
                                                .n_pages = seq.n_pages,
                                                .pages = seq.pages,
                                                .is_first = seq.n_tokens == 0,
                                                .is_last = end == e->task.n_prompt - 1};
    s->plan.n_tokens += n;
}

// Wakes row `i` of the order, brings its pages back and takes n_new more for it. False where it
// has to wait. What is freed for it is younger, so it is not planned yet.
static bool make_ready(struct scheduler *s, int32_t i, const struct cache_seq *seq, int32_t n_new) {
    int32_t id = s->rows[s->order[i]].seq;
    int32_t n_free = cache_n_free_pages(s->cache), spare = s->plan.n_rows / 2 + 1;
    // While an older row waits for pages, this one can do without more or waits too.
    bool wait = s->plan.n_rows < i && n_new + seq->n_away > 0;
    wait = wait || (i > 0 && seq->n_away > 0 && n_free < seq->n_away + n_new + spare);
    if (wait || s->room.low < n_new) return false;
    // Awake first: until then its own pages are cold, and could be taken as a younger holder's.
    if (!seq->awake) cache_wake_seq(s->cache, id);
    for (int32_t n = seq->n_away; n > 0; n--) {
        bool found = cache_n_free_pages(s->cache) > 0 || free_page_of_younger(s, i);
        assert(found);
        cache_resume_page(s->cache, id);
    }
    while (cache_n_free_pages(s->cache) < n_new)
        if (!free_page_of_younger(s, i)) {
            assert(i > 0);
            return false;
        }
    cache_take_pages(s->cache, id, n_new, s->version);
    scheduler_room_take(s, n_new);
    return true;
}

// Plans row `i` of the order, or parks it.
static void plan_row(struct scheduler *s, int32_t i) {
    int32_t slot = s->order[i], id = s->rows[slot].seq;
    struct cache_seq seq = cache_seq(s->cache, id);
    int32_t n_new = seq.n_tokens == seq.n_pages * s->options.page_tokens;
    bool ready = seq.awake && n_new == 0;
    if (!ready) ready = make_ready(s, i, &seq, n_new);
    if (ready)
        add_row_segment(s, slot, s->plan.n_rows == i);
    else if (cache_seq(s->cache, id).awake)
        cache_park_seq(s->cache, id);
    scheduler_room_pass(s, slot, cache_seq(s->cache, id).n_pages);
}

// True where nothing stands before the prefix of `e`: it then gets what the account promises it,
// whatever is expected of others.
static bool is_leading(const struct scheduler *s, const struct scheduler_entry *e) {
    return s->n_rows == 0 && prefix_place(s, e) == 0;
}

static bool admit(struct scheduler *s, struct scheduler_entry *e) {
    int32_t need = scheduler_entry_pages(s, e), place = prefix_place(s, e);
    if (s->n_prefixes == s->options.max_prefixes) return false;
    if (scheduler_room_behind(s, place).avail < need) return false;
    int32_t expected = cache_pages_for(s->cache, scheduler_room_expected_tokens(s, &e->task, 0));
    if (!is_leading(s, e) && scheduler_room_expected(s) < expected) return false;
    struct prefix *prefix = s->prefixes[s->n_prefixes];
    *prefix = (struct prefix){cache_new_seq(s->cache, s->version), scheduler_new_share(s), e};
    memmove(&s->prefixes[place + 1], &s->prefixes[place],
            (size_t)(s->n_prefixes++ - place) * sizeof *s->prefixes);
    s->prefixes[place] = e->prefix = prefix;
    return true;
}

// Wakes a prefix and brings it back to the device, with room for n_new more pages that are not
// taken yet. Returns false where there is no room.
static bool bring_back(struct scheduler *s, const struct scheduler_entry *e, int32_t n_new) {
    struct cache_seq seq = prefix_seq(s, e);
    bool leading = is_leading(s, e);
    int32_t place = prefix_place(s, e);
    if (!leading && seq.n_away > 0 && cache_n_free_pages(s->cache) < seq.n_away + n_new)
        return false;
    if (!seq.awake) cache_wake_seq(s->cache, e->prefix->seq);
    for (int32_t n = seq.n_away; n > 0; n--) {
        bool found = cache_n_free_pages(s->cache) > 0 || free_page_of_prefix(s, place + 1);
        assert(found);
        cache_resume_page(s->cache, e->prefix->seq);
    }
    while (cache_n_free_pages(s->cache) < n_new)
        if (!free_page_of_prefix(s, place + 1)) return false;
    return true;
}

// Plans prompt tokens of `e`, as far as the budget goes. False where there is no room.
static bool plan_chunk(struct scheduler *s, struct scheduler_entry *e) {
    struct cache_seq seq = prefix_seq(s, e);
    int32_t n = least(s->budget, e->task.n_prompt - 1 - seq.n_tokens);
    if (n == 0) return true;
    int32_t n_new = cache_pages_for(s->cache, seq.n_tokens + n) - seq.n_pages;
    n_new = least(n_new, most(scheduler_room_behind(s, prefix_place(s, e)).low, 0));
    if (!bring_back(s, e, n_new)) {
        if (!prefix_seq(s, e).awake) return false;
        n_new = least(n_new, cache_n_free_pages(s->cache));
    }
    int64_t room = (int64_t)(seq.n_pages + n_new) * s->options.page_tokens - seq.n_tokens;
    if (room < n) n = (int32_t)room;
    if (n == 0) return false;
    cache_take_pages(s->cache, e->prefix->seq, n_new, s->version);
    scheduler_room_take(s, n_new);
    add_chunk_segment(s, e, n);
    s->budget -= n;
    return true;
}

static int32_t next_waiting(struct scheduler_entry *e) {
    while (e->samples[e->next_sample] != SAMPLE_WAITING) e->next_sample++;
    return e->next_sample;
}

// Starts the next sample of a prefilled task, where pages allow.
static bool start_sample(struct scheduler *s, struct scheduler_entry *e) {
    bool takes_over = e->n_waiting == 1;
    int32_t n_prefix = e->task.n_prompt - 1, n_full = n_prefix / s->options.page_tokens;
    int32_t n_held = takes_over ? prefix_seq(s, e).n_pages : n_full;
    int32_t n_new = n_full + 1 - n_held; // 0 where it takes over a partial page
    int32_t limit = cache_pages_for(s->cache, scheduler_row_tokens(s, &e->task));
    int32_t sample = next_waiting(e), n_drawn = e->n_drawn ? e->n_drawn[sample] : 0;
    int32_t expected =
        cache_pages_for(s->cache, scheduler_room_expected_tokens(s, &e->task, n_drawn));
    if (s->room.low < n_new || s->room.avail < limit - n_held) return false;
    if (!is_leading(s, e) && scheduler_room_expected(s) < expected - n_held) return false;
    if (!bring_back(s, e, n_new)) return false;

    int32_t seq = e->prefix->seq, share = e->prefix->share;
    if (takes_over) {
        scheduler_drop_prefix(s, e);
    } else {
        seq = cache_fork_seq(s->cache, seq);
        s->shares[share].n_holders++;
    }
    if (n_full == 0) {
        scheduler_leave_share(s, share);
        share = -1;
    }
    cache_take_pages(s->cache, seq, n_full + 1 - cache_seq(s->cache, seq).n_pages, s->version);
    int32_t slot = s->free_rows[s->options.max_rows - s->n_rows - 1];
    s->order[s->n_order++] = slot;
    s->n_rows++;
    s->rows[slot] = (struct row_slot){.entry = e,
                                      .sample = sample,
                                      .seq = seq,
                                      .n_drawn = scheduler_take_drawn(s, e, sample),
                                      .n_shared = n_full,
                                      .share = share,
                                      .frees_shared = share >= 0 && takes_over};
    e->samples[sample] = slot;
    e->n_waiting--;
    s->n_waiting--;
    e->n_live++;
    scheduler_room_take(s, n_new);
    add_row_segment(s, slot, true);
    scheduler_room_start(s, slot);
    return true;
}

// Plans what is new: samples of prefilled tasks, and prompt tokens. A task that could not be
// admitted lets those behind it that are admitted go on, since it may need what they hold (it came
// back to its place by a restart), but lets no other in.
static void plan_prompts(struct scheduler *s) {
    bool closed = false;        // no more tasks are admitted
    bool older_waiting = false; // an admitted task is before its samples
    for (struct scheduler_entry *e = s->head; e; e = e->next) {
        if (closed && (s->n_prefixes == 0 || e->id > s->prefixes[s->n_prefixes - 1]->owner->id))
            return;
        if (!scheduler_may_start(s, e)) continue;
        closed = closed || (!e->prefix && (s->budget == 0 || !admit(s, e)));
        if (!e->prefix) continue;
        if (prefix_seq(s, e).n_tokens < e->task.n_prompt - 1) {
            if (!plan_chunk(s, e)) return;
        } else if (!older_waiting) {
            while (scheduler_may_start(s, e) && s->n_rows < s->options.max_rows)
                if (!start_sample(s, e)) return;
        }
        older_waiting = older_waiting || (scheduler_may_start(s, e) && e->task.max_new_tokens > 0);
    }
}

// How many positions the segment could have with pages that are free and that the account allows:
// those of rows that stand behind this one need not be asked, but are.
static int32_t drafted_room(const struct scheduler *s, const struct segment *g) {
    int32_t n_new = most(least(cache_n_free_pages(s->cache), s->room.low), 0);
    int64_t room = (int64_t)(g->n_pages + n_new) * s->options.page_tokens - g->position;
    return room < INT32_MAX ? (int32_t)room : INT32_MAX;
}

int32_t scheduler_draft(struct scheduler *scheduler, int32_t i, int32_t n) {
    struct scheduler *s = scheduler;
    struct segment *g = &s->segments[i];
    assert(s->planned && i >= 0 && i < s->plan.n_rows);
    if (g->n_recomputed > 0) return 0;
    assert(g->n_tokens == 1);
    const struct row_slot *row = &s->rows[g->row];
    int32_t limit = scheduler_row_tokens(s, &row->entry->task);
    n = least(n, least(s->options.max_draft, limit - g->position - 1));
    n = least(n, s->options.max_rows + s->options.prefill_chunk - s->plan.n_tokens);
    n = least(n, drafted_room(s, g) - 1);
    if (n <= 0) return 0;
    int32_t n_new = cache_pages_for(s->cache, g->position + 1 + n) - g->n_pages;
    if (n_new > 0) {
        cache_take_pages(s->cache, row->seq, n_new, s->version);
        g->n_pages += n_new;
        s->room.low -= n_new;
        s->room_is_bound = true;
        s->expected_growth = -1;
    }
    g->n_tokens += n;
    g->is_last = g->position + g->n_tokens == limit;
    s->plan.n_tokens += n;
    return n;
}

// Takes the slots that came free since the last plan out of the order.
static void close_gaps(struct scheduler *s) {
    int32_t n = 0;
    if (s->n_order == s->n_rows) return;
    for (int32_t i = 0; i < s->n_order; i++)
        if (s->rows[s->order[i]].entry) s->order[n++] = s->order[i];
    s->n_order = n;
    assert(n == s->n_rows);
}

// While nothing begins, prompts of samples that wait keep nothing from rows that come back. (Where
// weights follow, it would be of the old ones.)
static void close_idle_prefixes(struct scheduler *s) {
    for (int32_t i = s->n_prefixes - 1; i >= 0; i--)
        if (!scheduler_may_start(s, s->prefixes[i]->owner))
            scheduler_close_prefix(s, s->prefixes[i]->owner);
}

static bool nothing_may_start(const struct scheduler *s) {
    for (const struct scheduler_entry *e = s->head; e; e = e->next)
        if (scheduler_may_start(s, e)) return false;
    return true;
}

const struct plan *scheduler_plan(struct scheduler *scheduler) {
    struct scheduler *s = scheduler;
    assert(!s->planned);
    s->planned = true;
    s->plan = (struct plan){.segments = s->segments};
    s->n_chunks = 0;
    close_gaps(s);
    if (s->is_holding) close_idle_prefixes(s);
    scheduler_room_begin(s);
    s->victim = s->n_rows - 1;
    s->room_is_bound = false;
    s->budget = s->options.prefill_chunk;
    for (int32_t i = 0; i < s->n_rows; i++) plan_row(s, i);
    if (s->plan.n_rows == s->n_rows) plan_prompts(s);
    memcpy(&s->segments[s->plan.n_rows], s->chunks, (size_t)s->n_chunks * sizeof *s->chunks);
    s->plan.n_segments = s->plan.n_rows + s->n_chunks;
    if (s->plan.n_segments == 0) { // nothing is left that the operations could be for
        assert(s->n_rows == 0 && nothing_may_start(s));
        cache_clear_ops(s->cache);
        s->planned = false;
    }
    s->plan.ops = cache_ops(s->cache, &s->plan.n_ops);
    return &s->plan;
}

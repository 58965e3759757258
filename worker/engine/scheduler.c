#include "worker/engine/scheduler.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"
#include "worker/engine/scheduler_state.h"

enum { MAX_SAMPLES = 1 << 20, FADE = 1024, ENOUGH_LENGTHS = 32 };

static int check_range(const char *name, int64_t value, int64_t low, int64_t high,
                       enum error_code code, struct error *err) {
    if (value >= low && value <= high) return 0;
    return error_set(err, code, "%s is %lld, but must be %lld to %lld.", name, (long long)value,
                     (long long)low, (long long)high);
}

static int check_options(const struct scheduler_options *o, struct error *err) {
    const struct {
        const char *name;
        int32_t value, low;
    } options[] = {
        {"max_rows", o->max_rows, 1},
        {"max_prefixes", o->max_prefixes, 1},
        {"n_pages", o->n_pages, 1},
        {"page_tokens", o->page_tokens, 1},
        {"suspend_pages", o->suspend_pages, 0},
        {"suspend_slots", o->suspend_slots, 0},
        {"max_context", o->max_context, 1},
        {"prefill_chunk", o->prefill_chunk, 1},
        {"max_draft", o->max_draft, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (check_range(options[i].name, options[i].value, options[i].low, 1 << 30, ERROR_USAGE,
                        err))
            return -1;
    return 0;
}

struct scheduler *scheduler_open(const struct scheduler_options *options, struct error *err) {
    const struct scheduler_options *o = options;
    if (check_options(o, err)) return NULL;
    struct scheduler *s = memory_new(1, sizeof *s);
    s->options = *o;
    s->version = o->version;
    s->next_id = 1;
    s->cache = cache_open(&(struct cache_options){
        .page_tokens = o->page_tokens,
        .n_pages = o->n_pages,
        .n_conv_slots = o->max_rows + o->max_prefixes,
        .arena_pages = o->suspend_pages,
        .arena_slots = o->suspend_slots,
        .max_tokens = o->max_context,
    });
    size_t n_rows = (size_t)o->max_rows, n_prefixes = (size_t)o->max_prefixes;
    s->rows = memory_new(n_rows, sizeof *s->rows);
    s->order = memory_new(n_rows, sizeof *s->order);
    s->free_rows = memory_new(n_rows, sizeof *s->free_rows);
    for (int32_t i = 0; i < o->max_rows; i++) s->free_rows[i] = o->max_rows - 1 - i;
    s->prefix_memory = memory_new(n_prefixes, sizeof *s->prefix_memory);
    s->prefixes = memory_new(n_prefixes, sizeof *s->prefixes);
    for (size_t i = 0; i < n_prefixes; i++) s->prefixes[i] = &s->prefix_memory[i];
    s->ends_room = o->max_rows;
    s->ends = memory_new(n_rows, sizeof *s->ends);
    s->segments = memory_new(n_rows + n_prefixes, sizeof *s->segments);
    s->chunks = memory_new(n_prefixes, sizeof *s->chunks);
    s->chunk_owners = memory_new(n_prefixes, sizeof *s->chunk_owners);
    s->shares = memory_new(n_rows + n_prefixes, sizeof *s->shares);
    s->free_shares = memory_new(n_rows + n_prefixes, sizeof *s->free_shares);
    s->n_free_shares = o->max_rows + o->max_prefixes;
    for (int32_t i = 0; i < s->n_free_shares; i++) s->free_shares[i] = i;
    return s;
}

static void free_entry(struct scheduler_entry *e) {
    free(e->samples);
    free(e->n_drawn);
    free(e);
}

void scheduler_free(struct scheduler **scheduler) {
    struct scheduler *s = *scheduler;
    if (!s) return;
    for (struct scheduler_entry *e = s->head, *next; e; e = next) {
        next = e->next;
        free_entry(e);
    }
    cache_free(&s->cache);
    free(s->rows);
    free(s->order);
    free(s->free_rows);
    free(s->prefix_memory);
    free(s->prefixes);
    free(s->ends);
    free(s->segments);
    free(s->chunks);
    free(s->chunk_owners);
    free(s->shares);
    free(s->free_shares);
    free(s);
    *scheduler = NULL;
}

int32_t scheduler_row_tokens(const struct scheduler *s, const struct scheduler_task *task) {
    int64_t n = (int64_t)task->n_prompt - 1 + task->max_new_tokens;
    return n < s->options.max_context ? (int32_t)n : s->options.max_context;
}

// A prefix that stays alive beside the row that forks it keeps its own copy of a partial page.
static int32_t task_pages(const struct scheduler *s, const struct scheduler_task *task,
                          int32_t n_waiting) {
    bool copied = task->max_new_tokens > 0 && n_waiting > 1 &&
                  (task->n_prompt - 1) % s->options.page_tokens != 0;
    return cache_pages_for(s->cache, scheduler_row_tokens(s, task)) + copied;
}

int32_t scheduler_entry_pages(const struct scheduler *s, const struct scheduler_entry *e) {
    return task_pages(s, &e->task, e->n_waiting);
}

int scheduler_check_task(const struct scheduler *scheduler, const struct scheduler_task *task,
                         struct error *err) {
    const struct scheduler *s = scheduler;
    if (check_range("The number of prompt tokens", task->n_prompt, 1, s->options.max_context,
                    ERROR_INPUT, err) ||
        check_range("The number of samples", task->n_samples, 1, MAX_SAMPLES, ERROR_INPUT, err) ||
        check_range("The first sample", task->first_sample, 0, INT32_MAX - MAX_SAMPLES, ERROR_INPUT,
                    err) ||
        check_range("max_new_tokens", task->max_new_tokens, 0, INT32_MAX, ERROR_INPUT, err))
        return -1;
    if (task->max_new_tokens == 0 && task->n_prompt == 1)
        return error_set(err, ERROR_INPUT,
                         "A prompt of one token with max_new_tokens 0 leaves nothing to compute.");
    int32_t n = task_pages(s, task, task->n_samples);
    if (n > s->options.n_pages)
        return error_set(err, ERROR_INPUT,
                         "A prompt of %d tokens with max_new_tokens %d needs %d KV pages of %d "
                         "tokens, but there are %d.",
                         task->n_prompt, task->max_new_tokens, n, s->options.page_tokens,
                         s->options.n_pages);
    return 0;
}

struct scheduler_entry *scheduler_add_task(struct scheduler *scheduler,
                                           const struct scheduler_task *task) {
    struct scheduler *s = scheduler;
    assert(!s->planned && scheduler_check_task(s, task, NULL) == 0);
    struct scheduler_entry *e = memory_new(1, sizeof *e);
    *e = (struct scheduler_entry){.task = *task, .id = s->next_id++, .prev = s->tail};
    e->samples = memory_new((size_t)task->n_samples, sizeof *e->samples);
    for (int32_t i = 0; i < task->n_samples; i++) e->samples[i] = SAMPLE_WAITING;
    e->n_waiting = task->n_samples;
    e->row_pages = cache_pages_for(s->cache, scheduler_row_tokens(s, task));
    *(s->tail ? &s->tail->next : &s->head) = e;
    s->tail = e;
    s->n_tasks++;
    s->n_waiting += e->n_waiting;
    return e;
}

void scheduler_release(struct scheduler *scheduler, struct scheduler_entry *entry) {
    assert(!scheduler->planned);
    entry->task.is_held = false;
}

int32_t scheduler_new_share(struct scheduler *s) {
    assert(s->n_free_shares > 0);
    int32_t share = s->free_shares[--s->n_free_shares];
    s->shares[share].n_holders = 1;
    return share;
}

void scheduler_leave_share(struct scheduler *s, int32_t share) {
    if (share < 0 || --s->shares[share].n_holders > 0) return;
    s->free_shares[s->n_free_shares++] = share;
}

void scheduler_drop_prefix(struct scheduler *s, struct scheduler_entry *e) {
    struct prefix *prefix = e->prefix;
    int32_t i = 0;
    while (s->prefixes[i] != prefix) i++;
    s->n_prefixes--;
    memmove(&s->prefixes[i], &s->prefixes[i + 1], (size_t)(s->n_prefixes - i) * sizeof prefix);
    s->prefixes[s->n_prefixes] = prefix;
    e->prefix = NULL;
}

void scheduler_close_prefix(struct scheduler *s, struct scheduler_entry *e) {
    if (!e->prefix) return;
    cache_close_seq(s->cache, e->prefix->seq);
    scheduler_leave_share(s, e->prefix->share);
    scheduler_drop_prefix(s, e);
}

// After samples have ended: a prefix that nobody waits for goes, and so does a task of which no
// sample is left.
static void settle(struct scheduler *s, struct scheduler_entry *e) {
    if (e->n_waiting > 0) return;
    scheduler_close_prefix(s, e);
    if (e->n_live > 0) return;
    s->n_tasks--;
    *(e->prev ? &e->prev->next : &s->head) = e->next;
    *(e->next ? &e->next->prev : &s->tail) = e->prev;
    free_entry(e);
}

static void add_end(struct scheduler *s, const struct scheduler_entry *e, int32_t sample,
                    int32_t row) {
    if (s->n_ends == s->ends_room) {
        s->ends_room *= 2;
        s->ends = memory_resize(s->ends, (size_t)s->ends_room, sizeof *s->ends);
    }
    s->ends[s->n_ends++] = (struct scheduler_end){e->task.user, e->task.first_sample + sample, row};
}

static struct scheduler_ends ends(const struct scheduler *s) {
    return (struct scheduler_ends){s->ends, s->n_ends};
}

// Gives back what the row holds; its sample becomes SAMPLE_WAITING or SAMPLE_ENDED.
static void close_row(struct scheduler *s, int32_t slot, int32_t state) {
    struct row_slot *row = &s->rows[slot];
    struct scheduler_entry *e = row->entry;
    add_end(s, e, row->sample, slot);
    cache_close_seq(s->cache, row->seq);
    scheduler_leave_share(s, row->share);
    e->samples[row->sample] = state;
    e->n_live--;
    e->n_waiting += state == SAMPLE_WAITING;
    s->n_waiting += state == SAMPLE_WAITING;
    *row = (struct row_slot){0};
    s->n_rows--;
    s->free_rows[s->options.max_rows - s->n_rows - 1] = slot;
}

// A sample that waits has n tokens from before a recompute now, or none any more.
static void set_drawn(struct scheduler *s, struct scheduler_entry *e, int32_t sample, int32_t n) {
    if (!e->n_drawn && n == 0) return;
    if (!e->n_drawn) e->n_drawn = memory_new((size_t)e->task.n_samples, sizeof *e->n_drawn);
    int32_t change = (n > 0) - (e->n_drawn[sample] > 0);
    e->n_drawn[sample] = n;
    e->n_returning += change;
    s->n_returning += change;
}

int32_t scheduler_take_drawn(struct scheduler *s, struct scheduler_entry *e, int32_t sample) {
    int32_t n = e->n_drawn ? e->n_drawn[sample] : 0;
    set_drawn(s, e, sample, 0);
    return n;
}

static void end_waiting(struct scheduler *s, struct scheduler_entry *e, int32_t sample) {
    assert(e->samples[sample] == SAMPLE_WAITING);
    add_end(s, e, sample, -1);
    set_drawn(s, e, sample, 0);
    e->samples[sample] = SAMPLE_ENDED;
    e->n_waiting--;
    s->n_waiting--;
}

static void count_length(struct scheduler *s, int32_t length) {
    s->length_sum += length;
    if (++s->length_n < FADE) return;
    s->length_sum /= 2;
    s->length_n /= 2;
}

int32_t scheduler_mean_length(const struct scheduler *s) {
    if (s->length_n < ENOUGH_LENGTHS) return -1;
    return (int32_t)((s->length_sum + s->length_n - 1) / s->length_n);
}

static void commit_row(struct scheduler *s, const struct segment *g, struct outcome outcome) {
    struct row_slot *row = &s->rows[g->row];
    struct scheduler_entry *e = row->entry;
    int32_t n_kept = outcome.n_kept;
    assert(n_kept >= 1 && n_kept <= g->n_tokens);
    cache_advance_seq(s->cache, row->seq, n_kept);
    if (n_kept < g->n_tokens) cache_trim_seq(s->cache, row->seq);
    if (!outcome.finished && !(g->is_last && n_kept == g->n_tokens)) return;
    count_length(s, g->position + n_kept - (e->task.n_prompt - 1));
    s->n_rows_finished++;
    close_row(s, g->row, SAMPLE_ENDED);
    settle(s, e);
}

static void end_unbegun(struct scheduler *s, struct scheduler_entry *e) {
    for (int32_t i = 0; e->n_waiting > e->n_returning; i++)
        if (e->samples[i] == SAMPLE_WAITING && !(e->n_drawn && e->n_drawn[i])) end_waiting(s, e, i);
}

static void commit_prefix(struct scheduler *s, const struct segment *g, struct scheduler_entry *e) {
    cache_advance_seq(s->cache, e->prefix->seq, g->n_tokens);
    if (!g->is_last || e->task.max_new_tokens > 0) return;
    end_unbegun(s, e);
    settle(s, e);
}

struct scheduler_ends scheduler_commit(struct scheduler *scheduler,
                                       const struct outcome *outcomes) {
    struct scheduler *s = scheduler;
    assert(s->planned);
    s->planned = false;
    s->n_ends = 0;
    for (int32_t i = 0; i < s->plan.n_rows; i++) commit_row(s, &s->segments[i], outcomes[i]);
    for (int32_t i = 0; i < s->n_chunks; i++) commit_prefix(s, &s->chunks[i], s->chunk_owners[i]);
    cache_clear_ops(s->cache);
    return ends(s);
}

struct scheduler_ends scheduler_cancel(struct scheduler *scheduler, struct scheduler_entry *entry,
                                       int32_t first, int32_t n) {
    struct scheduler *s = scheduler;
    struct scheduler_entry *e = entry;
    assert(!s->planned && first >= 0 && n >= 0);
    int64_t from = (int64_t)first - e->task.first_sample, to = from + n;
    s->n_ends = 0;
    for (int64_t i = from < 0 ? 0 : from; i < to && i < e->task.n_samples; i++) {
        if (e->samples[i] == SAMPLE_WAITING)
            end_waiting(s, e, (int32_t)i);
        else if (e->samples[i] != SAMPLE_ENDED)
            close_row(s, e->samples[i], SAMPLE_ENDED);
    }
    settle(s, e);
    return ends(s);
}

struct scheduler_ends scheduler_cancel_waiting(struct scheduler *scheduler,
                                               struct scheduler_entry *entry) {
    assert(!scheduler->planned);
    scheduler->n_ends = 0;
    end_unbegun(scheduler, entry);
    settle(scheduler, entry);
    return ends(scheduler);
}

struct scheduler_ends scheduler_restart(struct scheduler *scheduler,
                                        struct scheduler_entry *entry) {
    struct scheduler *s = scheduler;
    struct scheduler_entry *e = entry;
    assert(!s->planned);
    s->n_ends = 0;
    scheduler_close_prefix(s, e);
    for (int32_t i = 0; e->n_live + e->n_returning > 0; i++) {
        if (e->samples[i] >= 0) {
            close_row(s, e->samples[i], SAMPLE_WAITING);
        } else if (e->n_drawn && e->n_drawn[i] > 0) {
            add_end(s, e, i, -1);
            set_drawn(s, e, i, 0);
        }
    }
    e->next_sample = 0;
    return ends(s);
}

// A row that recomputes still has what it had when it started.
static int32_t n_drawn_of(const struct scheduler *s, const struct row_slot *row) {
    int32_t n = cache_seq(s->cache, row->seq).n_tokens - (row->entry->task.n_prompt - 1);
    return n > row->n_drawn ? n : row->n_drawn;
}

struct scheduler_ends scheduler_recompute(struct scheduler *scheduler,
                                          struct scheduler_entry *entry) {
    struct scheduler *s = scheduler;
    struct scheduler_entry *e = entry;
    assert(!s->planned);
    s->n_ends = 0;
    if (e->n_live == 0) return ends(s); // the prefix is of the new version
    scheduler_close_prefix(s, e);
    for (int32_t i = 0; e->n_live > 0; i++) {
        if (e->samples[i] < 0) continue;
        int32_t n = n_drawn_of(s, &s->rows[e->samples[i]]);
        close_row(s, e->samples[i], SAMPLE_WAITING);
        set_drawn(s, e, i, n);
    }
    e->next_sample = 0;
    return ends(s);
}

void scheduler_hold(struct scheduler *scheduler, bool is_holding) {
    assert(!scheduler->planned);
    scheduler->is_holding = is_holding;
}

bool scheduler_may_start(const struct scheduler *s, const struct scheduler_entry *e) {
    if (e->n_waiting == 0 || e->task.is_held) return false;
    return !s->is_holding || e->n_returning > 0;
}

// Rows keep their part of an old prefix, and the account (scheduler_room) stays as it was: what
// the prefix gives back or leaves to its rows is what it then needs more.
void scheduler_set_version(struct scheduler *scheduler, uint64_t version) {
    assert(!scheduler->planned);
    if (scheduler->version == version) return;
    scheduler->version = version;
    for (int32_t i = 0; i < scheduler->n_prefixes; i++) {
        struct prefix *prefix = scheduler->prefixes[i];
        cache_reset_seq(scheduler->cache, prefix->seq, version);
        scheduler_leave_share(scheduler, prefix->share);
        prefix->share = scheduler_new_share(scheduler);
    }
}

struct scheduler_stats scheduler_stats(const struct scheduler *scheduler) {
    const struct scheduler *s = scheduler;
    struct scheduler_stats stats = {
        .n_tasks = s->n_tasks,
        .n_waiting = s->n_waiting,
        .n_prefixes = s->n_prefixes,
        .n_free_rows = s->options.max_rows - s->n_rows,
        .n_free_pages = cache_n_free_pages(s->cache),
        .n_free_arena_pages = cache_n_free_arena_pages(s->cache),
        .mean_length = scheduler_mean_length(s),
        .n_preempted = s->n_preempted,
        .n_pages_moved = s->n_pages_moved,
        .n_rows_finished = s->n_rows_finished,
    };
    for (int32_t i = 0; i < s->options.max_rows; i++) {
        if (!s->rows[i].entry) continue;
        struct cache_seq seq = cache_seq(s->cache, s->rows[i].seq);
        stats.n_running += seq.awake;
        stats.n_stalled += !seq.awake && seq.n_away == 0;
        stats.n_suspended += !seq.awake && seq.n_away > 0;
    }
    return stats;
}

int32_t scheduler_n_rows(const struct scheduler *scheduler) {
    return scheduler->n_rows;
}

int32_t scheduler_n_begun(const struct scheduler *scheduler) {
    return scheduler->n_rows + scheduler->n_returning;
}

const struct cache *scheduler_cache(const struct scheduler *scheduler) {
    return scheduler->cache;
}

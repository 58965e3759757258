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
    s->prefixes = memory_new(n_prefixes, sizeof *s->prefixes);
    s->segments = memory_new(n_rows + n_prefixes, sizeof *s->segments);
    s->chunks = memory_new(n_prefixes, sizeof *s->chunks);
    s->last = memory_new((size_t)o->n_pages + (size_t)o->suspend_pages, sizeof *s->last);
    return s;
}

static void free_entry(struct entry *e) {
    free(e->samples);
    free(e);
}

void scheduler_free(struct scheduler **scheduler) {
    struct scheduler *s = *scheduler;
    if (!s) return;
    for (struct entry *e = s->head, *next; e; e = next) {
        next = e->next;
        free_entry(e);
    }
    cache_free(&s->cache);
    free(s->rows);
    free(s->order);
    free(s->free_rows);
    free(s->prefixes);
    free(s->segments);
    free(s->chunks);
    free(s->last);
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

int32_t scheduler_entry_pages(const struct scheduler *s, const struct entry *e) {
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

uint64_t scheduler_add_task(struct scheduler *scheduler, const struct scheduler_task *task) {
    struct scheduler *s = scheduler;
    assert(!s->planned && scheduler_check_task(s, task, NULL) == 0);
    struct entry *e = memory_new(1, sizeof *e);
    *e = (struct entry){.task = *task, .id = s->next_id++, .prefix = -1, .prev = s->tail};
    e->samples = memory_new((size_t)task->n_samples, sizeof *e->samples);
    e->n_waiting = task->n_samples;
    *(s->tail ? &s->tail->next : &s->head) = e;
    s->tail = e;
    s->n_tasks++;
    s->n_waiting += e->n_waiting;
    return e->id;
}

void scheduler_drop_prefix(struct scheduler *s, struct entry *e) {
    int32_t i = 0;
    while (s->prefixes[i] != e) i++;
    s->n_prefixes--;
    memmove(&s->prefixes[i], &s->prefixes[i + 1],
            (size_t)(s->n_prefixes - i) * sizeof(struct entry *));
    e->prefix = -1;
}

static void close_prefix(struct scheduler *s, struct entry *e) {
    if (e->prefix < 0) return;
    cache_close_seq(s->cache, e->prefix);
    scheduler_drop_prefix(s, e);
}

static void remove_entry(struct scheduler *s, struct entry *e) {
    assert(e->n_live == 0);
    close_prefix(s, e);
    s->n_tasks--;
    s->n_waiting -= e->n_waiting;
    *(e->prev ? &e->prev->next : &s->head) = e->next;
    *(e->next ? &e->next->prev : &s->tail) = e->prev;
    free_entry(e);
}

static void close_row(struct scheduler *s, int32_t slot, enum sample_state state) {
    struct row *row = &s->rows[slot];
    cache_close_seq(s->cache, row->seq);
    row->entry->samples[row->sample] = (uint8_t)state;
    row->entry->n_live--;
    row->entry->n_waiting += state == SAMPLE_WAITING;
    s->n_waiting += state == SAMPLE_WAITING;
    *row = (struct row){0};
    int32_t i = 0;
    while (s->order[i] != slot) i++;
    s->n_rows--;
    memmove(&s->order[i], &s->order[i + 1], (size_t)(s->n_rows - i) * sizeof *s->order);
    s->free_rows[s->options.max_rows - s->n_rows - 1] = slot;
}

// Ends the rows of a task, youngest first; their samples become `state`. Returns their number.
static int32_t close_rows(struct scheduler *s, struct entry *e, enum sample_state state) {
    int32_t n = e->n_live;
    for (int32_t i = s->n_rows - 1; i >= 0; i--)
        if (s->rows[s->order[i]].entry == e) close_row(s, s->order[i], state);
    return n;
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

static void commit_row(struct scheduler *s, const struct segment *g, bool finished) {
    struct row *row = &s->rows[g->row];
    struct entry *e = row->entry;
    cache_advance_seq(s->cache, row->seq, 1);
    if (!finished && !g->is_last) return;
    count_length(s, g->position + 1 - (e->task.n_prompt - 1));
    s->n_rows_finished++;
    close_row(s, g->row, SAMPLE_FINISHED);
    if (e->n_live == 0 && e->n_waiting == 0) remove_entry(s, e);
}

static struct entry *find_entry(const struct scheduler *s, uint64_t id) {
    struct entry *e = s->head;
    while (e && e->id != id) e = e->next;
    return e;
}

void scheduler_commit(struct scheduler *scheduler, const bool *finished) {
    struct scheduler *s = scheduler;
    assert(s->planned);
    s->planned = false;
    for (int32_t i = 0; i < s->plan.n_segments; i++) {
        const struct segment *g = &s->segments[i];
        if (i < s->plan.n_rows) {
            commit_row(s, g, finished[i]);
            continue;
        }
        struct entry *e = find_entry(s, g->task);
        cache_advance_seq(s->cache, e->prefix, g->n_tokens);
        if (g->is_last && e->task.max_new_tokens == 0) remove_entry(s, e);
    }
    cache_clear_ops(s->cache);
}

static int32_t cancel(struct scheduler *s, struct entry *e) {
    int32_t n = e->n_waiting + close_rows(s, e, SAMPLE_FINISHED);
    remove_entry(s, e);
    return n;
}

int32_t scheduler_cancel_task(struct scheduler *scheduler, uint64_t id) {
    assert(!scheduler->planned);
    struct entry *e = find_entry(scheduler, id);
    return e ? cancel(scheduler, e) : 0;
}

int32_t scheduler_cancel_group(struct scheduler *scheduler, uint64_t serial) {
    assert(!scheduler->planned);
    int32_t n = 0;
    for (struct entry *e = scheduler->head, *next; e; e = next) {
        next = e->next;
        if (e->task.serial == serial) n += cancel(scheduler, e);
    }
    return n;
}

int32_t scheduler_cancel_all(struct scheduler *scheduler) {
    assert(!scheduler->planned);
    int32_t n = 0;
    while (scheduler->head) n += cancel(scheduler, scheduler->head);
    return n;
}

int32_t scheduler_restart_task(struct scheduler *scheduler, uint64_t id) {
    assert(!scheduler->planned);
    struct entry *e = find_entry(scheduler, id);
    if (!e) return 0;
    close_prefix(scheduler, e);
    return close_rows(scheduler, e, SAMPLE_WAITING);
}

// Rows keep their part of an old prefix, and the account (scheduler_room) stays as it was: what
// the prefix gives back or leaves to its rows is what it then needs more.
void scheduler_set_version(struct scheduler *scheduler, uint64_t version) {
    assert(!scheduler->planned);
    if (scheduler->version == version) return;
    scheduler->version = version;
    for (int32_t i = 0; i < scheduler->n_prefixes; i++)
        cache_reset_seq(scheduler->cache, scheduler->prefixes[i]->prefix, version);
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
    for (int32_t i = 0; i < s->n_rows; i++) {
        struct cache_seq seq = cache_seq(s->cache, s->rows[s->order[i]].seq);
        stats.n_running += seq.awake;
        stats.n_stalled += !seq.awake && seq.n_away == 0;
        stats.n_suspended += !seq.awake && seq.n_away > 0;
    }
    return stats;
}

const struct cache *scheduler_cache(const struct scheduler *scheduler) {
    return scheduler->cache;
}

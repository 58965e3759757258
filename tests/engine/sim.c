#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/engine/sim.h"

enum { JUNK = -1 };

uint32_t sim_draw(uint64_t *state, uint32_t n) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % n);
}

void sim_open(struct sim *sim, const struct scheduler_options *o, uint64_t seed) {
    struct error err;
    size_t n_conv = (size_t)(o->max_rows + o->max_prefixes), page = (size_t)o->page_tokens;
    *sim = (struct sim){.options = *o, .seed = seed, .version = o->version};
    sim->scheduler = scheduler_open(o, &err);
    assert_non_null(sim->scheduler);
    sim->pages = memory_new((size_t)o->n_pages * page, sizeof *sim->pages);
    sim->arena = memory_new((size_t)o->suspend_pages * page, sizeof *sim->arena);
    sim->n_ring = 1 + o->max_draft;
    size_t ring = (size_t)sim->n_ring;
    sim->conv = memory_new(n_conv * ring, sizeof *sim->conv);
    sim->arena_conv = memory_new((size_t)o->suspend_slots * ring, sizeof *sim->arena_conv);
    sim->books = memory_new(SIM_MAX_TASKS, sizeof *sim->books);
    sim->slots = memory_new((size_t)o->max_rows, sizeof *sim->slots);
}

void sim_close(struct sim *sim) {
    scheduler_free(&sim->scheduler);
    assert_null(sim->scheduler);
    free(sim->pages);
    free(sim->arena);
    free(sim->conv);
    free(sim->arena_conv);
    free(sim->books);
    free(sim->slots);
}

void sim_check(const struct sim *sim) {
    const char *wrong = scheduler_check(sim->scheduler);
    if (wrong) fail_msg("%s", wrong);
}

static void move(int64_t *to, int64_t *from, int32_t n, bool keep) {
    for (int32_t i = 0; i < n; i++) {
        to[i] = from[i];
        if (!keep) from[i] = JUNK; // what was moved away must not be read again
    }
}

static void trace(struct sim *sim, int64_t a, int64_t b, int64_t c) {
    sim->trace = ((sim->trace * 31 + (uint64_t)a) * 31 + (uint64_t)b) * 31 + (uint64_t)c;
}

static void execute(struct sim *sim, const struct cache_op *op) {
    int32_t n = sim->options.page_tokens;
    int64_t *page_to = sim->pages + (int64_t)op->to * n;
    int64_t *page_from = sim->pages + (int64_t)op->from * n;
    int32_t n_ring = sim->n_ring, to = op->to * n_ring, from = op->from * n_ring;
    sim->n_ops[op->kind]++;
    trace(sim, op->kind, op->from, op->to);
    switch (op->kind) {
    case CACHE_PAGE_COPY:
        move(page_to, page_from, n, true);
        break;
    case CACHE_PAGE_SUSPEND:
        move(sim->arena + (int64_t)op->to * n, page_from, n, false);
        break;
    case CACHE_PAGE_RESUME:
        move(page_to, sim->arena + (int64_t)op->from * n, n, false);
        break;
    case CACHE_CONV_COPY:
        move(&sim->conv[to], &sim->conv[from], n_ring, true);
        break;
    case CACHE_CONV_SUSPEND:
        move(&sim->arena_conv[to], &sim->conv[from], n_ring, false);
        break;
    case CACHE_CONV_RESUME:
        move(&sim->conv[to], &sim->arena_conv[from], n_ring, false);
        break;
    }
}

// The segment's sequence sees its own history, and nobody else sees what it writes.
static void compute(struct sim *sim, const struct segment *g, struct history *h) {
    int32_t n = sim->options.page_tokens, end = g->position + g->n_tokens;
    int64_t *conv = sim->conv + (int64_t)g->conv_slot * sim->n_ring;
    assert_int_equal(h->n, g->position);
    trace(sim, g->row, g->position, g->n_tokens);
    assert_in_range(g->n_pages, (end + n - 1) / n, SIM_MAX_CONTEXT);
    for (int32_t p = 0; p < h->n; p++)
        assert_int_equal(sim->pages[(int64_t)g->pages[p / n] * n + p % n], h->values[p]);
    if (h->n > 0) assert_int_equal(conv[(h->n - 1) % sim->n_ring], h->values[h->n - 1]);
    for (; h->n < end; h->n++) {
        int32_t page = g->pages[h->n / n];
        assert_int_equal(cache_page_holders(scheduler_cache(sim->scheduler), page), 1);
        h->values[h->n] = ++sim->counter;
        sim->pages[(int64_t)page * n + h->n % n] = sim->counter;
        conv[h->n % sim->n_ring] = sim->counter;
    }
}

static void check_start_order(const struct sim *sim, const struct book *book, int32_t sample) {
    for (int32_t i = 0; i < sample; i++) {
        assert_int_not_equal(book->samples[i], WAITING);
        assert_int_not_equal(book->samples[i], RETURNING);
    }
    if (sim->restarted) return;
    for (const struct book *b = sim->books; b < book; b++) {
        if (!b->open || b->task.is_held || b->task.max_new_tokens == 0) continue;
        for (int32_t i = 0; i < b->task.n_samples; i++)
            assert_int_not_equal(b->samples[i], WAITING);
    }
}

static int32_t row_limit(const struct sim *sim, const struct scheduler_task *t) {
    int32_t n = t->n_prompt - 1 + t->max_new_tokens;
    return n < sim->options.max_context ? n : sim->options.max_context;
}

// A row that has more tokens than positions is fed those first, and draws once behind the last.
static void check_recomputed(struct sim *sim, const struct segment *g, const struct slot *slot) {
    int32_t left = slot->book->task.n_prompt - 1 + slot->n_drawn - g->position;
    assert_true(left >= 0);
    assert_int_equal(g->n_recomputed, left < g->n_tokens ? left : g->n_tokens);
    if (left > 0)
        assert_in_range(g->n_tokens, 1, left + 1);
    else
        assert_in_range(g->n_tokens, 1, 1 + sim->options.max_draft);
    sim->n_recomputed += g->n_recomputed;
}

static void compute_row(struct sim *sim, const struct segment *g) {
    struct slot *slot = &sim->slots[g->row];
    struct book *book = g->user;
    int32_t sample = g->sample - book->task.first_sample;
    assert_int_equal(g->is_first, slot->book == NULL);
    if (g->is_first) {
        check_start_order(sim, book, sample);
        assert_true(book->samples[sample] == RETURNING ||
                    (book->samples[sample] == WAITING && !sim->is_holding));
        assert_int_equal(book->prefix.n, book->task.n_prompt - 1);
        if (book->prefix.n > 0) assert_int_equal(book->prefix.version, sim->version);
        book->samples[sample] = LIVE;
        *slot = (struct slot){book, sample, ++sim->n_started, book->n_drawn[sample], book->prefix};
        book->n_drawn[sample] = 0;
    }
    check_recomputed(sim, g, slot);
    assert_ptr_equal(slot->book, book);
    assert_int_equal(slot->sample, sample);
    assert_in_range(g->position + g->n_tokens, 1, row_limit(sim, &book->task));
    assert_int_equal(g->is_last, g->position + g->n_tokens == row_limit(sim, &book->task));
    compute(sim, g, &slot->history);
}

static int32_t n_in_state(const struct book *b, enum sim_state state) {
    int32_t n = 0;
    for (int32_t i = 0; i < b->task.n_samples; i++) n += b->samples[i] == state;
    return n;
}

static void compute_prefix(struct sim *sim, const struct segment *g) {
    struct book *book = g->user;
    assert_int_equal(g->is_first, g->position == 0);
    assert_int_equal(g->is_last, g->position + g->n_tokens == book->task.n_prompt - 1);
    assert_true(g->n_tokens >= 1);
    if (g->is_first) book->prefix = (struct history){.version = sim->version};
    assert_int_equal(book->prefix.version, sim->version);
    sim->n_prefilled += g->n_tokens;
    if (sim->is_holding) assert_true(n_in_state(book, RETURNING) > 0);
    compute(sim, g, &book->prefix);
}

static int32_t n_unfinished(const struct book *b) {
    return n_in_state(b, WAITING) + n_in_state(b, LIVE) + n_in_state(b, RETURNING);
}

// What the scheduler says of an end is what the books say of the sample, and is said once.
static void take_end(struct sim *sim, const struct scheduler_end *end, enum sim_state now) {
    struct book *book = end->user;
    int32_t sample = end->sample - book->task.first_sample;
    assert_in_range(sample, 0, book->task.n_samples - 1);
    if (end->row >= 0) {
        assert_int_equal(book->samples[sample], LIVE);
        assert_ptr_equal(sim->slots[end->row].book, book);
        assert_int_equal(sim->slots[end->row].sample, sample);
        sim->slots[end->row].book = NULL;
    } else {
        assert_true(book->samples[sample] == WAITING || book->samples[sample] == RETURNING);
    }
    book->n_drawn[sample] = now == RETURNING ? sim->slots[end->row].n_drawn : 0;
    book->samples[sample] = now;
    book->open = n_unfinished(book) > 0;
}

// The plan's order and bounds; the oldest row is in every plan.
static void check_plan(const struct sim *sim, const struct plan *plan) {
    const struct slot *oldest = NULL;
    for (int32_t i = 0; i < sim->options.max_rows; i++) {
        const struct slot *s = &sim->slots[i];
        if (s->book && (!oldest || s->start < oldest->start)) oldest = s;
    }
    if (oldest) assert_ptr_equal(&sim->slots[plan->segments[0].row], oldest);
    int32_t n_tokens = 0, n_prompt = 0, n_new = 0, n_live = 0, n_recomputed = 0;
    for (int32_t i = 0; i < sim->options.max_rows; i++) n_live += sim->slots[i].book != NULL;
    for (int32_t i = 0; i < plan->n_segments; i++) {
        const struct segment *g = &plan->segments[i];
        assert_int_equal(g->row >= 0, i < plan->n_rows);
        n_tokens += g->n_tokens;
        n_prompt += g->row < 0 ? g->n_tokens : 0;
        n_recomputed += g->n_recomputed;
        n_new += g->row >= 0 && g->is_first;
        for (int32_t k = 0; k < i; k++)
            assert_int_not_equal(g->conv_slot, plan->segments[k].conv_slot);
    }
    assert_int_equal(plan->n_tokens, n_tokens);
    // While a row waits, nothing new begins and no prompt takes pages from it.
    if (n_new + n_prompt > 0) assert_int_equal(plan->n_rows, n_live + n_new);
    assert_int_equal(plan->n_recomputed, n_recomputed);
    assert_in_range(n_prompt, 0, sim->options.prefill_chunk);
    assert_in_range(n_tokens, 1, sim->options.max_rows + sim->options.prefill_chunk);
}

// Guesses for some rows, in any order; nothing else of the plan changes.
static void draft(struct sim *sim, const struct plan *plan) {
    size_t n_ops = plan->n_ops;
    int32_t n_segments = plan->n_segments, n_tokens = plan->n_tokens;
    uint32_t most = (uint32_t)sim->options.max_draft + 2; // one more than there is room for
    int32_t first = plan->n_rows ? (int32_t)sim_draw(&sim->seed, (uint32_t)plan->n_rows) : 0;
    for (int32_t i = 0; i < plan->n_rows; i++) {
        int32_t at = (first + i) % plan->n_rows, n = (int32_t)sim_draw(&sim->seed, most);
        int32_t given = scheduler_draft(sim->scheduler, at, n);
        assert_in_range(given, 0, n);
        if (plan->segments[at].n_recomputed)
            assert_int_equal(given, 0);
        else
            assert_int_equal(plan->segments[at].n_tokens, 1 + given);
        n_tokens += given;
        sim->n_guessed += given;
    }
    size_t n_ops_now;
    cache_ops(scheduler_cache(sim->scheduler), &n_ops_now);
    assert_int_equal(n_ops_now, n_ops);
    assert_int_equal(plan->n_segments, n_segments);
    assert_int_equal(plan->n_tokens, n_tokens);
    sim_check(sim);
}

// How many of the row's tokens stand, and whether an end token was drawn behind those. What does
// not stand is forgotten, and lies in pages and slots as rubbish.
static struct outcome draw_outcome(struct sim *sim, const struct segment *g) {
    struct slot *slot = &sim->slots[g->row];
    bool draws = g->n_recomputed < g->n_tokens;
    struct outcome o = {g->n_recomputed + draws, false};
    if (!draws) return o;
    while (o.n_kept < g->n_tokens && sim_draw(&sim->seed, 4)) o.n_kept++;
    slot->n_drawn += o.n_kept - g->n_recomputed;
    o.finished = sim_draw(&sim->seed, 1000) < sim->finish_per_mille;
    sim->n_refused += g->n_tokens - o.n_kept;
    slot->history.n = g->position + o.n_kept;
    return o;
}

static bool is_due(const struct sim *sim, const struct segment *g, struct outcome o) {
    const struct book *book = g->user;
    if (g->row >= 0) return o.finished || g->position + o.n_kept == row_limit(sim, &book->task);
    return g->is_last && book->task.max_new_tokens == 0;
}

bool sim_step(struct sim *sim) {
    const struct plan *plan = scheduler_plan(sim->scheduler);
    int32_t n = plan->n_segments, n_due = 0;
    sim_check(sim);
    for (size_t i = 0; i < plan->n_ops; i++) execute(sim, &plan->ops[i]);
    if (n == 0) {
        for (const struct book *b = sim->books; b < sim->books + sim->n_books; b++)
            assert_true(!b->open || b->task.is_held ||
                        (sim->is_holding && n_in_state(b, WAITING) == n_unfinished(b)));
        return false;
    }
    check_plan(sim, plan);
    if (sim->options.max_draft > 0) draft(sim, plan);
    check_plan(sim, plan);
    for (int32_t i = 0; i < plan->n_rows; i++) compute_row(sim, &plan->segments[i]);
    for (int32_t i = plan->n_rows; i < n; i++) compute_prefix(sim, &plan->segments[i]);
    struct outcome *outcomes = memory_new((size_t)n, sizeof *outcomes);
    for (int32_t i = 0; i < n; i++) {
        const struct segment *g = &plan->segments[i];
        if (g->row >= 0) outcomes[i] = draw_outcome(sim, g);
        if (is_due(sim, g, outcomes[i])) n_due += g->row >= 0 ? 1 : n_unfinished(g->user);
    }
    sim->n_stalled += scheduler_stats(sim->scheduler).n_stalled;
    struct scheduler_ends ends = scheduler_commit(sim->scheduler, outcomes);
    assert_int_equal(ends.n, n_due);
    for (int32_t i = 0; i < ends.n; i++) take_end(sim, &ends.items[i], DONE);
    free(outcomes);
    sim_check(sim);
    return true;
}

void sim_check_counts(const struct sim *sim) {
    struct scheduler_stats stats = scheduler_stats(sim->scheduler);
    int32_t n_tasks = 0, n_waiting = 0, n_live = 0, n_returning = 0;
    for (const struct book *b = sim->books; b < sim->books + sim->n_books; b++) {
        n_tasks += b->open;
        for (int32_t i = 0; i < b->task.n_samples; i++) {
            n_waiting += b->open && b->samples[i] == WAITING;
            n_live += b->samples[i] == LIVE;
            n_returning += b->samples[i] == RETURNING;
        }
    }
    assert_int_equal(stats.n_tasks, n_tasks);
    assert_int_equal(stats.n_waiting, n_waiting + n_returning);
    assert_int_equal(scheduler_n_begun(sim->scheduler), n_live + n_returning);
    assert_int_equal(stats.n_running + stats.n_stalled + stats.n_suspended, n_live);
    assert_int_equal(stats.n_free_rows, sim->options.max_rows - n_live);
}

static struct book *add(struct sim *sim, struct scheduler_task task) {
    struct error err;
    assert_true(sim->n_books < SIM_MAX_TASKS);
    struct book *book = &sim->books[sim->n_books];
    task.first_sample = (int32_t)sim_draw(&sim->seed, 3) * 100;
    task.user = book;
    if (scheduler_check_task(sim->scheduler, &task, &err)) {
        assert_int_equal(err.code, ERROR_INPUT);
        return NULL;
    }
    *book = (struct book){.task = task, .open = true};
    book->entry = scheduler_add_task(sim->scheduler, &task);
    sim->n_books++;
    return book;
}

struct book *sim_add(struct sim *sim, int32_t n_prompt, int32_t n_samples, int32_t max_new_tokens) {
    return add(sim, (struct scheduler_task){.n_prompt = n_prompt,
                                            .n_samples = n_samples,
                                            .max_new_tokens = max_new_tokens});
}

struct book *sim_add_held(struct sim *sim, int32_t n_prompt, int32_t n_samples,
                          int32_t max_new_tokens) {
    return add(sim, (struct scheduler_task){.n_prompt = n_prompt,
                                            .n_samples = n_samples,
                                            .max_new_tokens = max_new_tokens,
                                            .is_held = true});
}

void sim_release(struct sim *sim, struct book *book) {
    if (!book->open || !book->task.is_held) return;
    book->task.is_held = false;
    sim->restarted = true; // those behind it have passed
    scheduler_release(sim->scheduler, book->entry);
}

// Takes the ends of a call by which `n` samples end.
static void take_ends(struct sim *sim, struct scheduler_ends ends, int32_t n) {
    assert_int_equal(ends.n, n);
    for (int32_t i = 0; i < n; i++) take_end(sim, &ends.items[i], CANCELLED);
}

void sim_cancel(struct sim *sim, struct book *book, int32_t first, int32_t n) {
    int32_t n_ends = 0;
    if (!book->open) return;
    for (int32_t i = first < 0 ? 0 : first; i < first + n && i < book->task.n_samples; i++)
        n_ends += book->samples[i] == WAITING || book->samples[i] == LIVE ||
                  book->samples[i] == RETURNING;
    int32_t from = book->task.first_sample + first, end = from + n;
    if (from < 0) from = 0;
    n = end < from ? 0 : end - from;
    take_ends(sim, scheduler_cancel(sim->scheduler, book->entry, from, n), n_ends);
}

void sim_cancel_waiting(struct sim *sim, struct book *book) {
    int32_t n_ends = 0;
    if (!book->open) return;
    for (int32_t i = 0; i < book->task.n_samples; i++) n_ends += book->samples[i] == WAITING;
    take_ends(sim, scheduler_cancel_waiting(sim->scheduler, book->entry), n_ends);
}

void sim_restart(struct sim *sim, struct book *book) {
    int32_t n = 0;
    if (!book->open) return;
    n = n_in_state(book, LIVE) + n_in_state(book, RETURNING);
    book->prefix.n = 0;
    sim->restarted = true;
    struct scheduler_ends ends = scheduler_restart(sim->scheduler, book->entry);
    assert_int_equal(ends.n, n);
    for (int32_t i = 0; i < n; i++) take_end(sim, &ends.items[i], WAITING);
}

void sim_recompute(struct sim *sim, struct book *book) {
    if (!book->open) return;
    int32_t n = n_in_state(book, LIVE);
    if (n > 0) book->prefix.n = 0;
    sim->restarted = true;
    struct scheduler_ends ends = scheduler_recompute(sim->scheduler, book->entry);
    assert_int_equal(ends.n, n);
    for (int32_t i = 0; i < n; i++) take_end(sim, &ends.items[i], RETURNING);
}

void sim_hold(struct sim *sim, bool is_holding) {
    sim->is_holding = is_holding;
    sim->restarted = true; // those that come back pass those that wait
    scheduler_hold(sim->scheduler, is_holding);
}

void sim_set_version(struct sim *sim) {
    scheduler_set_version(sim->scheduler, ++sim->version);
    for (struct book *b = sim->books; b < sim->books + sim->n_books; b++) b->prefix.n = 0;
}

void sim_drain(struct sim *sim) {
    int64_t left = 0;
    for (const struct book *b = sim->books; b < sim->books + sim->n_books; b++)
        if (b->open) left += b->task.n_prompt + (int64_t)n_unfinished(b) * sim->options.max_context;
    for (struct book *b = sim->books; b < sim->books + sim->n_books; b++) sim_release(sim, b);
    sim_hold(sim, false);
    while (sim_step(sim)) assert_true(left-- > 0);
    sim_check_counts(sim);
    struct scheduler_stats stats = scheduler_stats(sim->scheduler);
    assert_int_equal(stats.n_free_pages, sim->options.n_pages);
    assert_int_equal(stats.n_free_arena_pages, sim->options.suspend_pages);
}

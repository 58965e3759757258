#include "worker/engine/engine.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"

static struct scheduler *open_scheduler(const struct engine_options *o, struct error *err) {
    const struct scheduler_options so = {.max_rows = o->max_rows,
                                         .max_prefixes = o->max_prefixes,
                                         .n_pages = o->n_pages,
                                         .page_tokens = o->page_tokens,
                                         .suspend_pages = o->suspend_pages,
                                         .suspend_slots = o->suspend_slots,
                                         .max_context = o->max_context,
                                         .prefill_chunk = o->prefill_chunk,
                                         .max_draft = o->draft.max_draft};
    return scheduler_open(&so, err);
}

static size_t longest_token(const struct vocabulary *v) {
    size_t longest = 0;
    for (int i = 0; v->tokenizer && i < v->n_ids; i++) {
        size_t len = tokenizer_token_bytes(v->tokenizer, i).len;
        if (len > longest) longest = len;
    }
    return longest;
}

int engine_open(struct engine *e, struct model *model, const struct engine_options *o,
                const struct vocabulary *vocabulary, struct error *err) {
    *e = (struct engine){
        .model = *model, .vocabulary = *vocabulary, .options = *o, .next_deadline_ms = INT64_MAX};
    *model = (struct model){0};
    e->last_finished = &e->finished;
    e->vocabulary.n_ids = e->model.shape.vocab;
    e->vocabulary.max_bytes = longest_token(&e->vocabulary);
    const struct batch_options bo = {.max_rows = o->max_rows,
                                     .max_prefixes = o->max_prefixes,
                                     .prefill_chunk = o->prefill_chunk,
                                     .n_route_values = vocabulary->n_route_values};
    batch_open(&e->batch, &bo);
    e->rows = memory_new((size_t)o->max_rows, sizeof *e->rows);
    e->drafts = drafts_open(&o->draft, o->max_rows, o->max_rows + o->prefill_chunk, &e->vocabulary);
    e->scheduler = open_scheduler(o, err);
    if (e->scheduler) return 0;
    engine_close(e);
    return -1;
}

// Throws away what the sample has, in its row or kept.
static void discard(struct engine *e, const struct scheduler_end *end) {
    struct row kept;
    if (end->row >= 0)
        row_discard(&e->rows[end->row]);
    else if (row_take_kept(end->user, end->sample, &kept))
        row_discard(&kept);
}

static void discard_kept(struct engine *e, struct task *t) {
    for (int i = 0; t->kept && i < t->n_samples; i++)
        discard(e, &(struct scheduler_end){t, t->first_sample + i, -1});
}

void engine_close(struct engine *e) {
    for (int i = 0; e->rows && i < e->options.max_rows; i++)
        if (e->rows[i].task) row_discard(&e->rows[i]);
    free(e->rows);
    for (struct task *t = e->first_task, *next; t; t = next) {
        // The samples that are out keep their task; one that never gave any goes here.
        next = t->next;
        discard_kept(e, t);
        int left = atomic_fetch_sub(&t->n_left, t->n_open) - t->n_open;
        if (left == 0) task_free(&t);
    }
    sample_free_list(e->finished);
    batch_close(&e->batch);
    drafts_free(&e->drafts);
    scheduler_free(&e->scheduler);
    model_close(&e->model);
    *e = (struct engine){0};
}

// ---- tasks

// A task without a row and without a prompt to score has nothing to compute.
static bool needs_compute(const struct task *t) {
    if (t->sampling.max_new_tokens > 0) return true;
    return t->n_prompt >= 2 && (t->prompt_logprobs || t->routed_experts);
}

static struct scheduler_task as_scheduled(const struct task *t) {
    return (struct scheduler_task){.n_prompt = t->n_prompt + t->partial.n_tokens,
                                   .n_partial = t->partial.n_tokens,
                                   .first_sample = t->first_sample,
                                   .n_samples = t->n_samples,
                                   .max_new_tokens =
                                       t->sampling.max_new_tokens - t->partial.n_tokens,
                                   .user = (void *)(uintptr_t)t};
}

int engine_check(const struct engine *e, const struct task *task, struct error *err) {
    if (!needs_compute(task)) return 0;
    struct scheduler_task st = as_scheduled(task);
    return scheduler_check_task(e->scheduler, &st, err);
}

static void link_task(struct engine *e, struct task *t) {
    t->next = NULL;
    t->prev = e->last_task;
    *(t->prev ? &t->prev->next : &e->first_task) = t;
    e->last_task = t;
    t->n_open = t->n_samples;
    e->n_samples += t->n_samples;
    if (t->deadline_ms && t->deadline_ms < e->next_deadline_ms)
        e->next_deadline_ms = t->deadline_ms;
}

static void unlink_task(struct engine *e, struct task *t) {
    *(t->prev ? &t->prev->next : &e->first_task) = t->next;
    *(t->next ? &t->next->prev : &e->last_task) = t->prev;
    t->entry = NULL;
}

// Hands out a sample with what it has. The task leaves with its last one; its memory lives as long
// as its samples, which nobody has taken yet.
static void end_sample(struct engine *e, struct task *t, int sample, int row,
                       enum message_finish reason, const char *sentence) {
    struct row kept;
    struct row *has = row >= 0 ? &e->rows[row] : NULL;
    if (!has && row_take_kept(t, sample, &kept)) has = &kept;
    struct sample *s = has ? row_finish(has, &e->vocabulary, reason)
                           : row_empty_sample(t, sample, &e->vocabulary, reason);
    if (sentence) s->error = memory_copy(sentence, strlen(sentence));
    s->digest = e->model.digest;
    s->number = t->last_number = ++e->n_ended;
    t->has_moved = true;
    *e->last_finished = s;
    e->last_finished = &s->next;
    e->n_samples--;
    assert(t->n_open > 0);
    if (--t->n_open == 0) unlink_task(e, t);
}

static int end_samples(struct engine *e, struct scheduler_ends ends, enum message_finish reason,
                       const char *sentence) {
    for (int i = 0; i < ends.n; i++)
        end_sample(e, ends.items[i].user, ends.items[i].sample, ends.items[i].row, reason,
                   sentence);
    return ends.n;
}

static int end_task(struct engine *e, struct task *t, enum message_finish reason,
                    const char *sentence) {
    return end_samples(e, scheduler_cancel(e->scheduler, t->entry, t->first_sample, t->n_samples),
                       reason, sentence);
}

static void take_prompt_arrays(struct engine *e, struct task *t) {
    if (t->prompt_logprobs) {
        t->prompt_lp_full = memory_new((size_t)t->n_prompt, sizeof *t->prompt_lp_full);
        for (int i = 0; i < t->n_prompt; i++) t->prompt_lp_full[i] = NAN;
    }
    if (t->routed_experts)
        t->prompt_routes = memory_new((size_t)(t->n_prompt + t->partial.n_tokens - 1) *
                                          (size_t)e->vocabulary.n_route_values,
                                      sizeof *t->prompt_routes);
}

// Whether what another worker drew does not count on these weights: a group that begins again on
// new weights does so wherever it goes on, and so does a sample that is too far behind.
static bool is_outdated(const struct engine *e, const struct task *t) {
    const struct partial *p = &t->partial;
    uint64_t version = e->model.version, first = p->n_spans ? p->spans[0].version : version;
    if (version > first && version - first > t->max_version_lag) return true;
    return t->on_update == ON_UPDATE_RESTART && (p->n_spans > 1 || first != version);
}

void engine_add(struct engine *e, struct task *task) {
    assert(!e->plan);
    if (is_outdated(e, task)) task_drop_partial(task);
    take_prompt_arrays(e, task);
    link_task(e, task);
    if (!e->draining && needs_compute(task)) {
        struct scheduler_task st = as_scheduled(task);
        st.is_held = task->min_version > e->model.version;
        task->entry = scheduler_add_task(e->scheduler, &st);
        return;
    }
    for (int i = 0, n = task->n_samples; i < n; i++)
        end_sample(e, task, task->first_sample + i, -1,
                   e->draining ? FINISH_PREEMPTED : FINISH_LENGTH, NULL);
}

int engine_cancel(struct engine *e, uint64_t serial, int first, int n, enum message_finish reason) {
    int ended = 0;
    assert(!e->plan && first >= 0 && n >= 0);
    for (struct task *t = e->first_task, *next; t; t = next) {
        next = t->next;
        if (t->serial != serial) continue;
        ended +=
            n ? end_samples(e, scheduler_cancel(e->scheduler, t->entry, first, n), reason, NULL)
              : end_task(e, t, reason, NULL);
    }
    return ended;
}

void engine_expire(struct engine *e, int64_t now_ms) {
    assert(!e->plan);
    if (now_ms < e->next_deadline_ms) return;
    e->next_deadline_ms = INT64_MAX;
    for (struct task *t = e->first_task, *next; t; t = next) {
        next = t->next;
        if (!t->deadline_ms) continue;
        if (now_ms >= t->deadline_ms)
            end_task(e, t, FINISH_CANCELLED, NULL);
        else if (t->deadline_ms < e->next_deadline_ms)
            e->next_deadline_ms = t->deadline_ms;
    }
}

void engine_drain(struct engine *e) {
    assert(!e->plan);
    e->draining = true;
    for (struct task *t = e->first_task, *next; t; t = next) {
        next = t->next;
        end_samples(e, scheduler_cancel_waiting(e->scheduler, t->entry), FINISH_PREEMPTED, NULL);
    }
}

void engine_forget(struct engine *e) {
    assert(!e->plan);
    for (struct task *t = e->first_task, *next; t; t = next) {
        next = t->next;
        end_task(e, t, FINISH_PREEMPTED, NULL);
    }
    assert(e->n_samples == 0);
}

void engine_preempt(struct engine *e) {
    e->draining = true;
    engine_forget(e);
}

// ---- weights

static bool is_stale(const struct row *row, uint64_t version) {
    const struct task *t = row->task;
    if (t->on_update == ON_UPDATE_RESTART || row->n_spans == 0) return false;
    uint64_t first = row->spans[0].version;
    return version > first && version - first > t->max_version_lag;
}

static int end_if_stale(struct engine *e, const struct row *row, uint64_t version) {
    char sentence[192];
    if (!row || !row->task || !is_stale(row, version)) return 0;
    struct task *t = row->task;
    snprintf(sentence, sizeof sentence,
             "Its first token is of policy version %llu, and version %llu would leave that more "
             "than max_version_lag %llu behind.",
             (unsigned long long)row->spans[0].version, (unsigned long long)version,
             (unsigned long long)t->max_version_lag);
    return end_samples(e, scheduler_cancel(e->scheduler, t->entry, row->sample, 1),
                       FINISH_CANCELLED, sentence);
}

int engine_end_stale(struct engine *e, uint64_t version) {
    int n = 0;
    assert(!e->plan);
    for (int i = 0; i < e->options.max_rows; i++) n += end_if_stale(e, &e->rows[i], version);
    for (struct task *t = e->first_task, *next; t; t = next) {
        next = t->next;
        for (int i = 0; t->kept && i < t->n_samples; i++) n += end_if_stale(e, t->kept[i], version);
    }
    return n;
}

void engine_hold(struct engine *e, bool is_holding) {
    scheduler_hold(e->scheduler, is_holding);
}

int engine_n_begun(const struct engine *e) {
    return scheduler_n_begun(e->scheduler);
}

void engine_forgo(struct engine *e) {
    e->n_updates += 2;
}

static void recompute(struct engine *e, struct task *t) {
    struct scheduler_ends ends = scheduler_recompute(e->scheduler, t->entry);
    for (int i = 0; i < ends.n; i++) row_keep(&e->rows[ends.items[i].row]);
}

static void restart(struct engine *e, struct task *t) {
    struct scheduler_ends ends = scheduler_restart(e->scheduler, t->entry);
    for (int i = 0; i < ends.n; i++) discard(e, &ends.items[i]);
    task_drop_partial(t);
}

static void set_version(struct engine *e, uint64_t version, uint64_t digest, bool restart_all) {
    assert(!e->plan);
    e->model.version = version;
    e->model.digest = digest;
    scheduler_set_version(e->scheduler, ++e->n_updates);
    for (struct task *t = e->first_task; t; t = t->next) {
        if (t->min_version <= version) scheduler_release(e->scheduler, t->entry);
        if (restart_all || t->on_update == ON_UPDATE_RESTART || is_outdated(e, t))
            restart(e, t);
        else if (t->on_update == ON_UPDATE_RECOMPUTE)
            recompute(e, t);
    }
}

void engine_set_version(struct engine *e, uint64_t version, uint64_t digest) {
    set_version(e, version, digest, false);
}

void engine_take_back(struct engine *e, uint64_t version, uint64_t digest) {
    set_version(e, version, digest, true);
}

// ---- a step

static void start_rows(struct engine *e, const struct plan *plan) {
    for (int i = 0; i < plan->n_rows; i++) {
        const struct segment *s = &plan->segments[i];
        if (s->is_first && !row_take_kept(s->user, s->sample, &e->rows[s->row]))
            row_start(&e->rows[s->row], s->user, s->sample, &e->vocabulary);
    }
}

// Adds what has passed since *at_us to a part's time.
static void clock_part(int64_t *part_us, int64_t *at_us) {
    int64_t now = clock_us();
    *part_us += now - *at_us;
    *at_us = now;
}

bool engine_submit(struct engine *e) {
    assert(!e->plan);
    int64_t at_us = clock_us(), started_us = at_us;
    const struct plan *plan = scheduler_plan(e->scheduler);
    if (!plan->n_segments) return false;
    clock_part(&e->times.plan_us, &at_us);
    start_rows(e, plan);
    clock_part(&e->times.fill_us, &at_us);
    const int32_t *guesses = drafts_plan(e->drafts, e->scheduler, plan, e->rows);
    clock_part(&e->times.draft_us, &at_us);
    batch_fill(&e->batch, plan, e->rows, guesses, e->options.draft.max_draft);
    clock_part(&e->times.fill_us, &at_us);
    e->submitted_us = at_us;
    model_submit(&e->model, e->batch.moves, e->batch.n_moves, &e->batch.step);
    clock_part(&e->times.submit_us, &at_us);
    e->plan = plan;
    drafts_settle(e->drafts);
    clock_part(&e->times.draft_us, &at_us);
    e->counters.step_us += at_us - started_us;
    return true;
}

static const uint16_t *routes_at(const struct engine *e, int token) {
    return e->batch.result.routes + (size_t)token * (size_t)e->vocabulary.n_route_values;
}

// The chunk's log-probabilities and routes go to the task, for its rows to copy.
static void advance_prefix(struct engine *e, const struct segment *s, int i) {
    struct task *t = s->user;
    const struct batch *b = &e->batch;
    int first = b->segments[i].first_token;
    size_t width = (size_t)e->vocabulary.n_route_values;
    t->has_moved = true;
    if (t->routed_experts)
        memcpy(t->prompt_routes + (size_t)s->position * width, routes_at(e, first),
               (size_t)s->n_tokens * width * sizeof(uint16_t));
    for (int o = b->first_output[i]; o < b->first_output[i + 1]; o++) {
        int p = s->position + b->outputs[o].token - first;
        t->prompt_lp_full[p + 1] = b->result.lp_full[o];
        t->is_failed |= b->result.bad[o];
    }
    e->counters.n_prompt_tokens += (uint64_t)s->n_tokens;
}

// What the token drawn as output `o` at `token` of the step makes of the row; true when it ended.
static bool advance_row(struct engine *e, struct row *row, int o, int token) {
    const struct step_result *r = &e->batch.result;
    e->counters.n_output_tokens++;
    if (r->bad[o]) {
        row->finish = FINISH_ERROR;
        return true;
    }
    const uint16_t *routes = row->routes ? routes_at(e, token) : NULL;
    return row_advance(row, &e->vocabulary, r->ids[o], r->lp_full[o], r->lp_behav[o],
                       e->model.version, routes);
}

// The row takes what was drawn for as long as it is what was guessed, and once more (D15). Where
// something is recomputed, nothing may have been drawn.
static struct outcome advance_segment(struct engine *e, const struct segment *s, int i) {
    const struct batch *b = &e->batch;
    int token = b->segments[i].first_token + s->n_recomputed, output = b->first_output[i];
    int n = 0, n_draws = s->n_tokens - s->n_recomputed;
    struct row *row = &e->rows[s->row];
    struct outcome o = {.n_kept = s->n_recomputed};
    row->task->has_moved = true;
    if (n_draws == 0) return o;
    row_forget_guesses(row);
    do {
        o.finished = advance_row(e, row, output + n, token + n);
        n++;
    } while (!o.finished && n < n_draws && b->result.ids[output + n - 1] == b->ids[token + n]);
    o.n_kept += n;
    e->counters.n_row_steps++;
    e->counters.n_guessed += (uint64_t)n_draws - 1;
    e->counters.n_accepted += (uint64_t)n - 1;
    return o;
}

static void advance(struct engine *e) {
    for (int i = 0; i < e->plan->n_rows; i++)
        e->batch.outcomes[i] = advance_segment(e, &e->plan->segments[i], i);
    for (int i = e->plan->n_rows; i < e->plan->n_segments; i++)
        advance_prefix(e, &e->plan->segments[i], i);
}

// What the step says of the guesses.
static void learn(struct engine *e) {
    for (int i = 0; e->drafts && i < e->plan->n_rows; i++)
        drafts_learn(e->drafts, i, &e->plan->segments[i], e->batch.outcomes[i],
                     &e->rows[e->plan->segments[i].row]);
}

// A row that ended by itself, or a sample whose prompt was all that was wanted.
static void end_by_itself(struct engine *e, const struct scheduler_end *end) {
    struct task *t = end->user;
    const struct row *row = end->row >= 0 ? &e->rows[end->row] : NULL;
    enum message_finish reason = row ? row->finish : FINISH_LENGTH;
    char sentence[128] = "";
    if (row && reason == FINISH_ERROR)
        snprintf(sentence, sizeof sentence,
                 "A logit or log-probability of output token %d is not finite; nothing was drawn.",
                 row->n_tokens);
    if (t->is_failed) {
        reason = FINISH_ERROR;
        snprintf(sentence, sizeof sentence, "A log-probability of the prompt is not finite.");
    }
    end_sample(e, t, end->sample, end->row, reason, sentence[0] ? sentence : NULL);
}

// Tasks whose prompt has a value that is not finite draw nothing.
static void end_failed(struct engine *e) {
    for (int i = e->plan->n_rows; i < e->plan->n_segments; i++) {
        struct task *t = e->plan->segments[i].user;
        if (t->is_failed && t->n_open)
            end_task(e, t, FINISH_ERROR, "A log-probability of the prompt is not finite.");
    }
}

int engine_finish(struct engine *e, struct error *err) {
    if (!e->plan) return 0;
    int64_t at_us = clock_us(), started_us = at_us;
    if (model_wait(&e->model, &e->batch.result, err)) return -1;
    clock_part(&e->times.wait_us, &at_us);
    drafts_learn_time(e->drafts, e->plan, at_us - e->submitted_us);
    advance(e);
    clock_part(&e->times.advance_us, &at_us);
    learn(e);
    clock_part(&e->times.draft_us, &at_us);
    struct scheduler_ends ends = scheduler_commit(e->scheduler, e->batch.outcomes);
    for (int i = 0; i < ends.n; i++) end_by_itself(e, &ends.items[i]);
    end_failed(e);
    e->plan = NULL;
    clock_part(&e->times.commit_us, &at_us);
    e->counters.n_steps++;
    e->counters.step_us += at_us - started_us;
    e->counters.last_step_ms = clock_ms();
    return 1;
}

struct sample *engine_take_finished(struct engine *e) {
    struct sample *list = e->finished;
    e->finished = NULL;
    e->last_finished = &e->finished;
    return list;
}

struct status engine_status(const struct engine *e) {
    return (struct status){.version = e->model.version,
                           .digest = e->model.digest,
                           .n_updates = e->n_updates,
                           .n_rows = scheduler_n_rows(e->scheduler),
                           .n_samples = e->n_samples,
                           .n_fitting = scheduler_n_fitting(e->scheduler),
                           .counters = e->counters};
}

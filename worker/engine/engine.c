#include "worker/engine/engine.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"

static struct scheduler *open_scheduler(const struct engine_options *o, struct error *err) {
    const struct scheduler_options so = {.max_rows = o->max_rows,
                                         .max_prefixes = o->max_prefixes,
                                         .n_pages = o->n_pages,
                                         .page_tokens = o->page_tokens,
                                         .suspend_pages = o->suspend_pages,
                                         .suspend_slots = o->suspend_slots,
                                         .max_context = o->max_context,
                                         .prefill_chunk = o->prefill_chunk};
    return scheduler_open(&so, err);
}

int engine_open(struct engine *e, struct model *model, const struct engine_options *o,
                const struct vocabulary *vocabulary, struct error *err) {
    *e = (struct engine){.model = *model, .vocabulary = *vocabulary, .options = *o};
    e->last_finished = &e->finished;
    *model = (struct model){0};
    const struct model_shape *shape = &e->model.shape;
    const struct batch_options bo = {.max_rows = o->max_rows,
                                     .max_prefixes = o->max_prefixes,
                                     .prefill_chunk = o->prefill_chunk,
                                     .n_route_values = vocabulary->n_route_values,
                                     .page_bytes =
                                         kernels_page_bytes(shape, o->kv_dtype, o->page_tokens),
                                     .conv_bytes = kernels_conv_bytes(shape, o->kv_dtype),
                                     .suspend_pages = o->suspend_pages,
                                     .suspend_slots = o->suspend_slots};
    e->scheduler = open_scheduler(o, err);
    if (!e->scheduler || batch_open(&e->batch, &bo, err)) return engine_close(e), -1;
    e->rows = memory_new((size_t)o->max_rows, sizeof *e->rows);
    return 0;
}

void engine_close(struct engine *e) {
    for (int i = 0; e->rows && i < e->options.max_rows; i++)
        if (e->rows[i].task) row_discard(&e->rows[i]);
    free(e->rows);
    while (e->finished) {
        struct sample *next = e->finished->next;
        sample_free(&e->finished);
        e->finished = next;
    }
    for (struct task *t = e->tasks; t;) {
        struct task *next = t->next;
        free(t->sample_states);
        task_free(&t);
        t = next;
    }
    batch_close(&e->batch);
    scheduler_free(&e->scheduler);
    model_close(&e->model);
    *e = (struct engine){0};
}

// A task without a row and without a prompt to score has nothing to compute.
static bool needs_compute(const struct task *t) {
    if (t->sampling.max_new_tokens > 0) return true;
    return t->n_prompt >= 2 && (t->prompt_logprobs || t->routed_experts);
}

static struct scheduler_task as_scheduled(struct task *t) {
    return (struct scheduler_task){.serial = t->serial,
                                   .n_prompt = t->n_prompt,
                                   .first_sample = t->first_sample,
                                   .n_samples = t->n_samples,
                                   .max_new_tokens = t->sampling.max_new_tokens,
                                   .user = t};
}

int engine_check(const struct engine *e, const struct task *task, struct error *err) {
    if (!needs_compute(task)) return 0;
    struct scheduler_task st = as_scheduled((struct task *)(uintptr_t)task);
    return scheduler_check_task(e->scheduler, &st, err);
}

static void end_sample(struct engine *e, struct sample *sample, const char *sentence) {
    struct task *task = sample->task;
    uint8_t *state = &task->sample_states[sample->index - task->first_sample];
    assert(*state != SAMPLE_DONE);
    *state = SAMPLE_DONE;
    task->n_done++;
    if (sentence) sample->error = memory_copy(sentence, strlen(sentence));
    *e->last_finished = sample;
    e->last_finished = &sample->next;
}

static struct row *row_of(struct engine *e, const struct task *task, int sample) {
    for (int i = 0; i < e->options.max_rows; i++)
        if (e->rows[i].task == task && e->rows[i].sample == sample) return &e->rows[i];
    return NULL;
}

static void unschedule(struct engine *e, struct task *task) {
    if (task->schedule_id) scheduler_cancel_task(e->scheduler, task->schedule_id);
    task->schedule_id = 0;
}

// Ends all samples that did not end yet, with what they have.
static int end_task(struct engine *e, struct task *task, enum message_finish reason,
                    const char *sentence) {
    int n = 0;
    unschedule(e, task);
    for (int i = 0; i < task->n_samples; i++) {
        if (task->sample_states[i] == SAMPLE_DONE) continue;
        int index = task->first_sample + i;
        struct row *row = row_of(e, task, index);
        end_sample(e,
                   row ? row_finish(row, &e->vocabulary, reason)
                       : row_empty_sample(task, index, &e->vocabulary, reason),
                   sentence);
        n++;
    }
    return n;
}

// Forgets the tasks whose samples have all ended. They live on as long as their samples, which
// nobody has taken yet: every verb that can end a sample ends with this.
static void sweep(struct engine *e) {
    for (struct task **link = &e->tasks, *t; (t = *link);) {
        if (t->is_failed)
            end_task(e, t, FINISH_ERROR, "A log-probability of the prompt is not finite.");
        else if (t->is_scored)
            end_task(e, t, FINISH_LENGTH, NULL);
        if (t->n_done < t->n_samples) {
            link = &t->next;
            continue;
        }
        unschedule(e, t);
        for (int i = 0; i < e->options.max_rows; i++)
            if (e->rows[i].task == t) row_discard(&e->rows[i]);
        *link = t->next;
        free(t->sample_states);
        t->sample_states = NULL;
    }
}

static void start_task(struct engine *e, struct task *task) {
    if (!needs_compute(task)) {
        task->is_scored = true;
        return;
    }
    struct scheduler_task st = as_scheduled(task);
    task->schedule_id = scheduler_add_task(e->scheduler, &st);
}

static void take_prompt_arrays(struct engine *e, struct task *t) {
    if (t->prompt_logprobs) {
        t->prompt_lp_full = memory_new((size_t)t->n_prompt, sizeof *t->prompt_lp_full);
        for (int i = 0; i < t->n_prompt; i++) t->prompt_lp_full[i] = NAN;
    }
    if (t->routed_experts)
        t->prompt_routes =
            memory_new((size_t)(t->n_prompt - 1) * (size_t)e->vocabulary.n_route_values,
                       sizeof *t->prompt_routes);
}

void engine_add(struct engine *e, struct task *task) {
    take_prompt_arrays(e, task);
    task->sample_states = memory_new((size_t)task->n_samples, 1);
    task->next = NULL;
    struct task **link = &e->tasks;
    while (*link) link = &(*link)->next;
    *link = task;
    if (e->draining)
        end_task(e, task, FINISH_PREEMPTED, NULL);
    else if (task->min_version <= e->model.version)
        start_task(e, task);
    sweep(e);
}

// Part of a task: what has no row ends here, a row at its next step. The scheduler goes on with the
// samples; their rows are thrown away when they come.
static int end_part(struct engine *e, struct task *task, int first, int last,
                    enum message_finish reason) {
    int n = 0;
    for (int i = 0; i < task->n_samples; i++) {
        int index = task->first_sample + i;
        if (index < first || index >= last || task->sample_states[i] != SAMPLE_LIVE) continue;
        if (row_of(e, task, index))
            task->sample_states[i] = SAMPLE_UNWANTED;
        else
            end_sample(e, row_empty_sample(task, index, &e->vocabulary, reason), NULL);
        n++;
    }
    return n;
}

int engine_cancel(struct engine *e, uint64_t serial, int first, int n, enum message_finish reason) {
    int ended = 0, last = n ? first + n : INT_MAX;
    for (struct task *t = e->tasks; t; t = t->next) {
        if (t->serial != serial) continue;
        if (first <= t->first_sample && last >= t->first_sample + t->n_samples)
            ended += end_task(e, t, reason, NULL);
        else
            ended += end_part(e, t, first, last, reason);
    }
    sweep(e);
    return ended;
}

void engine_expire(struct engine *e, int64_t now_ms) {
    for (struct task *t = e->tasks; t; t = t->next)
        if (t->deadline_ms && now_ms >= t->deadline_ms) end_task(e, t, FINISH_CANCELLED, NULL);
    sweep(e);
}

void engine_drain(struct engine *e) {
    e->draining = true;
    for (struct task *t = e->tasks; t; t = t->next) {
        bool started = false;
        for (int i = 0; i < e->options.max_rows; i++) started |= e->rows[i].task == t;
        if (!started) {
            end_task(e, t, FINISH_PREEMPTED, NULL);
            continue;
        }
        for (int i = t->first_sample; i < t->first_sample + t->n_samples; i++)
            if (!row_of(e, t, i)) end_part(e, t, i, i + 1, FINISH_PREEMPTED);
    }
    sweep(e);
}

void engine_forget(struct engine *e) {
    for (struct task *t = e->tasks; t; t = t->next) end_task(e, t, FINISH_PREEMPTED, NULL);
    sweep(e);
}

void engine_preempt(struct engine *e) {
    e->draining = true;
    engine_forget(e);
}

void engine_set_version(struct engine *e, uint64_t version) {
    e->model.version = version;
    scheduler_set_version(e->scheduler, ++e->n_updates);
    for (struct task *t = e->tasks; t; t = t->next) {
        if (!t->schedule_id && t->min_version <= version) {
            start_task(e, t);
        } else if (t->schedule_id && t->restart_on_update) {
            scheduler_restart_task(e->scheduler, t->schedule_id);
            for (int i = 0; i < e->options.max_rows; i++)
                if (e->rows[i].task == t) row_discard(&e->rows[i]);
        }
    }
    sweep(e);
}

// ---- one step

static void start_rows(struct engine *e, const struct plan *plan) {
    for (int i = 0; i < plan->n_rows; i++) {
        const struct segment *s = &plan->segments[i];
        if (s->is_first)
            row_start(&e->rows[s->row], s->user, s->sample, &e->vocabulary, e->model.shape.vocab);
    }
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
    if (t->routed_experts)
        memcpy(t->prompt_routes + (size_t)s->position * width, routes_at(e, first),
               (size_t)s->n_tokens * width * sizeof(uint16_t));
    for (int o = b->first_output[i]; o < b->first_output[i + 1]; o++) {
        int p = s->position + b->outputs[o].token - first;
        t->prompt_lp_full[p + 1] = b->result.lp_full[o];
        if (b->result.bad[o]) t->is_failed = true;
    }
    if (s->is_last && t->sampling.max_new_tokens == 0) t->is_scored = true;
    e->counters.n_prompt_tokens += (uint64_t)s->n_tokens;
}

static void fail_row(struct engine *e, struct row *row) {
    char sentence[96];
    snprintf(sentence, sizeof sentence,
             "The logits of output token %d are not finite; nothing was drawn.", row->n_tokens);
    end_sample(e, row_finish(row, &e->vocabulary, FINISH_ERROR), sentence);
}

// What one drawn token makes of the row; true when it ended.
static bool advance_row(struct engine *e, const struct segment *s, int i) {
    struct row *row = &e->rows[s->row];
    struct task *t = s->user;
    const struct batch *b = &e->batch;
    int o = b->first_output[i];
    enum message_finish reason;
    uint8_t state = t->sample_states[s->sample - t->first_sample];
    e->counters.n_output_tokens++;
    if (state == SAMPLE_DONE) {
        row_discard(row);
        return true;
    }
    if (state == SAMPLE_UNWANTED) {
        end_sample(e, row_finish(row, &e->vocabulary, FINISH_CANCELLED), NULL);
        return true;
    }
    if (b->result.bad[o]) {
        fail_row(e, row);
        return true;
    }
    const uint16_t *routes = t->routed_experts ? routes_at(e, b->segments[i].first_token) : NULL;
    if (!row_advance(row, &e->vocabulary, b->result.ids[o], b->result.lp_full[o],
                     b->result.lp_behav[o], e->model.version, routes, &reason))
        return false;
    end_sample(e, row_finish(row, &e->vocabulary, reason), NULL);
    return true;
}

static void advance(struct engine *e, const struct plan *plan) {
    for (int i = 0; i < plan->n_segments; i++) {
        const struct segment *s = &plan->segments[i];
        e->batch.finished[i] = false;
        if (s->row >= 0)
            e->batch.finished[i] = advance_row(e, s, i);
        else
            advance_prefix(e, s, i);
    }
}

int engine_step(struct engine *e, struct error *err) {
    const struct plan *plan = scheduler_plan(e->scheduler);
    if (!plan->n_segments) return 0;
    int64_t started_us = clock_us();
    batch_move(&e->batch, plan, &e->model);
    start_rows(e, plan);
    batch_fill(&e->batch, plan, e->rows);
    if (model_step(&e->model, &e->batch.step, &e->batch.result, err)) return -1;
    advance(e, plan);
    scheduler_commit(e->scheduler, e->batch.finished);
    sweep(e);
    e->counters.n_steps++;
    e->counters.step_us += clock_us() - started_us;
    e->counters.last_step_ms = clock_ms();
    return 1;
}

struct sample *engine_take_finished(struct engine *e) {
    struct sample *list = e->finished;
    e->finished = NULL;
    e->last_finished = &e->finished;
    return list;
}

bool engine_is_idle(const struct engine *e) {
    for (const struct task *t = e->tasks; t; t = t->next)
        if (t->schedule_id) return false;
    return true;
}

int engine_n_samples(const struct engine *e) {
    int n = 0;
    for (const struct task *t = e->tasks; t; t = t->next) n += t->n_samples - t->n_done;
    return n;
}

#include "worker/meter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/utf8.h"

enum { LOOK_US = 100000 }; // the scheduler is asked for what it must count this often

// A row whose first token the step under way draws.
struct start {
    struct task *task;
    int index;
};

struct meter {
    struct status_board *board;
    struct start *starts;           // (max_rows), n_starts in use
    int n_starts, n_rows, n_tokens; // of the step under way
    int64_t step_us;                // engine's counter when the last turn ended
    int64_t idle_since_us, finished_us, looked_us;
    enum idle_reason idle_reason;
    uint64_t version; // served
};

struct meter *meter_open(struct status_board *board, const struct engine *e) {
    struct meter *m = memory_new(1, sizeof *m);
    m->board = board;
    m->starts = memory_new((size_t)e->options.max_rows, sizeof *m->starts);
    pthread_mutex_lock(&board->lock);
    board->work.n_pages = board->work.n_free_pages = e->options.n_pages;
    pthread_mutex_unlock(&board->lock);
    return m;
}

void meter_close(struct meter **meter) {
    if (!*meter) return;
    free((*meter)->starts);
    free(*meter);
    *meter = NULL;
}

static void add(struct meter *m, enum measure measure, double value, uint64_t times) {
    histogram_add(&m->board->work.measures[measure], measure, value, times);
}

static void add_us(struct meter *m, enum measure measure, int64_t us) {
    add(m, measure, (double)(us > 0 ? us : 0) / 1e6, 1);
}

// Tasks from the wire have times; others are not measured.
static int64_t *first_token_us(const struct task *t, int index) {
    return t->first_token_us ? &t->first_token_us[index - t->first_sample] : NULL;
}

static void note_prefill(struct meter *m, struct task *t, int64_t at_us) {
    if (!t->arrived_us || t->prefill_us) return;
    t->prefill_us = at_us;
    add_us(m, MEASURE_QUEUE, at_us - t->arrived_us);
}

static void note_starts(struct meter *m, const struct plan *plan, int64_t at_us) {
    for (int i = 0; i < plan->n_segments; i++) {
        const struct segment *s = &plan->segments[i];
        if (!s->is_first) continue;
        note_prefill(m, s->user, at_us);
        if (s->row >= 0) m->starts[m->n_starts++] = (struct start){s->user, s->sample};
    }
}

void meter_step(struct meter *m, const struct engine *e) {
    if (!m || !e->plan) return;
    // On the CPU the step has run by now: it began before what the engine counted for it.
    int64_t at_us = clock_us() - (e->counters.step_us - m->step_us);
    pthread_mutex_lock(&m->board->lock);
    if (m->idle_since_us) {
        m->board->work.idle_us[m->idle_reason] += at_us - m->idle_since_us;
        m->finished_us = 0;
    }
    m->idle_since_us = 0;
    m->n_rows = e->plan->n_rows;
    m->n_tokens = e->plan->n_tokens;
    note_starts(m, e->plan, at_us);
    if (!m->finished_us) m->finished_us = at_us;
    pthread_mutex_unlock(&m->board->lock);
}

static void note_end(struct meter *m, const struct sample *s, int64_t now_us) {
    const struct task *t = s->task;
    struct status_work *w = &m->board->work;
    const int64_t *first_us = first_token_us(t, s->index);
    w->n_ended[s->finish]++;
    if (s->finish != FINISH_STOP && s->finish != FINISH_LENGTH) return;
    w->n_shareable_tokens += (uint64_t)t->n_prompt;
    if (s->index != t->first_sample) w->n_shared_tokens += (uint64_t)t->n_prompt - 1;
    add(m, MEASURE_PROMPT_TOKENS, t->n_prompt, 1);
    add(m, MEASURE_OUTPUT_TOKENS, s->n_tokens, 1);
    uint64_t began = s->n_spans ? s->spans[0].version : m->version;
    add(m, MEASURE_STALENESS, m->version > began ? (double)(m->version - began) : 0, 1);
    if (t->arrived_us) add_us(m, MEASURE_E2E, now_us - t->arrived_us);
    if (first_us && *first_us) add_us(m, MEASURE_DECODE, now_us - *first_us);
}

struct sample *meter_ended(struct meter *m, struct sample *list) {
    if (!m || !list) return list;
    int64_t now_us = clock_us();
    pthread_mutex_lock(&m->board->lock);
    for (const struct sample *s = list; s; s = s->next) note_end(m, s, now_us);
    pthread_mutex_unlock(&m->board->lock);
    return list;
}

static void copy_text(struct rollout *r, const struct sample *s) {
    size_t len = s->text_bytes < sizeof r->text - 1 ? s->text_bytes : sizeof r->text - 1;
    if (!s->text) len = 0;
    len = utf8_valid_prefix((struct slice){s->text, len});
    if (len) memcpy(r->text, s->text, len);
    r->text[len] = 0;
}

static void note_ready(struct meter *m, const struct sample *s) {
    struct status_work *w = &m->board->work;
    if (s->finish == FINISH_PREEMPTED || s->finish == FINISH_CANCELLED) return;
    struct rollout *r = &w->rollouts[w->n_rollouts++ % STATUS_N_ROLLOUTS];
    *r = (struct rollout){.at_ms = clock_ms(),
                          .serial = s->task->serial,
                          .version = s->n_spans ? s->spans[s->n_spans - 1].version : m->version,
                          .index = s->index,
                          .n_tokens = s->n_tokens,
                          .finish = s->finish,
                          .is_graded = s->reward != NULL,
                          .value = (double)NAN};
    copy_text(r, s);
    if (!s->reward) return;
    r->status = s->reward->status;
    r->value = s->reward->value;
    w->n_verdicts[r->status]++;
    if (isnan(r->value)) return;
    w->n_values++;
    w->sum_values += r->value;
}

struct sample *meter_ready(struct meter *m, struct sample *list) {
    if (!m || !list) return list;
    pthread_mutex_lock(&m->board->lock);
    for (const struct sample *s = list; s; s = s->next) note_ready(m, s);
    pthread_mutex_unlock(&m->board->lock);
    return list;
}

// The rows that drew their first token. Those that began again on new weights had theirs.
static void note_first_tokens(struct meter *m, int64_t now_us) {
    for (int i = 0; i < m->n_starts; i++) {
        struct task *t = m->starts[i].task;
        int64_t *at_us = first_token_us(t, m->starts[i].index);
        if (!at_us || *at_us) continue;
        *at_us = now_us;
        add_us(m, MEASURE_FIRST_TOKEN, now_us - t->arrived_us);
        add_us(m, MEASURE_PREFILL, now_us - t->prefill_us);
    }
}

static void look(struct meter *m, const struct engine *e, int64_t now_us) {
    struct status_work *w = &m->board->work;
    if (now_us - m->looked_us < LOOK_US && e->n_samples) return;
    struct scheduler_stats s = scheduler_stats(e->scheduler);
    m->looked_us = now_us;
    w->n_tasks = s.n_tasks;
    w->n_running = s.n_running + s.n_stalled;
    w->n_suspended = s.n_suspended;
    w->n_free_pages = s.n_free_pages;
    w->n_row_suspensions = s.n_preempted;
}

void meter_turn(struct meter *m, const struct engine *e, int computed, int n_grading) {
    if (!m) return;
    int64_t now_us = clock_us();
    struct status_work *w = &m->board->work;
    pthread_mutex_lock(&m->board->lock);
    m->version = e->model.version;
    w->turn_ms = now_us / 1000;
    w->n_grading = n_grading;
    w->device_failed |= computed < 0;
    if (computed > 0) {
        note_first_tokens(m, now_us);
        add(m, MEASURE_STEP_TOKENS, m->n_tokens, 1);
        uint64_t n = (uint64_t)(m->n_rows - m->n_starts);
        if (n) add(m, MEASURE_INTER_TOKEN, (double)(now_us - m->finished_us) / 1e6, n);
        m->finished_us = now_us;
    } else if (!m->idle_since_us) {
        m->idle_since_us = now_us;
    } else {
        w->idle_us[m->idle_reason] += now_us - m->idle_since_us;
        m->idle_since_us = now_us;
    }
    m->idle_reason = e->n_samples ? IDLE_WEIGHTS : n_grading ? IDLE_VERIFIERS : IDLE_NO_WORK;
    m->n_starts = 0;
    m->step_us = e->counters.step_us;
    look(m, e, now_us);
    pthread_mutex_unlock(&m->board->lock);
}

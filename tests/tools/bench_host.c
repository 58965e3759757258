// make bench-host: what the engine and the loop cost around a step, on a backend that computes
// nothing (D16): microseconds a step by part, at several numbers of rows.
//
// Groups of 8 samples with prompts of 512 tokens; a sample ends with one token in 256, so rows come
// and go as they do in a long run, and every row takes a page each 16 steps. With drafts off and
// on: all texts are filed, and hardly any guess is right, since the backend draws at random.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "tests/engine/fake_backend.h"
#include "worker/loop.h"

enum { PAGE_TOKENS = 16, N_PROMPT = 512, MAX_NEW = 1024, VOCAB = 256, N_SAMPLES = 8 };

static const int32_t end_ids[] = {7};

struct point {
    int rows, n_steps;
    double mean_rows, mean_moves;
    bool drafts;
    double plan, draft, fill, advance, commit, hand_over; // microseconds a step
};

// A port that keeps the engine full for some steps, and frees what comes back.
struct source {
    struct port port;
    int rows;
    uint64_t serial, n_warm_steps, n_steps; // until measuring begins, and ends
    int64_t started_us, ended_us;
    struct engine_times before, after;
    uint64_t first_step, last_step, n_tokens;
};

static int32_t prompt[N_PROMPT];

static struct task *new_task(uint64_t serial, const struct port *port) {
    struct task *t = task_new();
    t->port = port;
    t->serial = t->group_seed = serial;
    t->prompt_ids = prompt;
    t->n_prompt = N_PROMPT;
    t->n_samples = N_SAMPLES;
    t->n_left = N_SAMPLES;
    t->sampling =
        (struct sampling){.n = N_SAMPLES, .max_new_tokens = MAX_NEW, .temperature = 1, .top_p = 1};
    t->sampling.repetition_penalty = 1;
    return t;
}

static int receive(const struct port *port, struct engine *e, enum port_state *state,
                   struct error *err) {
    struct source *s = port->self;
    (void)err;
    while (engine_status(e).n_samples < s->rows + 4 * N_SAMPLES)
        engine_add(e, new_task(s->serial++, port));
    if (!s->started_us && e->counters.n_steps >= s->n_warm_steps) {
        s->started_us = clock_us();
        s->before = e->times;
        s->first_step = e->counters.n_steps;
        s->n_tokens = e->counters.n_output_tokens;
    }
    if (e->counters.n_steps < s->n_warm_steps + s->n_steps) return 0;
    s->ended_us = clock_us();
    s->after = e->times;
    s->last_step = e->counters.n_steps;
    s->n_tokens = e->counters.n_output_tokens - s->n_tokens;
    *state = PORT_STOP;
    return 0;
}

static int deliver(const struct port *port, struct sample *list, struct error *err) {
    (void)port, (void)err;
    sample_free_list(list);
    return 0;
}

static void open_engine(struct engine *e, int rows, bool drafts) {
    struct error err = {0};
    const int prefixes = rows < 16 ? rows : 16, row_pages = (N_PROMPT + MAX_NEW) / PAGE_TOKENS + 1;
    struct model model = {.ops = &fake_backend,
                          .shape = {.n_layers = 40, .n_dense_layers = 40, .vocab = VOCAB}};
    const struct backend_options options = {.shape = model.shape,
                                            .page_tokens = PAGE_TOKENS,
                                            .n_pages = rows * row_pages / 2,
                                            .n_conv_slots = rows + prefixes,
                                            .arena_pages = rows,
                                            .arena_slots = rows,
                                            .max_segments = rows + prefixes,
                                            .max_tokens = rows + 2048,
                                            .max_outputs = rows + 2048};
    const struct engine_options eo = {
        .max_rows = rows,
        .max_prefixes = prefixes,
        .max_context = N_PROMPT + MAX_NEW,
        .prefill_chunk = 2048,
        .page_tokens = PAGE_TOKENS,
        .n_pages = options.n_pages,
        .suspend_pages = rows,
        .suspend_slots = rows,
        .draft = {.max_draft = drafts ? 8 : 0, .is_auto = true, .memory_bytes = 64 << 20}};
    const struct vocabulary v = {.end_ids = end_ids, .n_end_ids = 1};
    if (fake_backend.open(&options, &model.backend, &err) ||
        (((struct fake *)model.backend)->is_checked = false, engine_open(e, &model, &eo, &v, &err)))
        fprintf(stderr, "bench_host: %s\n", err.text), exit(1);
}

static struct point measure(int rows, bool drafts, int n_steps) {
    struct engine engine;
    struct verify verify;
    struct error err = {0};
    struct source s = {.port = {.fd = -1, .receive = receive, .deliver = deliver}, .rows = rows};
    s.port.self = &s;
    s.n_warm_steps = 1200;
    s.n_steps = (uint64_t)n_steps;
    open_engine(&engine, rows, drafts);
    verify_open(&verify, NULL, &err);
    struct loop loop = {.engine = &engine, .verify = &verify};
    ports_add(&loop.ports, &s.port);
    loop_run(&loop, &err);
    const struct engine_times *a = &s.before, *b = &s.after;
    double n = (double)(s.last_step - s.first_step);
    struct point p = {
        .rows = rows, .drafts = drafts, .n_steps = (int)n, .mean_rows = (double)s.n_tokens / n};
    p.mean_moves =
        (double)((struct fake *)engine.model.backend)->n_moves / (double)engine.counters.n_steps;
    p.plan = (double)(b->plan_us - a->plan_us) / n;
    p.draft = (double)(b->draft_us - a->draft_us) / n;
    p.fill = (double)(b->fill_us - a->fill_us) / n;
    p.advance = (double)(b->advance_us - a->advance_us) / n;
    p.commit = (double)(b->commit_us - a->commit_us) / n;
    double backend = (double)(b->submit_us - a->submit_us + b->wait_us - a->wait_us) / n;
    p.hand_over = (double)(s.ended_us - s.started_us) / n - p.plan - p.draft - p.fill - p.advance -
                  p.commit - backend;
    engine_close(&engine);
    verify_close(&verify);
    return p;
}

static double total(const struct point *p) {
    return p->plan + p->draft + p->fill + p->advance + p->commit + p->hand_over;
}

static void print_table(const struct point *points, int n) {
    printf("microseconds a step of the host alone (groups of 8, prompts of 512, samples of 256)\n");
    printf("%6s %6s %8s %7s %8s %8s %8s %8s %8s %10s %8s %10s\n", "rows", "drafts", "running",
           "moves", "plan", "draft", "fill", "advance", "commit", "hand over", "all", "ns a row");
    for (int i = 0; i < n; i++) {
        const struct point *p = &points[i];
        printf("%6d %6s %8.1f %7.1f %8.1f %8.1f %8.1f %8.1f %8.1f %10.1f %8.1f %10.1f\n", p->rows,
               p->drafts ? "on" : "off", p->mean_rows, p->mean_moves, p->plan, p->draft, p->fill,
               p->advance, p->commit, p->hand_over, total(p), 1000 * total(p) / p->mean_rows);
    }
}

static void print_json(const struct point *points, int n) {
    printf("[");
    for (int i = 0; i < n; i++) {
        const struct point *p = &points[i];
        printf("%s{\"rows\":%d,\"drafts\":%s,\"running\":%.1f,\"plan_us\":%.2f,\"draft_us\":%.2f,"
               "\"fill_us\":%.2f,\"advance_us\":%.2f,\"commit_us\":%.2f,\"hand_over_us\":%.2f,"
               "\"all_us\":%.2f}",
               i ? "," : "", p->rows, p->drafts ? "true" : "false", p->mean_rows, p->plan, p->draft,
               p->fill, p->advance, p->commit, p->hand_over, total(p));
    }
    printf("]\n");
}

int main(int argc, char **argv) {
    static const int rows[] = {64, 256, 1024, 4096};
    struct point points[8];
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    for (int i = 0; i < N_PROMPT; i++) prompt[i] = i % VOCAB;
    for (int i = 0; i < 8; i++) points[i] = measure(rows[i / 2], i % 2, 3000);
    json ? print_json(points, 8) : print_table(points, 8);
    return 0;
}

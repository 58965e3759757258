#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "worker/commands/commands.h"
#include "worker/commands/setup.h"
#include "worker/loop.h"
#include "worker/session/prompts.h"

struct flags {
    struct engine_flags engine;
    struct sampling sampling;
    struct wanted wanted;
    struct flag_list stops;
    struct arena arena; // of the settings
    const char *prompts, *output, *progress;
};

static const char usage[] =
    "stampede generate --model DIR --prompts FILE|- --output FILE|- [flags]\n"
    "Generates samples for a file of prompts (one JSON object a line) and grades them.\n"
    "Exit status: 0 done, 1 done but some lines were bad, 2 usage, 74 I/O, 78 bad checkpoint.";

static int fill_table(struct flags *f, struct flag *table) {
    struct sampling *s = &f->sampling;
    const struct flag flags[] = {
        {FLAG_HEADING, "", "", "Files:", NULL, 0, 0},
        {FLAG_TEXT, "--prompts", "FILE", "prompts, one JSON object a line; - is stdin", &f->prompts,
         0, 0},
        {FLAG_TEXT, "--output", "FILE", "samples, one JSON object a line; - is stdout", &f->output,
         0, 0},
        {FLAG_TEXT, "--progress", "WHEN", "auto, never or json, to stderr (default auto)",
         &f->progress, 0, 0},
        {FLAG_HEADING, "", "", "Sampling (a line's own settings win):", NULL, 0, 0},
        {FLAG_INT, "--n", "N", "samples of each prompt (default 1)", &s->n, 1, MESSAGE_MAX_SAMPLES},
        {FLAG_INT, "--max-new-tokens", "N", "tokens of a sample at most (default 512)",
         &s->max_new_tokens, 0, 1 << 24},
        {FLAG_FLOAT, "--temperature", "T", "0 is greedy (default 1)", &s->temperature, 0, 1e5},
        {FLAG_INT, "--top-k", "K", "0 is off (default 0)", &s->top_k, 0, 1 << 24},
        {FLAG_FLOAT, "--top-p", "P", "in (0, 1], 1 is off (default 1)", &s->top_p, 1e-9, 1},
        {FLAG_FLOAT, "--min-p", "P", "in [0, 1], 0 is off (default 0)", &s->min_p, 0, 1},
        {FLAG_FLOAT, "--repetition-penalty", "R", "1 is off (default 1)", &s->repetition_penalty,
         1e-3, 1e3},
        {FLAG_UINT64, "--seed", "N", "with a group's id it decides the draws (default 0)", &s->seed,
         0, 0},
        {FLAG_LIST, "--stop", "TEXT", "ends a sample's text", &f->stops, 0, 0},
        {FLAG_SWITCH, "--ignore-eos", NULL, "go on after an end token that was drawn",
         &s->ignore_eos, 0, 0},
        {FLAG_SWITCH, "--prompt-logprobs", NULL, "log-probabilities of the prompt's tokens",
         &f->wanted.prompt_logprobs, 0, 0},
        {FLAG_SWITCH, "--routed-experts", NULL, "the experts of every position and MoE layer",
         &f->wanted.routed_experts, 0, 0},
    };
    int n = (int)(sizeof flags / sizeof flags[0]);
    memcpy(table, flags, sizeof flags);
    engine_flags_add(&f->engine, table, &n);
    return n;
}

static int read_all(const char *path, struct buffer *out, struct error *err) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file)
        return error_set(err, ERROR_USAGE, "--prompts %s cannot be opened: %s.", path,
                         strerror(errno));
    size_t n;
    do {
        char *room = buffer_extend(out, 1 << 20);
        n = fread(room, 1, 1 << 20, file);
        out->len -= (1 << 20) - n;
    } while (n > 0);
    int failed = ferror(file);
    int number = errno;
    if (file != stdin) fclose(file);
    if (!failed) return 0;
    return error_set(err, ERROR_IO, "--prompts %s cannot be read: %s.", path, strerror(number));
}

static int open_output(const char *path, FILE **out, struct error *err) {
    *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
    if (*out) return 0;
    return error_set(err, ERROR_USAGE, "--output %s cannot be opened: %s.", path, strerror(errno));
}

static int check_flags(struct flags *f, struct error *err) {
    if (!f->prompts) return error_set(err, ERROR_USAGE, "--prompts is missing; expected a file.");
    if (!f->output) return error_set(err, ERROR_USAGE, "--output is missing; expected a file.");
    if (f->progress && strcmp(f->progress, "auto") && strcmp(f->progress, "never") &&
        strcmp(f->progress, "json"))
        return error_set(err, ERROR_USAGE, "--progress is '%s'; expected auto, never or json.",
                         f->progress);
    struct slice *stops = arena_take(&f->arena, (size_t)f->stops.n, sizeof *stops);
    for (int i = 0; i < f->stops.n; i++) stops[i] = slice_of(f->stops.values[i]);
    f->sampling.stops = stops;
    f->sampling.n_stops = f->stops.n;
    if (sampling_check(&f->sampling, INT32_MAX, &f->arena, err)) return err->code = ERROR_USAGE, -1;
    return 0;
}

// ---- progress: a line on a terminal, or a JSON object a second; a port without tasks

struct progress {
    struct port port;
    const struct prompts *prompts;
    const struct engine *engine;
    int64_t started_ms, last_ms;
    bool json, terminal;
};

// The totals of the run, behind a comma.
static void show_totals(const struct progress *p) {
    const struct status_counters *c = &p->engine->counters;
    fprintf(stderr, ",\"guessed\":%llu,\"accepted\":%llu,\"suspended\":%llu",
            (unsigned long long)c->n_guessed, (unsigned long long)c->n_accepted,
            (unsigned long long)scheduler_stats(p->engine->scheduler).n_preempted);
}

static void show(const struct progress *p, bool is_last) {
    struct prompts_counts c = prompts_counts(p->prompts);
    double seconds = (double)(clock_ms() - p->started_ms + 1) / 1000;
    double rate = (double)c.n_tokens / seconds;
    if (p->json) {
        fprintf(stderr,
                "{\"samples\":%llu,\"of\":%llu,\"tokens\":%llu,\"tokens_per_s\":%.1f,"
                "\"seconds\":%.1f",
                (unsigned long long)c.n_done, (unsigned long long)c.n_samples,
                (unsigned long long)c.n_tokens, rate, seconds);
        if (is_last) show_totals(p);
        fputs("}\n", stderr);
    } else
        fprintf(stderr, "\r%llu of %llu samples, %.0f tokens/s ", (unsigned long long)c.n_done,
                (unsigned long long)c.n_samples, rate);
}

static int receive(const struct port *port, struct engine *e, enum port_state *state,
                   struct error *err) {
    struct progress *p = port->self;
    int64_t now = clock_ms();
    (void)e, (void)err;
    *state = PORT_DONE;
    if (now - p->last_ms < 1000) return 0;
    p->last_ms = now;
    show(p, false);
    return 0;
}

static void start_progress(struct progress *p, const struct prompts *prompts,
                           const struct engine *engine, const char *when) {
    *p = (struct progress){.port = {.self = p, .fd = -1, .receive = receive},
                           .prompts = prompts,
                           .engine = engine,
                           .started_ms = clock_ms()};
    p->last_ms = p->started_ms;
    p->json = when && strcmp(when, "json") == 0;
    p->terminal = !p->json && !(when && strcmp(when, "never") == 0) && isatty(2);
}

static void finish_progress(const struct progress *p) {
    if (!p->json && !p->terminal) return;
    show(p, true);
    if (p->terminal) fputc('\n', stderr);
}

// ---- the command

static void log_drafts(const struct setup *s) {
    const struct status_counters *c = &s->engine.counters;
    if (!c->n_guessed) return;
    log_say(&s->log, LOG_INFO,
            "drafts: %llu tokens guessed, %llu (%.0f%%) right, %.2f tokens a step",
            (unsigned long long)c->n_guessed, (unsigned long long)c->n_accepted,
            100.0 * (double)c->n_accepted / (double)c->n_guessed,
            (double)c->n_output_tokens / (double)c->n_row_steps);
}

static int run(struct flags *f, struct setup *s, struct slice text, FILE *output,
               struct error *err) {
    const struct model_shape *shape = &s->engine.model.shape;
    const struct prompts_options options = {
        .requests = &s->requests,
        .engine = &s->engine,
        .shape = {shape_n_moe(shape), shape->n_experts_used, shape->n_experts},
        .max_ahead = 64 + 4 * f->engine.max_rows,
        .output = output,
    };
    struct prompts *prompts = prompts_open(text, &options);
    struct progress progress;
    start_progress(&progress, prompts, &s->engine, f->progress);
    struct loop loop = {.engine = &s->engine, .verify = &s->verify};
    ports_add(&loop.ports, prompts_port(prompts));
    if (progress.json || progress.terminal) ports_add(&loop.ports, &progress.port);
    int failed = loop_run(&loop, err);
    log_drafts(s);
    finish_progress(&progress); // the last line of stderr that is one of progress
    struct prompts_counts c = prompts_counts(prompts);
    if (!failed && c.n_bad)
        failed = error_set(err, ERROR_INPUT, "%llu of %llu lines were refused; see the output.",
                           (unsigned long long)c.n_bad, (unsigned long long)c.n_groups);
    struct scheduler_stats stats = scheduler_stats(s->engine.scheduler);
    log_say(&s->log, LOG_DEBUG, "rows suspended %llu times, %llu pages moved, %llu steps",
            (unsigned long long)stats.n_preempted, (unsigned long long)stats.n_pages_moved,
            (unsigned long long)s->engine.counters.n_steps);
    prompts_close(&prompts);
    return failed;
}

static int generate(struct flags *f, struct error *err) {
    struct setup s;
    struct buffer text = {0};
    FILE *output = NULL;
    if (check_flags(f, err)) return -1;
    if (read_all(f->prompts, &text, err)) return buffer_free(&text), -1;
    int failed = setup_open(&s, &f->engine, false, err);
    if (!failed) {
        failed = open_output(f->output, &output, err);
        s.requests.defaults = f->sampling;
        s.requests.wanted = f->wanted;
        if (!failed) failed = run(f, &s, buffer_slice(&text), output, err);
        setup_close(&s);
    }
    if (output && output != stdout && fclose(output) && !failed)
        failed = error_set(err, ERROR_IO, "--output %s cannot be written: %s.", f->output,
                           strerror(errno));
    buffer_free(&text);
    return failed;
}

static int run_flags(void *f, int *status, struct error *err) {
    (void)status;
    return generate(f, err);
}

int command_generate(int argc, char **argv) {
    struct flags f = {.engine = engine_flags_defaults(), .sampling = sampling_defaults()};
    struct flag table[SETUP_MAX_FLAGS];
    const struct command command = {.name = "generate",
                                    .usage = usage,
                                    .table = table,
                                    .n_flags = fill_table(&f, table),
                                    .run = run_flags,
                                    .flags = &f};
    int status = command_run(&command, argc, argv);
    flag_list_free(&f.stops);
    arena_clear(&f.arena);
    flag_list_free(&f.engine.verifiers);
    return status;
}

#include <stdlib.h>
#include <string.h>

#include "kernels/types/types.h"
#include "protocol/base/json.h"
#include "protocol/base/machine.h"
#include "worker/commands/bench.h"
#include "worker/commands/device_facts.h"
#include "worker/commands/commands.h"
#include "worker/commands/plan.h"

struct report {
    double prefill_tokens_per_s;
    struct bench_point points[BENCH_MAX_POINTS];
    int n_points;
    struct bench_prefill prefills[BENCH_MAX_POINTS]; // what --prefill asks for
    int n_prefills;
    struct bench_mix mix;    // seconds 0: not asked for
    double read_bytes_per_s; // of the machine, measured in this run; 0: of a device, not measured
    double row_bytes;        // weights that one row's step must read
    double expert_bytes;     // of all experts of all layers
    double peak_flops;       // likewise measured, of the path's products
    double attention_peak_flops; // and of float32
    double row_flops;            // of the products of one token
    struct device device;        // of the plan
    double prefill_plan_tokens_per_s;
};

static const char usage[] =
    "stampede bench (--model DIR|FILE | --synthetic 24b|8b|2.6b|1.2b|700m|350m|tiny) [flags]\n"
    "stampede bench --model DIR|FILE --compare MODEL [--json]\n"
    "stampede bench --plan DEVICE [--model DIR | --synthetic NAME] [flags]\n"
    "\n"
    "Measures prefill, and decode at several numbers of rows: medians of --runs runs, beside\n"
    "what this machine reads and multiplies in the same run. GB/s counts weights, of the experts\n"
    "those that the rows were sent to; the limit is what takes longer, reading them or the\n"
    "products (attention's own are counted with --prefill alone).\n"
    "With --plan it computes instead what a device could do at best, kernel by kernel: the\n"
    "bytes to move and the operations to do, over what the device can (a roofline). Nothing\n"
    "runs, and nothing of a plan is a measurement. With --measure, or --plan auto, both are\n"
    "done, and what was measured is told as a share of the plan.\n"
    "\n"
    "A device is " DEVICE_NAMES ", or a FILE with one JSON object:\n"
    "  read_bytes_per_s, peak_flops   of its memory, and of arithmetic in the weights' type\n"
    "  memory_bytes                   its size\n"
    "  launch_gap_us                  from the end of a kernel to the start of the next one\n"
    "and, if wanted,\n"
    "  read_share, flops_share, memory_share   what of the first three is achieved (1)\n"
    "  workspace_bytes                beside weights and state (0)\n"
    "  kv_overlaps                    false: nothing computes while K and V are read (false)\n"
    "  name                           what it is called (the file's name)\n"
    "Those with a name are bounds: data sheets, all shares 1, everything overlaps, no gaps.";

static int fill_table(struct bench_flags *f, struct flag *table) {
    const struct flag flags[] = {
        {FLAG_HEADING, "", "", "Bench:", NULL, 0, 0},
        {FLAG_TEXT, "--synthetic", "NAME",
         "random weights: 24b, 8b, 2.6b, 1.2b, 700m, 350m or tiny (default of a plan: 24b)",
         &f->synthetic, 0, 0},
        {FLAG_TEXT, "--rows", "LIST",
         "rows that decode at once (default 1,4,16,64; of a plan up to 1,16,64,256,1024)", &f->rows,
         0, 0},
        {FLAG_INT, "--prompt", "N", "prompt tokens (default 512)", &f->n_prompt, 2, 1 << 20},
        {FLAG_TEXT, "--prefill", "LIST",
         "also prefill of prompts of so many tokens, such as 512,4096, with attention in the limit",
         &f->prefill, 0, 0},
        {FLAG_INT, "--runs", "N",
         "runs of each measurement, of which the median is told (default 3)", &f->n_runs, 1,
         BENCH_MAX_RUNS},
        {FLAG_INT, "--new", "N", "output tokens of a row (default 64)", &f->n_new, 3, 1 << 20},
        {FLAG_INT, "--group", "N", "rows that share a prompt (default: all of them)", &f->n_group,
         1, 1 << 16},
        {FLAG_INT, "--in", "N", "prompt tokens of a request; with --out and --concurrent", &f->n_in,
         1, 1 << 24},
        {FLAG_INT, "--out", "N", "new tokens of a request", &f->n_out, 1, 1 << 24},
        {FLAG_INT, "--concurrent", "N",
         "requests, measured from first to last; of a plan: in flight, in a steady state",
         &f->n_concurrent, 1, 1 << 20},
        {FLAG_TEXT, "--compare", "MODEL",
         "instead of speed: distance of log-probabilities from this checkpoint in float32",
         &f->compare, 0, 0},
        {FLAG_SWITCH, "--json", NULL, "one JSON object instead of the table", &f->json, 0, 0},
        {FLAG_HEADING, "", "",
         "Plan (--weights also fp8, int4; --kv-type also fp8, default bf16):", NULL, 0, 0},
        {FLAG_TEXT, "--plan", "DEVICE", DEVICE_NAMES ", FILE, or auto: this machine (cpu)",
         &f->plan, 0, 0},
        {FLAG_SWITCH, "--measure", NULL, "measure as well (--plan auto always does)", &f->measure,
         0, 0},
        {FLAG_INT, "--context", "N", "positions that a row's token looks at (default 1024)",
         &f->context, 1, 1 << 24},
        {FLAG_HEADING, "", "",
         "Drafts (--draft: off if not given; K of a plan, with --acceptance):", NULL, 0, 0},
        {FLAG_FLOAT, "--acceptance", "P",
         "chance of a guess to be right if those before it were, 0 to 1; measured: decode with "
         "such guesses beside decode without",
         &f->acceptance, 0, 1},
    };
    int n = (int)(sizeof flags / sizeof flags[0]);
    memcpy(table, flags, sizeof flags);
    engine_flags_add(&f->engine, table, &n);
    return n;
}

int bench_parse_list(const char *flag, const char *text, int most, const char *why,
                     int list[BENCH_MAX_POINTS], struct error *err) {
    for (int i = 0; i < BENCH_MAX_POINTS; i++) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || n < 1 || n > most || (*end && *end != ',')) break;
        list[i] = (int)n;
        if (!*end) return i + 1;
        text = end + 1;
    }
    return error_set(err, ERROR_USAGE,
                     "%s is wrong at '%s'; expected up to %d numbers from 1 to %d%s, with commas.",
                     flag, text, BENCH_MAX_POINTS, most, why);
}

// ---- what a token costs

// Two operations for each weight that a token meets; attention's own products are not counted.
static double row_flops(const struct setup *s) {
    const struct model_shape *shape = &s->names->shape;
    double n = 0;
    for (int i = 0; i < s->names->n; i++) {
        const struct weight *w = &s->names->weights[i];
        if (w->kind == WEIGHT_EMBED && !shape->tied_head) continue;
        double share = w->expert < 0 ? 1 : (double)shape->n_experts_used / shape->n_experts;
        n += 2 * share * (double)weight_n(w);
    }
    return n;
}

// A row reads every weight but the experts that it was not sent to, and of an untied embedding one
// row (which is not counted).
static void count_bytes(const struct setup *s, struct report *r) {
    const struct model_shape *shape = &s->names->shape;
    for (int i = 0; i < s->names->n; i++) {
        const struct weight *w = &s->names->weights[i];
        if (w->kind == WEIGHT_EMBED && !shape->tied_head) continue;
        double bytes = (double)type_size(s->dtypes[i], weight_n(w));
        if (w->expert >= 0) r->expert_bytes += bytes;
        r->row_bytes += w->expert < 0 ? bytes : bytes * shape->n_experts_used / shape->n_experts;
    }
}

// Weights that a measured step read: more rows meet more experts.
static double step_bytes(const struct report *r, const struct setup *s,
                         const struct bench_point *p) {
    const struct model_shape *shape = &s->names->shape;
    if (shape_n_moe(shape) == 0) return r->row_bytes;
    return r->row_bytes +
           r->expert_bytes * (p->experts_hit - shape->n_experts_used) / shape->n_experts;
}

// The share of this machine's limit that a step reaches: of reading `bytes`, or of its products,
// whichever takes longer.
static double limit_share(const struct report *r, double bytes, double flops, double seconds) {
    double reading = bytes / r->read_bytes_per_s, products = flops / r->peak_flops;
    return (reading > products ? reading : products) / seconds;
}

// Prefill computes no logits.
static double head_flops(const struct setup *s) {
    return 2.0 * s->names->shape.vocab * s->names->shape.hidden;
}

// ---- the plan beside it

static bool is_auto(const struct bench_flags *f) {
    return f->plan && strcmp(f->plan, "auto") == 0;
}

// The device of the plan before anything is measured; of "auto" the rest follows.
static int start_plan(struct report *r, const struct bench_flags *f, struct error *err) {
    if (!f->plan) return 0;
    if (!is_auto(f)) return bench_plan_device(f, &r->device, err);
    if (strcmp(f->engine.device, "cpu") != 0)
        return error_set(
            err, ERROR_USAGE,
            "--plan auto knows the limits of cpu, not those of '%s'; expected one of " DEVICE_NAMES
            ", or a FILE.",
            f->engine.device);
    r->device = (struct device){.name = "auto", .read_share = 1, .flops_share = 1};
    r->device.memory_share = 1;
    r->device.memory_bytes = (double)machine_available_bytes();
    return 0;
}

static double step_ms(const struct roofline_model *m, const struct device *d,
                      const struct roofline_load *l) {
    struct roofline step;
    roofline_step(m, d, l, &step);
    return step.step.ms;
}

// Plans the steps that were measured: contexts are the mean over those.
static void finish_plan(struct report *r, const struct setup *s, const struct bench_flags *f) {
    struct roofline_model model;
    enum dtype kv;
    plan_kv_type(f->engine.kv_type, &kv, NULL); // the engine runs with it
    if (is_auto(f)) {
        r->device.read_bytes_per_s = r->read_bytes_per_s;
        r->device.peak_flops = r->peak_flops;
    }
    bench_plan_resident(s->names, s->dtypes, kv, &model);
    int n = f->n_prompt - 1, n_groups = 1, chunk = f->engine.prefill_chunk;
    for (int i = 0; i < r->n_points; i++) {
        int groups = (r->points[i].rows + f->n_group - 1) / f->n_group;
        if (groups > n_groups) n_groups = groups;
    }
    if (chunk > (int64_t)n * n_groups) chunk = n * n_groups;
    const struct roofline_load prefill = {.prefill_tokens = chunk, .prefill_context = n / 2.0};
    r->prefill_plan_tokens_per_s = 1000 * chunk / step_ms(&model, &r->device, &prefill);
    for (int i = 0; i < r->n_points; i++) {
        const struct roofline_load load = {
            .rows = r->points[i].rows,
            .context = (f->n_prompt + bench_row_tokens(f, r->points[i].rows)) / 2.0};
        r->points[i].plan_ms = step_ms(&model, &r->device, &load);
    }
}

static double plan_tokens_per_s(const struct bench_point *p) {
    return 1000 * p->rows / p->plan_ms;
}

// ---- what is told

static void print_head(const struct report *r, const struct setup *s, const struct bench_flags *f) {
    const struct model *m = &s->engine.model;
    char line[DEVICE_LINE_BYTES];
    kernels_device_line(&s->device, line);
    printf("%s, prompt %d, %d new tokens\n", m->ops->numerics(m->backend), f->n_prompt, f->n_new);
    printf("device: %s; weights loaded at %.2f GB/s\n", line, s->load_bytes_per_s / 1e9);
    if (r->peak_flops > 0)
        printf("this machine: %.1f GB/s read, %.0f %s multiply-add\n", r->read_bytes_per_s / 1e9,
               r->peak_flops / 1e9, bench_is_mostly_blocks(s) ? "Gop/s int8" : "GFLOP/s");
    if (f->plan)
        printf("plan: %s, %.1f GB/s, %.0f GFLOP/s\n", r->device.name,
               r->device.read_bytes_per_s * r->device.read_share / 1e9,
               r->device.peak_flops * r->device.flops_share / 1e9);
    printf("%-8s %6s %12s %12s", "stage", "rows", "ms a step", "tokens/s");
    if (r->peak_flops > 0) printf(" %8s %8s %9s", "GB/s", "GMAC/s", "of limit");
    printf(f->plan ? " %12s %8s\n" : "\n", "plan tok/s", "of plan");
}

// The last columns of a line: rates and the share of this machine's limit where that was measured
// (bytes 0: not known), then the plan's (planned 0: none).
static void print_rates(const struct report *r, double bytes, double flops, double seconds) {
    if (!(r->peak_flops > 0)) return;
    if (bytes > 0)
        printf(" %8.1f", bytes / seconds / 1e9);
    else
        printf(" %8s", "");
    printf(" %8.1f %8.0f%%", flops / 2e9 / seconds, 100 * limit_share(r, bytes, flops, seconds));
}

static void print_plan_share(const struct bench_flags *f, double measured, double planned) {
    if (f->plan) printf(" %12.1f %7.0f%%", planned, 100 * measured / planned);
    printf("\n");
}

static void print_mix(const struct report *r, const struct bench_flags *f) {
    if (r->mix.seconds > 0)
        printf("mix: %d requests, %d in, %d out: %.2f s, %.1f tokens/s, %.1f of them new\n",
               f->n_concurrent, f->n_in, f->n_out, r->mix.seconds, r->mix.tokens_per_s,
               r->mix.output_tokens_per_s);
}

static struct bench_limits limits_of(const struct report *r, const struct setup *s) {
    return (struct bench_limits){r->peak_flops, r->attention_peak_flops,
                                 r->row_flops - head_flops(s)};
}

static void print_table(const struct report *r, const struct setup *s,
                        const struct bench_flags *f) {
    print_head(r, s, f);
    double flops = r->row_flops - head_flops(s);
    printf("%-8s %6d %12s %12.1f", "prefill", 1, "", r->prefill_tokens_per_s);
    print_rates(r, 0, flops, 1 / r->prefill_tokens_per_s);
    print_plan_share(f, r->prefill_tokens_per_s, r->prefill_plan_tokens_per_s);
    for (int i = 0; i < r->n_points; i++) {
        const struct bench_point *p = &r->points[i];
        printf("%-8s %6d %12.2f %12.1f", "decode", p->rows, p->step_ms, p->tokens_per_s);
        print_rates(r, step_bytes(r, s, p), r->row_flops * p->rows, p->step_ms / 1000);
        print_plan_share(f, p->tokens_per_s, plan_tokens_per_s(p));
    }
    const struct bench_limits limits = limits_of(r, s);
    bench_prefill_print(r->prefills, r->n_prefills, &limits);
    bench_drafts_print(r->points, r->n_points, &s->engine.counters);
    print_mix(r, f);
}

static void print_plan_json(const struct report *r) {
    struct buffer device = {0};
    device_add_json(&device, &r->device);
    printf(",\"plan\":{\"device\":%.*s,\"prefill_tokens_per_s\":%.1f,\"prefill_share\":%.4f,"
           "\"decode\":[",
           (int)device.len, device.ptr, r->prefill_plan_tokens_per_s,
           r->prefill_tokens_per_s / r->prefill_plan_tokens_per_s);
    for (int i = 0; i < r->n_points; i++)
        printf("%s{\"rows\":%d,\"step_ms\":%.6g,\"tokens_per_s\":%.1f,\"share\":%.4f}",
               i ? "," : "", r->points[i].rows, r->points[i].plan_ms,
               plan_tokens_per_s(&r->points[i]),
               r->points[i].tokens_per_s / plan_tokens_per_s(&r->points[i]));
    printf("]}");
    buffer_free(&device);
}

static void print_point_json(const struct report *r, const struct setup *s,
                             const struct bench_point *p, int i) {
    double bytes = step_bytes(r, s, p), flops = r->row_flops * p->rows, seconds = p->step_ms / 1000;
    printf("%s{\"rows\":%d,\"step_ms\":%.3f,\"tokens_per_s\":%.1f,\"experts_hit\":%.2f,"
           "\"bytes_per_s\":%.0f,\"macs_per_s\":%.0f",
           i ? "," : "", p->rows, p->step_ms, p->tokens_per_s, p->experts_hit, bytes / seconds,
           flops / 2 / seconds);
    if (r->peak_flops > 0) printf(",\"limit_share\":%.4f", limit_share(r, bytes, flops, seconds));
    bench_drafts_print_json(p);
    printf("}");
}

static void print_json(const struct report *r, const struct setup *s, const struct bench_flags *f) {
    const struct model *m = &s->engine.model;
    struct buffer facts = {0};
    device_facts_add_json(&facts, &s->device);
    printf("{\"numerics\":\"%s\",\"device\":%.*s,\"load_bytes_per_s\":%.0f,\"prompt\":%d,"
           "\"new\":%d,",
           m->ops->numerics(m->backend), (int)facts.len, facts.ptr, s->load_bytes_per_s,
           f->n_prompt, f->n_new);
    buffer_free(&facts);
    if (r->peak_flops > 0)
        printf("\"read_bytes_per_s\":%.0f,\"peak_flops\":%.0f,", r->read_bytes_per_s,
               r->peak_flops);
    printf("\"row_bytes\":%.0f,\"row_flops\":%.0f,\"prefill_tokens_per_s\":%.1f,\"decode\":[",
           r->row_bytes, r->row_flops, r->prefill_tokens_per_s);
    for (int i = 0; i < r->n_points; i++) print_point_json(r, s, &r->points[i], i);
    printf("],");
    const struct bench_limits limits = limits_of(r, s);
    bench_prefill_print_json(r->prefills, r->n_prefills, &limits);
    bench_drafts_print_totals_json(&s->engine.counters);
    if (r->mix.seconds > 0)
        printf(",\"mix\":{\"requests\":%d,\"in\":%d,\"out\":%d,\"seconds\":%.3f,"
               "\"tokens_per_s\":%.1f,\"output_tokens_per_s\":%.1f}",
               f->n_concurrent, f->n_in, f->n_out, r->mix.seconds, r->mix.tokens_per_s,
               r->mix.output_tokens_per_s);
    if (f->plan) print_plan_json(r);
    printf("}\n");
}

// ---- the run

static bool has_mix(const struct bench_flags *f) {
    return f->n_in || f->n_out || f->n_concurrent;
}

static int check_measured(const struct bench_flags *f, struct error *err) {
    if (!f->plan && f->measure)
        return error_set(err, ERROR_USAGE,
                         "--measure adds a measured run to --plan, which is missing.");
    if (f->context || (f->plan && (f->engine.draft || f->acceptance >= 0)))
        return error_set(err, ERROR_USAGE,
                         "--context, and of a plan --draft and --acceptance, describe a load that "
                         "is not measured; expected --rows, --prompt and --new of what is.");
    if (f->acceptance >= 0 && (!f->engine.draft || strcmp(f->engine.draft, "off") == 0))
        return error_set(err, ERROR_USAGE,
                         "--acceptance is of guesses; expected --draft auto or a number of tokens "
                         "with it.");
    if (has_mix(f) && !(f->n_in && f->n_out && f->n_concurrent))
        return error_set(err, ERROR_USAGE,
                         "--in, --out and --concurrent describe requests together; expected all "
                         "three or none.");
    if (!f->synthetic == !f->engine.model)
        return error_set(err, ERROR_USAGE, "Expected exactly one of --model and --synthetic.");
    return 0;
}

static void fill_defaults(struct bench_flags *f) {
    if (!f->rows) f->rows = "1,4,16,64";
    if (!f->n_prompt) f->n_prompt = 512;
    if (!f->n_new) f->n_new = 64;
    if (!f->n_runs) f->n_runs = 3;
    if (!f->n_group) f->n_group = 1 << 16;
    if (!f->engine.kv_type) f->engine.kv_type = "f32";
    if (!f->engine.log_level) f->engine.log_level = "warn";
    if (!f->engine.draft) f->engine.draft = "off";
    f->engine.no_verify = true;
}

static int fill_points(struct report *r, const struct bench_flags *f, struct error *err) {
    int rows[BENCH_MAX_POINTS];
    int most = f->engine.max_rows;
    r->n_points = bench_parse_list("--rows", f->rows, most, " (--max-rows)", rows, err);
    if (r->n_points < 0) return -1;
    for (int i = 0; i < r->n_points; i++) r->points[i].rows = rows[i];
    if (!f->prefill) return 0;
    r->n_prefills = bench_parse_list("--prefill", f->prefill, 1 << 20, "", rows, err);
    for (int i = 0; i < r->n_prefills; i++) r->prefills[i].n_tokens = rows[i];
    return r->n_prefills < 0 ? -1 : 0;
}

static int check_room(const struct report *r, const struct bench_flags *f, int room,
                      struct error *err) {
    for (int i = 0; i < r->n_points; i++) {
        int n = bench_row_tokens(f, r->points[i].rows), n_more = n - f->n_prompt - f->n_new;
        if (n > room)
            return error_set(
                err, ERROR_USAGE, "--prompt %d and --new %d need %d tokens%s; a row holds %d.",
                f->n_prompt, f->n_new, n,
                n_more ? ", since rows decode while prompts of others are computed" : "", room);
    }
    for (int i = 0; i < r->n_prefills; i++)
        if (r->prefills[i].n_tokens + 2 > room)
            return error_set(err, ERROR_USAGE, "--prefill %d needs %d tokens; a row holds %d.",
                             r->prefills[i].n_tokens, r->prefills[i].n_tokens + 2, room);
    if (f->n_in + f->n_out > room)
        return error_set(err, ERROR_USAGE, "--in %d and --out %d need %d tokens; a row holds %d.",
                         f->n_in, f->n_out, f->n_in + f->n_out, room);
    return 0;
}

static int measure_all(struct report *r, struct setup *s, const struct bench_flags *f,
                       struct error *err) {
    if (check_room(r, f, s->requests.max_context, err)) return -1;
    struct bench_looks looks = {.n = 0};
    for (int i = 0; i < r->n_points; i++) {
        bench_look(&looks, s, f);
        if (bench_measure_rows(s, f, &r->points[i], &r->prefill_tokens_per_s, err) ||
            (f->acceptance >= 0 && bench_measure_drafts(s, f, &r->points[i], err)))
            return -1;
    }
    for (int i = 0; i < r->n_prefills; i++)
        if (bench_measure_prefill(s, f, &r->prefills[i], err)) return -1;
    if (f->n_concurrent && bench_measure_mix(s, f, &r->mix, err)) return -1;
    bench_look(&looks, s, f);
    r->read_bytes_per_s = bench_median(looks.read, looks.n);
    r->peak_flops = bench_median(looks.peak, looks.n);
    r->attention_peak_flops = bench_median(looks.attention_peak, looks.n);
    count_bytes(s, r);
    r->row_flops = row_flops(s);
    if (f->plan) finish_plan(r, s, f);
    return 0;
}

static int bench(struct bench_flags *f, struct error *err) {
    struct setup s;
    struct report r = {0};
    if (check_measured(f, err)) return -1;
    fill_defaults(f);
    if (fill_points(&r, f, err) || start_plan(&r, f, err)) return -1;
    if (f->synthetic ? setup_open_synthetic(&s, &f->engine, f->synthetic, err)
                     : setup_open(&s, &f->engine, false, err))
        return -1;
    int failed = measure_all(&r, &s, f, err);
    if (!failed) f->json ? print_json(&r, &s, f) : print_table(&r, &s, f);
    setup_close(&s);
    return failed;
}

static int run_flags(void *f, int *status, struct error *err) {
    struct bench_flags *flags = f;
    (void)status;
    if (flags->compare) return bench_compare(flags, err);
    if (flags->plan && !flags->measure && !is_auto(flags)) return bench_plan(flags, err);
    return bench(flags, err);
}

int command_bench(int argc, char **argv) {
    struct bench_flags f = {.engine = engine_flags_defaults(), .acceptance = -1};
    f.engine.kv_type = NULL; // its default is another one in a plan
    f.engine.draft = NULL;
    struct flag table[SETUP_MAX_FLAGS];
    const struct command command = {.name = "bench",
                                    .usage = usage,
                                    .table = table,
                                    .n_flags = fill_table(&f, table),
                                    .run = run_flags,
                                    .flags = &f};
    int status = command_run(&command, argc, argv);
    flag_list_free(&f.engine.verifiers);
    return status;
}

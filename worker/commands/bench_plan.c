#include <stdlib.h>
#include <string.h>

#include "kernels/types/types.h"
#include "protocol/base/memory.h"
#include "worker/commands/bench.h"
#include "worker/commands/plan.h"
#include "worker/commands/roofline/report.h"
#include "worker/load/checkpoint.h"
#include "worker/load/file.h"

enum { MAX_ROWS = 1 << 20 };

// ------------------------------------------------------------------ flags

static int check_mix(const struct bench_flags *f, struct error *err) {
    if (!f->n_in || !f->n_out || !f->n_concurrent)
        return error_set(err, ERROR_USAGE,
                         "--in, --out and --concurrent describe requests together; expected all "
                         "three of them.");
    if (f->rows || f->context)
        return error_set(err, ERROR_USAGE,
                         "--in, --out and --concurrent give rows and context; expected neither "
                         "--rows nor --context beside them.");
    return 0;
}

static int check_flags(const struct bench_flags *f, struct error *err) {
    if (f->synthetic && f->engine.model)
        return error_set(err, ERROR_USAGE, "Expected at most one of --model and --synthetic.");
    if (f->n_prompt || f->n_new || f->n_group || f->prefill || f->n_runs)
        return error_set(err, ERROR_USAGE,
                         "--prompt, --new, --group, --prefill and --runs belong to a measured run; "
                         "expected --context, or "
                         "--in, --out and --concurrent, of a plan (or --measure).");
    if (!f->engine.draft != (f->acceptance < 0))
        return error_set(err, ERROR_USAGE, "Expected both --draft and --acceptance, or neither.");
    return f->n_in || f->n_out || f->n_concurrent ? check_mix(f, err) : 0;
}

// ------------------------------------------------------------------ the device

int bench_plan_device(const struct bench_flags *f, struct device *out, struct error *err) {
    struct buffer text = {0};
    if (device_named(f->plan, out) == 0) return 0;
    int failed = file_read(f->plan, DEVICE_MAX_FILE_BYTES, &text, err);
    if (failed)
        error_prefix(err, "--plan is none of " DEVICE_NAMES " and auto, and no file");
    else
        failed = device_parse(f->plan, buffer_slice(&text), out, err);
    buffer_free(&text);
    return failed;
}

// ------------------------------------------------------------------ the model

// Bytes of one weight where --weights names a type that only a plan knows, else 0. int4 comes with
// a scale for some dozens of values.
static double planned_bytes(const char *weights) {
    return strcmp(weights, "fp8") == 0 ? 1 : strcmp(weights, "int4") == 0 ? 0.53 : 0;
}

static void add_weights(struct roofline_model *m, const struct names *names,
                        const enum dtype *dtypes, double planned) {
    for (int i = 0; i < names->n; i++) {
        const struct weight *w = &names->weights[i];
        double n = (double)weight_n(w);
        roofline_model_add(m, w,
                           planned > 0 ? n * planned : (double)type_size(dtypes[i], weight_n(w)));
    }
}

static void start_resident(struct roofline_model *m, const struct model_shape *shape,
                           enum dtype kv) {
    double element = (double)state_head_bytes(kv, shape->head_dim, 1) / shape->head_dim;
    roofline_model_start(m, shape, element, (double)dtype_bytes(state_conv_dtype(kv)));
}

void bench_plan_resident(const struct names *names, const enum dtype *dtypes, enum dtype kv,
                         struct roofline_model *out) {
    start_resident(out, &names->shape, kv);
    add_weights(out, names, dtypes, 0);
}

// A plan knows fp8 besides, with conv state in bf16.
static int start_model(struct roofline_model *m, const struct model_shape *shape,
                       const char *kv_type, struct error *err) {
    const char *type = kv_type ? kv_type : "bf16";
    enum dtype kv;
    if (strcmp(type, "fp8") == 0)
        roofline_model_start(m, shape, 1, 2);
    else if (plan_kv_type(type, &kv, NULL) == 0)
        start_resident(m, shape, kv);
    else
        return error_set(err, ERROR_USAGE,
                         "--kv-type is '%s'; expected f32, bf16, f16, q8_0 or fp8 of a plan.",
                         type);
    return 0;
}

static int synthetic_model(struct roofline_model *m, const struct bench_flags *f, int types,
                           double planned, struct error *err) {
    struct model_config config;
    if (config_synthetic(f->synthetic ? f->synthetic : "24b", &config, err)) return -1;
    if (start_model(m, &config.shape, f->engine.kv_type, err)) return -1;
    struct names *names = names_new(&config.shape);
    enum dtype *dtypes = memory_new((size_t)names->n, sizeof *dtypes);
    checkpoint_synthetic_dtypes(names, types, dtypes);
    add_weights(m, names, dtypes, planned);
    free(dtypes);
    names_free(&names);
    return 0;
}

// Only headers are read.
static int checkpoint_model(struct roofline_model *m, const struct bench_flags *f, int types,
                            double planned, struct error *err) {
    struct checkpoint *c;
    if (checkpoint_open(f->engine.model, types, &c, err)) return -1;
    int failed = start_model(m, &c->config.shape, f->engine.kv_type, err);
    if (!failed) add_weights(m, c->names, c->dtypes, planned);
    checkpoint_close(&c);
    return failed;
}

static int open_model(struct roofline_model *m, const struct bench_flags *f, struct error *err) {
    int types = CHECKPOINT_AS_IS;
    double planned = planned_bytes(f->engine.weights);
    if (planned == 0 && checkpoint_types_parse(f->engine.weights, &types, NULL))
        return error_set(err, ERROR_USAGE,
                         "--weights is '%s'; expected as-is, bf16, f16, f32, fp8 or int4 of a "
                         "plan.",
                         f->engine.weights);
    return f->engine.model ? checkpoint_model(m, f, types, planned, err)
                           : synthetic_model(m, f, types, planned, err);
}

// ------------------------------------------------------------------ the load

static const char *model_name(const struct bench_flags *f) {
    const char *slash = f->engine.model ? strrchr(f->engine.model, '/') : NULL;
    if (!f->engine.model) return f->synthetic ? f->synthetic : "24b";
    return slash && slash[1] ? slash + 1 : f->engine.model;
}

static int check_fit(const struct report_plan *p, const struct roofline_load *l,
                     struct error *err) {
    struct roofline_memory m;
    roofline_fit(p->model, p->device, l, &m);
    if (m.fits) return 0;
    return error_set(err, ERROR_MEMORY,
                     "%s with %.0f row%s of %.0f tokens needs %.2f GB (weights %.2f, KV %.2f, conv "
                     "state %.2f, workspace %.2f); %s has %.2f GB, room for %.0f such rows.",
                     p->model_name, l->rows, l->rows == 1 ? "" : "s", l->context, m.need / 1e9,
                     m.weights / 1e9, m.kv / 1e9, m.conv / 1e9, m.workspace / 1e9, p->device->name,
                     m.have / 1e9, m.max_rows);
}

static int check_positions(const struct roofline_model *m, int n, struct error *err) {
    if (n <= m->shape.max_positions) return 0;
    return error_set(err, ERROR_CONFIG, "A row has %d tokens; the model has positions for %d.", n,
                     m->shape.max_positions);
}

static struct roofline_load decode_load(const struct report_plan *p, const struct bench_flags *f,
                                        int rows) {
    int usual = p->model->shape.max_positions < 1024 ? p->model->shape.max_positions : 1024;
    return (struct roofline_load){.rows = rows,
                                  .context = f->context ? f->context : usual,
                                  .n_draft = f->n_draft,
                                  .acceptance = f->n_draft ? (double)f->acceptance : 0};
}

// Numbers of rows that nobody asked for: those that fit, and one row in any case.
static int add_usual(struct report_plan *p, const struct bench_flags *f,
                     struct roofline_load loads[BENCH_MAX_POINTS], struct error *err) {
    static const int usual[] = {1, 16, 64, 256, 1024};
    for (int i = 0; i < 5; i++) {
        loads[p->n_loads] = decode_load(p, f, usual[i]);
        if (check_fit(p, &loads[p->n_loads], i ? NULL : err)) return i ? 0 : -1;
        p->n_loads++;
    }
    return 0;
}

static int add_rows(struct report_plan *p, const struct bench_flags *f,
                    struct roofline_load loads[BENCH_MAX_POINTS], struct error *err) {
    int rows[BENCH_MAX_POINTS];
    int n = bench_parse_list("--rows", f->rows, MAX_ROWS, "", rows, err);
    for (int i = 0; i < n; i++) {
        loads[i] = decode_load(p, f, rows[i]);
        if (check_fit(p, &loads[i], err)) return -1;
    }
    p->n_loads = n;
    return n < 0 ? -1 : 0;
}

static int add_mix(struct report_plan *p, const struct bench_flags *f,
                   struct roofline_load loads[BENCH_MAX_POINTS], struct error *err) {
    p->n_in = f->n_in;
    p->n_out = f->n_out;
    p->n_loads = 1;
    loads[0] = roofline_mix(f->n_concurrent, f->n_in, f->n_out, f->n_draft,
                            f->n_draft ? (double)f->acceptance : 0);
    if (check_positions(p->model, f->n_in + f->n_out, err)) return -1;
    return check_fit(p, &loads[0], err);
}

static int add_loads(struct report_plan *p, const struct bench_flags *f,
                     struct roofline_load loads[BENCH_MAX_POINTS], struct error *err) {
    p->loads = loads;
    if (f->n_in) return add_mix(p, f, loads, err);
    if (check_positions(p->model, f->context, err)) return -1;
    return f->rows ? add_rows(p, f, loads, err) : add_usual(p, f, loads, err);
}

// A plan has no policy: it is told how far to guess.
static int parse_draft(struct bench_flags *f, struct error *err) {
    int draft = DRAFT_OFF;
    const char *text = f->engine.draft;
    if (text && (sampling_parse_draft(slice_of(text), &draft) || draft <= DRAFT_OFF))
        return error_set(err, ERROR_USAGE, "--draft is '%s'; expected 1 to %d tokens of a plan.",
                         text, MESSAGE_MAX_DRAFT);
    f->n_draft = draft - DRAFT_OFF;
    return 0;
}

int bench_plan(struct bench_flags *f, struct error *err) {
    struct device device;
    struct roofline_model model;
    struct roofline_load loads[BENCH_MAX_POINTS];
    struct report_plan plan = {.model_name = model_name(f), .model = &model, .device = &device};
    if (check_flags(f, err) || parse_draft(f, err)) return -1;
    if (bench_plan_device(f, &device, err) || open_model(&model, f, err)) return -1;
    if (add_loads(&plan, f, loads, err)) return -1;
    struct buffer out = {0};
    f->json ? report_add_json(&out, &plan) : report_add_text(&out, &plan);
    fwrite(out.ptr, 1, out.len, stdout);
    buffer_free(&out);
    return 0;
}

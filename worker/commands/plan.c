#include "worker/commands/plan.h"

#include <stdio.h>
#include <string.h>

#include "protocol/base/machine.h"

// Pages are the unit of growth and of attention's order of summation; 16 positions keep what a row
// holds beyond its last token small (kernels/README.md has the figures).
enum { PAGE_TOKENS = 16 };

int plan_kv_type(const char *text, enum dtype *out, struct error *err) {
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0};
    for (int i = 0; i < 4; i++) {
        *out = types[i];
        if (strcmp(text, dtype_name(types[i])) == 0) return 0;
    }
    return error_set(err, ERROR_USAGE, "--kv-type is '%s'; expected f32, bf16, f16 or q8_0.", text);
}

static int64_t pages_for(int64_t n_tokens) {
    return (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// --max-context 0 means the model's, as far as one row fits into the KV memory alone.
static int plan_pages(struct plan_memory *p, const struct model_shape *shape,
                      const struct engine_flags *f, struct error *err) {
    struct engine_options *e = &p->engine;
    uint64_t page = kernels_page_bytes(shape, p->kv_dtype, PAGE_TOKENS);
    int64_t context = f->max_context ? f->max_context : shape->max_positions;
    if (context > shape->max_positions)
        return error_set(err, ERROR_CONFIG,
                         "--max-context is %d; the model has positions for %d tokens.",
                         f->max_context, shape->max_positions);
    int64_t room = page ? (int64_t)smaller((int64_t)(f->kv_bytes / page), 1 << 26) : 1 << 26;
    if (!f->max_context) context = smaller(context, room * PAGE_TOKENS);
    if (room < 1)
        return error_set(err, ERROR_CONFIG,
                         "--kv-memory is %llu bytes; expected room for a page of %d tokens, %llu "
                         "bytes, at least.",
                         (unsigned long long)f->kv_bytes, PAGE_TOKENS, (unsigned long long)page);
    if (pages_for(context) > room)
        return error_set(err, ERROR_CONFIG,
                         "--kv-memory of %llu bytes holds %lld tokens; one row of --max-context "
                         "needs %lld.",
                         (unsigned long long)f->kv_bytes, (long long)room * PAGE_TOKENS,
                         (long long)context);
    e->max_context = (int)context;
    e->n_pages = (int)smaller(room, pages_for(context) * (f->max_rows + e->max_prefixes));
    e->page_tokens = PAGE_TOKENS;
    return 0;
}

static void plan_arena(struct plan_memory *p, const struct model_shape *shape,
                       const struct engine_flags *f) {
    struct engine_options *e = &p->engine;
    uint64_t page = kernels_page_bytes(shape, p->kv_dtype, PAGE_TOKENS);
    uint64_t conv = kernels_conv_bytes(shape, p->kv_dtype, e->draft.max_draft);
    uint64_t left = f->suspend_bytes;
    e->suspend_slots = e->max_rows;
    if (conv) e->suspend_slots = (int)smaller(e->max_rows, (int64_t)(left / 2 / conv));
    left -= conv * (uint64_t)e->suspend_slots;
    e->suspend_pages = e->n_pages;
    if (page) e->suspend_pages = (int)smaller(e->n_pages, (int64_t)(left / page));
    if (!f->suspend_bytes) e->suspend_pages = e->suspend_slots = 0;
}

// A conv slot has room for each guess, so that many rows have shorter drafts at most.
static int plan_drafts(struct plan_memory *p, const struct engine_flags *f, struct error *err) {
    enum { FEW_ROWS = 64, LONG = 16, SHORT = 8 };
    int draft;
    if (sampling_parse_draft(slice_of(f->draft), &draft))
        return error_set(err, ERROR_USAGE, "--draft is '%s'; expected " SAMPLING_DRAFTS ".",
                         f->draft);
    bool is_auto = draft == DRAFT_AUTO;
    int usual = f->max_rows <= FEW_ROWS ? LONG : SHORT;
    p->engine.draft = (struct draft_options){.max_draft = is_auto ? usual : draft - DRAFT_OFF,
                                             .is_auto = is_auto,
                                             .memory_bytes = f->draft_bytes};
    return 0;
}

int plan_engine(struct plan_memory *p, const struct model_shape *shape,
                const struct engine_flags *f, struct error *err) {
    *p = (struct plan_memory){0};
    struct engine_options *e = &p->engine;
    if (plan_kv_type(f->kv_type, &p->kv_dtype, err)) return -1;
    e->max_rows = f->max_rows;
    e->max_prefixes = (int)smaller(f->max_rows, 16);
    e->prefill_chunk = f->prefill_chunk;
    if (plan_drafts(p, f, err) || plan_pages(p, shape, f, err)) return -1;
    plan_arena(p, shape, f);
    return 0;
}

static double mib(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

static uint64_t draft_bytes(const struct plan_memory *p) {
    return p->engine.draft.max_draft ? p->engine.draft.memory_bytes : 0;
}

// Overcommitted memory would end the program in the middle of a step, so the plan is refused
// instead.
static int check_memory(const struct plan_memory *p, struct error *err) {
    uint64_t need = draft_bytes(p), have = machine_available_bytes();
    for (int i = 0; i < N_MEMORY_USES; i++)
        if (p->backend.is_host[i]) need += p->backend.bytes[i];
    if (!have || need <= have) return 0;
    return error_set(
        err, ERROR_MEMORY,
        "The plan needs %.1f GiB of host memory, %.1f of them for weights; %.1f GiB "
        "are available (--weights, --master, --second-copy, --kv-memory, --suspend-memory, "
        "--staging-memory, --draft-memory, --max-rows).",
        mib(need) / 1024,
        mib(p->backend.bytes[MEMORY_WEIGHTS] + p->backend.bytes[MEMORY_SECOND_COPY] +
            p->backend.bytes[MEMORY_MASTER]) /
            1024,
        mib(have) / 1024);
}

uint64_t plan_staging(const struct names *names, const enum dtype *dtypes,
                      const struct engine_flags *f) {
    uint64_t at = 0;
    if (!f->needs_staging || f->staging_bytes) return f->staging_bytes;
    for (int i = 0; i < names->n; i++) {
        struct weight_change all = {.weight = i, .n_values = weight_n(&names->weights[i])};
        at = delta_lay(&all, dtypes[i], at);
    }
    return at;
}

struct backend_options plan_options(const struct plan_memory *p, const struct names *names,
                                    const enum dtype *dtypes, const struct engine_flags *f) {
    const struct engine_options *e = &p->engine;
    return (struct backend_options){
        .shape = names->shape,
        .weight_dtypes = dtypes,
        .weight_hashes = names->hashes,
        .kv_dtype = p->kv_dtype,
        .page_tokens = e->page_tokens,
        .n_pages = e->n_pages,
        .n_conv_slots = e->max_rows + e->max_prefixes,
        .arena_pages = e->suspend_pages,
        .arena_slots = e->suspend_slots,
        .max_draft = e->draft.max_draft,
        .max_segments = e->max_rows + e->max_prefixes,
        .max_tokens = e->max_rows + e->prefill_chunk,
        .max_outputs = e->max_rows + e->prefill_chunk,
        .staging_bytes = plan_staging(names, dtypes, f),
        .second_copy = f->second_copy,
        .n_threads = f->n_threads,
    };
}

int plan_backend(struct plan_memory *p, const struct backend_ops *ops,
                 const struct backend_options *options, const struct names *names,
                 struct error *err) {
    checkpoint_dtype_name(names, options->weight_dtypes, p->weight_types);
    if (ops->plan(options, &p->backend, err)) return -1;
    return check_memory(p, err);
}

static void log_line(const struct plan_memory *p, const struct log *log, enum memory_use use,
                     const char *what, const char *details) {
    log_say(log, LOG_INFO, "memory: %-15s %10.1f MiB  %s%s", what, mib(p->backend.bytes[use]),
            details, p->backend.is_host[use] ? "" : ", on the device");
}

void plan_log(const struct plan_memory *p, const struct log *log) {
    const struct engine_options *e = &p->engine;
    char details[96];
    log_line(p, log, MEMORY_WEIGHTS, "weights", p->weight_types);
    if (p->backend.bytes[MEMORY_SECOND_COPY])
        log_line(p, log, MEMORY_SECOND_COPY, "second copy", "where updates make the weights");
    if (p->backend.bytes[MEMORY_MASTER])
        log_line(p, log, MEMORY_MASTER, "master", "from which blocks are packed");
    snprintf(details, sizeof details, "%d of %d tokens, %s", e->n_pages, e->page_tokens,
             dtype_name(p->kv_dtype));
    log_line(p, log, MEMORY_PAGES, "KV pages", details);
    snprintf(details, sizeof details, "%d slots, %s", e->max_rows + e->max_prefixes,
             dtype_name(state_conv_dtype(p->kv_dtype)));
    log_line(p, log, MEMORY_SLOTS, "conv state", details);
    snprintf(details, sizeof details, "steps of %d tokens", e->max_rows + e->prefill_chunk);
    log_line(p, log, MEMORY_SCRATCH, "scratch", details);
    snprintf(details, sizeof details, "%d pages, %d slots", e->suspend_pages, e->suspend_slots);
    log_line(p, log, MEMORY_ARENA, "suspended rows", details);
    if (p->backend.bytes[MEMORY_STAGING])
        log_line(p, log, MEMORY_STAGING, "staging", "for weight updates, at most");
    if (draft_bytes(p))
        log_say(log, LOG_INFO, "memory: %-15s %10.1f MiB  of texts; up to %d tokens a row",
                "drafts", mib(draft_bytes(p)), e->draft.max_draft);
}

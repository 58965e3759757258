#include "worker/commands/plan.h"

#include <stdio.h>
#include <string.h>

// Pages are the unit of growth and of attention's order of summation; 16 positions keep what a row
// holds beyond its last token small (kernels/README.md has the figures).
enum { PAGE_TOKENS = 16 };

static int parse_kv_type(const char *text, enum dtype *out, struct error *err) {
    *out = strcmp(text, "bf16") == 0 ? DTYPE_BF16 : DTYPE_F32;
    if (*out == DTYPE_BF16 || strcmp(text, "f32") == 0) return 0;
    return error_set(err, ERROR_USAGE, "--kv-type is '%s'; expected f32 or bf16.", text);
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
    uint64_t page = kernels_page_bytes(shape, e->kv_dtype, PAGE_TOKENS);
    int64_t context = f->max_context ? f->max_context : shape->max_positions;
    if (context > shape->max_positions)
        return error_set(err, ERROR_CONFIG,
                         "--max-context is %d; the model has positions for %d tokens.",
                         f->max_context, shape->max_positions);
    int64_t room = page ? (int64_t)smaller((int64_t)(f->kv_bytes / page), 1 << 26) : 1 << 26;
    if (!f->max_context) context = smaller(context, room * PAGE_TOKENS);
    if (room < 1 || pages_for(context) > room)
        return error_set(err, ERROR_CONFIG,
                         "--kv-memory of %llu bytes holds %lld tokens; one row of --max-context "
                         "needs %lld.",
                         (unsigned long long)f->kv_bytes, (long long)room * PAGE_TOKENS,
                         (long long)context);
    e->max_context = (int)context;
    e->n_pages = (int)smaller(room, pages_for(context) * (f->max_rows + e->max_prefixes));
    e->page_tokens = PAGE_TOKENS;
    p->kv_bytes = page * (uint64_t)e->n_pages;
    return 0;
}

static void plan_arena(struct plan_memory *p, const struct model_shape *shape,
                       const struct engine_flags *f) {
    struct engine_options *e = &p->engine;
    uint64_t page = kernels_page_bytes(shape, e->kv_dtype, PAGE_TOKENS);
    uint64_t conv = kernels_conv_bytes(shape, e->kv_dtype), left = f->suspend_bytes;
    e->suspend_slots = e->max_rows;
    if (conv) e->suspend_slots = (int)smaller(e->max_rows, (int64_t)(left / 2 / conv));
    left -= conv * (uint64_t)e->suspend_slots;
    e->suspend_pages = e->n_pages;
    if (page) e->suspend_pages = (int)smaller(e->n_pages, (int64_t)(left / page));
    if (!f->suspend_bytes) e->suspend_pages = e->suspend_slots = 0;
    p->suspend_bytes = conv * (uint64_t)e->suspend_slots + page * (uint64_t)e->suspend_pages;
}

static double mib(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

// What the kernel could hand out now; 0: not known. Overcommitted memory would end the program in
// the middle of a step, so the plan is refused instead.
static uint64_t available_bytes(void) {
    unsigned long long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (file) fclose(file);
    return kib * 1024;
}

static int check_memory(const struct plan_memory *p, struct error *err) {
    uint64_t need = p->weight_bytes + p->kv_bytes + p->conv_bytes, have = available_bytes();
    if (!have || need <= have) return 0;
    return error_set(err, ERROR_MEMORY,
                     "Weights (%.1f GiB), KV pages and conv states need %.1f GiB; %.1f GiB are "
                     "available (--weights, --kv-memory, --max-rows).",
                     mib(p->weight_bytes) / 1024, mib(need) / 1024, mib(have) / 1024);
}

int plan_memory(struct plan_memory *p, const struct model_shape *shape, const struct names *names,
                const enum dtype *dtypes, const struct engine_flags *f, struct error *err) {
    *p = (struct plan_memory){0};
    struct engine_options *e = &p->engine;
    if (parse_kv_type(f->kv_type, &e->kv_dtype, err)) return -1;
    e->max_rows = f->max_rows;
    e->max_prefixes = (int)smaller(f->max_rows, 16);
    e->prefill_chunk = f->prefill_chunk;
    if (plan_pages(p, shape, f, err)) return -1;
    plan_arena(p, shape, f);
    p->conv_bytes =
        kernels_conv_bytes(shape, e->kv_dtype) * (uint64_t)(e->max_rows + e->max_prefixes);
    for (int i = 0; i < names->n; i++)
        p->weight_bytes += (uint64_t)weight_n(&names->weights[i]) * dtype_bytes(dtypes[i]);
    checkpoint_dtype_name(names, dtypes, p->weight_types);
    return check_memory(p, err);
}

void plan_log(const struct plan_memory *p, const struct log *log) {
    const struct engine_options *e = &p->engine;
    log_say(log, LOG_INFO, "memory: weights         %10.1f MiB  %s", mib(p->weight_bytes),
            p->weight_types);
    log_say(log, LOG_INFO, "memory: KV pages        %10.1f MiB  %d of %d tokens, %s",
            mib(p->kv_bytes), e->n_pages, e->page_tokens, dtype_name(e->kv_dtype));
    log_say(log, LOG_INFO, "memory: conv state      %10.1f MiB  %d slots", mib(p->conv_bytes),
            e->max_rows + e->max_prefixes);
    log_say(log, LOG_INFO, "memory: suspended rows  %10.1f MiB  %d pages, %d slots",
            mib(p->suspend_bytes), e->suspend_pages, e->suspend_slots);
}

#include "worker/load/jinja/run.h"

#include <stdio.h>
#include <string.h>

#include "worker/load/jinja/value.h"

int run_fail(struct run *r, const char *format, ...) {
    char text[sizeof r->err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (r->loop_line == 0) return run_fail_with(r, slice_of(text));
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '.') text[len - 1] = 0;
    return error_set(r->err, ERROR_INPUT, "%s, line %d: %s (round %lld of the loop in line %d).",
                     r->name, r->line, text, (long long)r->round, r->loop_line);
}

int run_fail_with(struct run *r, struct slice sentence) {
    return error_set(r->err, ERROR_INPUT, "%s, line %d: %.*s", r->name, r->line,
                     (int)(sentence.len < 800 ? sentence.len : 800), sentence.ptr);
}

void *run_take(struct run *r, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > RUN_MAX_BYTES - r->arena.n_bytes) {
        run_fail(r, "the template needs more than %d MiB of memory.", RUN_MAX_BYTES >> 20);
        return NULL;
    }
    return arena_take(&r->arena, n, size);
}

int run_spend_many(struct run *r, size_t n) {
    if (n > RUN_MAX_STEPS) n = RUN_MAX_STEPS;
    r->n_steps += (int64_t)n;
    if (r->n_steps <= RUN_MAX_STEPS) return 0;
    return run_fail(r, "the template takes more than %d steps.", RUN_MAX_STEPS);
}

int run_print(struct run *r, struct slice text) {
    if (text.len > RUN_MAX_TEXT - r->out.len)
        return run_fail(r, "the template prints more than %d MiB.", RUN_MAX_TEXT >> 20);
    buffer_add(&r->out, text.ptr, text.len);
    return run_spend_many(r, text.len >> 10);
}

int run_take_printed(struct run *r, size_t from, struct value *out) {
    struct slice printed = {r->out.ptr + from, r->out.len - from};
    int failed = value_new_text(r, printed, out);
    r->out.len = from;
    return failed;
}

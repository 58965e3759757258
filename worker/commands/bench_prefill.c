// What bench tells of --prefill: how the cost of a prompt grows with its length, beside the
// machine's limit.
#include <stdio.h>

#include "worker/commands/bench.h"

double bench_attention_flops(const struct model_shape *s, int n_tokens) {
    double n = n_tokens, pairs = n * (n + 1) / 2;
    return 4 * pairs * shape_n_attention(s) * s->n_heads * s->head_dim;
}

double bench_prefill_share(const struct bench_prefill *p, const struct bench_limits *l) {
    double seconds = p->n_tokens / p->tokens_per_s;
    double weights = p->n_tokens * l->token_flops / l->peak_flops;
    return (weights + p->attention_flops / l->attention_peak_flops) / seconds;
}

void bench_prefill_print(const struct bench_prefill *list, int n, const struct bench_limits *l) {
    if (n == 0) return;
    printf("%-8s %12s %12s %10s", "prefill", "tokens/s", "ms a token", "attention");
    printf(l->peak_flops > 0 ? " %8s %9s\n" : "\n", "GMAC/s", "of limit");
    for (int i = 0; i < n; i++) {
        const struct bench_prefill *p = &list[i];
        double flops = p->n_tokens * l->token_flops + p->attention_flops;
        printf("%-8d %12.1f %12.3f %9.0f%%", p->n_tokens, p->tokens_per_s, 1000 / p->tokens_per_s,
               100 * p->attention_flops / flops);
        if (l->peak_flops > 0)
            printf(" %8.1f %8.0f%%", flops / 2e9 * p->tokens_per_s / p->n_tokens,
                   100 * bench_prefill_share(p, l));
        printf("\n");
    }
}

void bench_prefill_print_json(const struct bench_prefill *list, int n,
                              const struct bench_limits *l) {
    printf("\"prefill\":[");
    for (int i = 0; i < n; i++) {
        const struct bench_prefill *p = &list[i];
        printf("%s{\"tokens\":%d,\"tokens_per_s\":%.1f,\"weight_flops\":%.0f,"
               "\"attention_flops\":%.0f",
               i ? "," : "", p->n_tokens, p->tokens_per_s, p->n_tokens * l->token_flops,
               p->attention_flops);
        if (l->peak_flops > 0) printf(",\"limit_share\":%.4f", bench_prefill_share(p, l));
        printf("}");
    }
    printf("]");
    if (n && l->peak_flops > 0) printf(",\"attention_peak_flops\":%.0f", l->attention_peak_flops);
}

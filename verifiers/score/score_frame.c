#include "verifiers/score/score_frame.h"

enum { MAX_STRINGS = 8192, MAX_STRING_BYTES = 256 };

void score_meta_clear(struct score_meta *meta) {
    buffer_clear(&meta->strings);
    buffer_clear(&meta->stats);
    meta->n_strings = meta->n_stats = 0;
}

void score_meta_free(struct score_meta *meta) {
    buffer_free(&meta->strings);
    buffer_free(&meta->stats);
    *meta = (struct score_meta){0};
}

uint16_t score_meta_string(struct score_meta *meta, struct slice text) {
    uint16_t len = (uint16_t)(text.len < MAX_STRING_BYTES ? text.len : MAX_STRING_BYTES);
    if (len == 0) return 0;
    const char *at = meta->strings.ptr;
    for (uint32_t i = 1; i <= meta->n_strings; i++) {
        uint16_t other;
        memcpy(&other, at, sizeof other);
        if (other == len && memcmp(at + sizeof other, text.ptr, len) == 0) return (uint16_t)i;
        at += sizeof other + other;
    }
    if (meta->n_strings == MAX_STRINGS) return 0;
    buffer_add(&meta->strings, &len, sizeof len);
    buffer_add(&meta->strings, text.ptr, len);
    return (uint16_t)++meta->n_strings;
}

void score_meta_add(struct score_meta *meta, const struct score_stat *stat) {
    buffer_add(&meta->stats, stat, sizeof *stat);
    meta->n_stats++;
}

void score_meta_write(const struct score_meta *meta, struct buffer *out) {
    buffer_add(out, &meta->n_strings, sizeof meta->n_strings);
    buffer_add(out, &meta->n_stats, sizeof meta->n_stats);
    buffer_add_slice(out, buffer_slice(&meta->strings));
    buffer_add_slice(out, buffer_slice(&meta->stats));
}

int score_accounts_read(struct slice bytes, struct arena *arena, struct score_accounts *out) {
    uint32_t n[2];
    *out = (struct score_accounts){0};
    if (bytes.len < sizeof n) return -1;
    memcpy(n, bytes.ptr, sizeof n);
    const char *at = bytes.ptr + sizeof n, *end = bytes.ptr + bytes.len;
    if (n[0] > MAX_STRINGS) return -1;
    out->n_strings = n[0] + 1;
    out->strings = arena_take(arena, out->n_strings, sizeof *out->strings);
    out->strings[0] = slice_of("");
    for (uint32_t i = 1; i <= n[0]; i++) {
        uint16_t len;
        if (end - at < (ptrdiff_t)sizeof len) return -1;
        memcpy(&len, at, sizeof len);
        at += sizeof len;
        if (end - at < len) return -1;
        out->strings[i] = (struct slice){at, len};
        at += len;
    }
    if ((size_t)(end - at) != n[1] * sizeof *out->stats) return -1;
    out->n_stats = n[1];
    out->stats = arena_take(arena, n[1], sizeof *out->stats);
    if (n[1]) memcpy(out->stats, at, n[1] * sizeof *out->stats);
    for (uint32_t i = 0; i < n[1]; i++)
        if (out->stats[i].dataset > n[0] || out->stats[i].rule > n[0] ||
            out->stats[i].status > REWARD_OK)
            return -1;
    return 0;
}

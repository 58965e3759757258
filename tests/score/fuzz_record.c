// Any line, in any format: it is taken apart or refused with a sentence. The first byte says which
// format, and whether fields are mapped.
#include <assert.h>
#include <stdlib.h>

#include "verifiers/score/score_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(void *self, const int32_t *ids, size_t n, struct buffer *out) {
    (void)self;
    for (size_t i = 0; i < n; i++) buffer_add(out, &ids[i], 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena = {0};
    struct score_map map = {.decode = decode};
    struct score_record record;
    struct error err = {0};
    const char *why;
    if (size == 0) return 0;
    const struct slice line = {(const char *)data + 1, size - 1};
    const enum score_format format =
        (enum score_format)(SCORE_JSONL + data[0] % (SCORE_N_FORMATS - SCORE_JSONL));
    if (data[0] & 64)
        score_map_parse("completion=.a[0].b,gold=c,id=.id.x,group=.a,label=.l", &map, NULL);
    score_format_detect(line, &why);
    const int failed = score_record_read(line, format, &map, &arena, &record, &err);
    assert(failed ? err.text[0] : record.completions.n > 0);
    if (record.values[SCORE_ID]) score_key(record.values[SCORE_ID], &arena);
    if (record.values[SCORE_GOLD]) score_is_token_ids(record.values[SCORE_GOLD]);
    arena_clear(&arena);
    return 0;
}

// Any line, in any format: it is taken apart or refused with a sentence, and what it is graded by
// is JSON. The first byte says which format, and whether fields are mapped.
#include <assert.h>
#include <stdlib.h>

#include "verifiers/score/score_gold.h"
#include "verifiers/score/score_literal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(void *self, const int32_t *ids, size_t n, struct buffer *out) {
    (void)self;
    for (size_t i = 0; i < n; i++) buffer_add(out, &ids[i], 1);
}

static void check_golds(const struct score_record *record, enum score_format format,
                        const struct score_map *map, struct arena *arena) {
    static const char *const VERIFIERS[] = {"math", "choice", "exact", "ifeval"};
    const struct json *gold = record->values[SCORE_GOLD];
    for (size_t i = 0; i < sizeof VERIFIERS / sizeof *VERIFIERS; i++) {
        struct buffer spec = {0};
        struct error err = {0};
        if (score_gold_exists(record, gold, VERIFIERS[i])) {
            const int failed =
                score_gold_reward(record, gold, format, map, VERIFIERS[i], arena, &spec, &err);
            assert(failed ? err.text[0] : spec.len > 0);
            if (!failed) assert(json_parse_python(buffer_slice(&spec), arena, NULL));
        }
        buffer_free(&spec);
    }
}

// What is a literal is JSON.
static void check_literal(struct slice text, bool latex, struct arena *arena) {
    struct buffer json = {0};
    if (score_literal_json(text, latex, &json) == 0)
        assert(json_parse(buffer_slice(&json), arena, NULL));
    else
        assert(json.len == 0);
    buffer_free(&json);
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
    for (int i = 0; !failed && i < record.completions.n; i++) // NULL: null, a row of its own
        assert(record.completions.texts[i].ptr || record.completions.texts[i].len == 0);
    if (record.root) check_golds(&record, format, &map, &arena);
    check_literal(line, data[0] & 32, &arena);
    if (record.values[SCORE_ID]) score_key(record.values[SCORE_ID], &arena);
    arena_clear(&arena);
    return 0;
}

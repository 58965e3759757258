// Where fields lie in a record: paths such as `.a.b[0]`, and --map.
#ifndef VERIFIERS_SCORE_SCORE_PATH_H
#define VERIFIERS_SCORE_SCORE_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "protocol/base/json.h"
#include "protocol/base/memory.h"

// The fields that --map and --label can place.
enum score_field {
    SCORE_COMPLETION,
    SCORE_MESSAGES,
    SCORE_GOLD,
    SCORE_REWARD,
    SCORE_ID,
    SCORE_PROMPT,
    SCORE_GROUP,
    SCORE_DATASET,
    SCORE_LABEL,
    SCORE_N_TOKENS,
    SCORE_FINISH_REASON,
    SCORE_N_FIELDS,
};

const char *score_field_name(enum score_field field); // "completion", ...

enum { SCORE_MAX_STEPS = 8 };

// `.a.b[0]`: members and elements from the record inwards.
struct score_path {
    int n;
    struct {
        struct slice key; // of a member; ptr NULL: element `at`
        int at;
    } steps[SCORE_MAX_STEPS];
};

struct score_map {
    struct score_path fields[SCORE_N_FIELDS]; // n 0: where the format has it
    void (*decode)(void *self, const int32_t *ids, size_t n, struct buffer *out); // or NULL
    void *decode_self;
};

// Parses a path (a leading dot may be left out); slices point into `text`.
int score_path_parse(struct slice text, struct score_path *out, struct error *err);
// Parses "completion=.output,gold=.answer"; slices point into `text`.
int score_map_parse(const char *text, struct score_map *map, struct error *err);

// What a path leads to, or NULL; null counts as nothing. Nodes of deeper values are made in
// `arena`.
const struct json *score_path_find(const struct score_path *path, const struct json *root,
                                   struct arena *arena);

// The text that stands for an id or a group when they are compared: a string's content, the
// compact JSON of everything else, so that 7 and "7" are one.
struct slice score_key(const struct json *value, struct arena *arena);

#endif

// One line of input as what is to be graded, whatever wrote it.
#ifndef VERIFIERS_SCORE_SCORE_RECORD_H
#define VERIFIERS_SCORE_SCORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "protocol/base/json.h"
#include "protocol/base/memory.h"

enum score_format {
    SCORE_AUTO,
    SCORE_JSONL,
    SCORE_VERL,
    SCORE_TRL,
    SCORE_AREAL,
    SCORE_OPEN_INSTRUCT,
    SCORE_LM_EVAL,
    SCORE_OPENAI_BATCH,
    SCORE_N_FORMATS,
};

const char *score_format_name(enum score_format format);
int score_format_parse(const char *name, enum score_format *out, struct error *err);

// What the record's keys say it is; `why` gets the keys that decided. SCORE_AUTO: no JSON object.
enum score_format score_format_detect(struct slice line, const char **why);

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

enum { SCORE_MAX_STEPS = 8, SCORE_MAX_SAMPLES = 4096 };

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

// What a path leads to, or NULL. Nodes of deeper values are made in `arena`.
const struct json *score_path_find(const struct score_path *path, const struct json *root,
                                   struct arena *arena);

struct score_record {
    const struct json *values[SCORE_N_FIELDS]; // NULL: absent (or null)
    int n_samples;                             // completions of this record
    struct slice *completions;                 // (n_samples), decoded
    const char *const *finish_reasons;         // (n_samples) or NULL
    int64_t n_tokens;                          // of the only completion; -1: not known
    struct slice group;                        // bytes that are the same within a group; or empty
};

// Takes a line apart. Texts live in `arena` or point into `line`. `out` holds what was found also
// on failure; the error is a sentence about the record.
int score_record_read(struct slice line, enum score_format format, const struct score_map *map,
                      struct arena *arena, struct score_record *out, struct error *err);

// Whether a value is a list of numbers, and not of texts.
bool score_is_token_ids(const struct json *value);
// Its ids as text, in `arena`. *n_tokens: how many there were.
int score_decode(const struct score_map *map, const struct json *value, struct arena *arena,
                 struct slice *out, int64_t *n_tokens, struct error *err);

// The text that stands for an id or a group when they are compared: a string's content, the
// compact JSON of everything else, so that 7 and "7" are one.
struct slice score_key(const struct json *value, struct arena *arena);

#endif

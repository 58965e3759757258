// The formats that are read: their names, how a record shows which one it is, and where each has
// its fields. The shapes are those that the projects write; tests/python/test_score_formats.py says
// where in their sources.
#ifndef VERIFIERS_SCORE_SCORE_FORMAT_H
#define VERIFIERS_SCORE_SCORE_FORMAT_H

#include "verifiers/score/score_path.h"

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

// The value of a field where the format has it, else where native records have it; NULL: nowhere,
// or it is null. Deeper nodes are made in `arena`.
const struct json *score_format_find(enum score_format format, enum score_field field,
                                     const struct json *root, struct arena *arena);

// The key that a completion was expected under, for sentences.
const char *score_format_completion(enum score_format format);

#endif

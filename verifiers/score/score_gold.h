// A record's gold as the reward that --verifier makes of it.
#ifndef VERIFIERS_SCORE_SCORE_GOLD_H
#define VERIFIERS_SCORE_SCORE_GOLD_H

#include "verifiers/score/score_record.h"

// Whether a record has what the verifier grades by: a gold, or (of `ifeval`) instructions beside
// it.
bool score_gold_exists(const struct score_record *record, const struct json *gold,
                       const char *verifier);

// Appends [{"verifier": .., "gold": ..}]. Golds of `math` and `choice` may be lists written as text
// (JSON, or Python's repr), those of open-instruct token ids. `ifeval` takes its instructions from
// the gold, or from `instruction_id_list` and `kwargs` of the record or (lm-eval) of its document.
// The error is a sentence about the record; ERROR_SPEC where the gold is there and wrong.
int score_gold_reward(const struct score_record *record, const struct json *gold,
                      enum score_format format, const struct score_map *map, const char *verifier,
                      struct arena *arena, struct buffer *out, struct error *err);

#endif

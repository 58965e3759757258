// One row of output: what is written, what the summary counts, and what --explain tells.
#ifndef VERIFIERS_SCORE_SCORE_ROW_H
#define VERIFIERS_SCORE_SCORE_ROW_H

#include "protocol/base/json.h"
#include "verifiers/score/score_frame.h"
#include "verifiers/verifier.h"

struct score_row {
    struct slice id;       // JSON text, ptr NULL: the index stands for it
    bool unread;           // no id is known: null
    int sample;            // -1: the record's only one
    struct reward *reward; // owned; NULL: none
    const char *error;     // a sentence, or NULL
    struct score_stat stat;
};

// Fills in what the reward says: value, status and flags.
void score_row_judge(struct score_row *row);
void score_row_write(const struct score_row *row, struct buffer *out);

// The label as right (1) or wrong (0), or -1 where it is neither.
int score_label(const struct json *value, struct arena *arena);

// A hash of the first answer that a verifier found, white space aside; 0: none was.
uint64_t score_answer_hash(const struct verifier_outcome *outcomes, int n);
// What decided: "math: box, rational", the first that a verifier tells; or an empty text.
struct slice score_rule(const struct reward *reward, const struct verifier_outcome *outcomes,
                        char room[128]);

// Appends, for people, what became of the record and how each term saw the completion. `outcomes`
// is NULL where external verifiers took part, `spec` also where the record is bad.
void score_explain(const struct score_row *row, const struct reward_spec *spec,
                   struct slice completion, const struct verifier_outcome *outcomes,
                   struct buffer *out);

#endif

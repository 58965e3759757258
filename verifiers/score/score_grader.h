// From a batch of records to rows and their accounts, in this process.
#ifndef VERIFIERS_SCORE_SCORE_GRADER_H
#define VERIFIERS_SCORE_SCORE_GRADER_H

#include "verifiers/score.h"
#include "verifiers/score/score_frame.h"
#include "verifiers/score/score_golds.h"
#include "verifiers/score/score_record.h"
#include "verifiers/verifier.h"

struct score_grader;

// Checks the options that say how to grade (map, verifier, reward, label) and starts external
// verifiers. `golds` is borrowed and may be NULL. With `check_only` nothing is started.
// ERROR_USAGE.
struct score_grader *score_grader_open(const struct score_options *options,
                                       const struct score_golds *golds, bool check_only,
                                       struct error *err);
void score_grader_free(struct score_grader **grader);

// Grades a batch. `body` is what follows the request. Where it is goes to `page`; the reply, head
// and all, is appended to `out`. Fails only when the batch is damaged.
int score_grader_batch(struct score_grader *grader, const struct score_request *request,
                       struct slice body, struct score_page *page, struct buffer *out,
                       struct error *err);

// ---- For score_row.c, which writes what was found ----

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

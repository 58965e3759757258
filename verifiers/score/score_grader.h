// From a batch of records to rows and their accounts, in this process.
#ifndef VERIFIERS_SCORE_SCORE_GRADER_H
#define VERIFIERS_SCORE_SCORE_GRADER_H

#include "verifiers/score.h"
#include "verifiers/score/score_frame.h"
#include "verifiers/score/score_golds.h"

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

#endif

// What the engine's thread measures of tasks, steps and samples, for the status board.
//
// It looks at what the engine shows (its plan, its counters, the samples that come out) and changes
// nothing: a loop without a meter computes the same. A call costs a lock that nobody else holds for
// long, and a look at each segment of a step.
#ifndef WORKER_METER_H
#define WORKER_METER_H

#include "worker/engine/engine.h"
#include "worker/status.h"

struct meter;

struct meter *meter_open(struct status_board *board, const struct engine *e);
void meter_close(struct meter **meter);

// Each may be called with meter NULL, which does nothing.

// A step may be under way: notes what starts in it. Between engine_submit and engine_finish.
void meter_step(struct meter *m, const struct engine *e);

// Samples that have ended, and samples that are ready to leave; both return the list as it is.
struct sample *meter_ended(struct meter *m, struct sample *list);
struct sample *meter_ready(struct meter *m, struct sample *list);

// The end of a turn: `computed` as engine_finish returns it, `n_grading` samples being graded.
void meter_turn(struct meter *m, const struct engine *e, int computed, int n_grading);

#endif

// The table of contents. Each line of turn() is one stage of README's picture; what a stage does
// stands in the file that it names. While the device computes, verdicts and samples are handled.
#include "worker/loop.h"

#include "protocol/base/clock.h"

static int turn(struct loop *l, struct error *err) {
    struct engine *e = l->engine;
    if (ports_receive(&l->ports, e, err)) return -1; // tasks arrive        (session/)
    engine_expire(e, clock_ms());                    // or are too late     (engine/)
    engine_submit(e);                                // a step is under way (engine/)
    meter_step(l->meter, e);
    struct sample *ended = meter_ended(l->meter, engine_take_finished(e));
    verify_take(l->verify, ended); // ended before: graded (verifiers/)
    struct sample *ready = meter_ready(l->meter, verify_collect(l->verify));
    if (ports_deliver(&l->ports, ready, err)) return -1; // leave               (session/)
    int computed = engine_finish(e, err);                // the step's tokens   (engine/)
    meter_turn(l->meter, e, computed, verify_n_pending(l->verify));
    status_publish(l->board, engine_status(e)); // what others see
    return computed;
}

static bool is_empty(const struct loop *l) {
    return !l->engine->n_samples && !l->engine->finished && !verify_n_pending(l->verify);
}

int loop_run(struct loop *l, struct error *err) {
    while (!ports_are_stopped(&l->ports) && !(ports_are_done(&l->ports) && is_empty(l))) {
        int computed = turn(l, err);
        if (computed < 0) return -1;
        if (!computed) ports_wait(&l->ports, verify_fd(l->verify), verify_n_pending(l->verify) > 0);
    }
    return 0;
}

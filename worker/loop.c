// The table of contents. Each line of turn() is one stage of README's picture; what a stage does
// stands in the file that it names.
#include "worker/loop.h"

static int turn(struct loop *l, bool idle, struct error *err) {
    if (l->port.receive(l->port.self, l, idle, err)) return -1; // tasks arrive    (session/)
    int computed = engine_step(l->engine, err);                 // tokens          (engine/)
    if (computed < 0) return -1;                                //
    verify_take(l->verify, engine_take_finished(l->engine));    // ended: graded   (verifiers/)
    struct sample *ready = verify_collect(l->verify, computed ? 0 : 1);
    return l->port.deliver(l->port.self, ready, err) ? -1 : computed; // samples leave (session/)
}

static bool is_empty(const struct loop *l) {
    return !l->engine->tasks && !verify_n_pending(l->verify);
}

int loop_run(struct loop *l, struct error *err) {
    int computed = 1;
    while (!l->stop && (!l->done || !is_empty(l))) {
        bool idle = !computed && !verify_n_pending(l->verify);
        computed = turn(l, idle, err);
        if (computed < 0) return -1;
    }
    return 0;
}

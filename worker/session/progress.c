#include "worker/session/progress.h"

#include <assert.h>

void progress_add(struct progress *p, struct task *t) {
    t->n_undelivered = t->n_samples;
    t->prev_given = p->last;
    *(p->last ? &p->last->next_given : &p->first) = t;
    p->last = t;
}

static void take_out(struct progress *p, struct task *t) {
    *(t->prev_given ? &t->prev_given->next_given : &p->first) = t->next_given;
    *(t->next_given ? &t->next_given->prev_given : &p->last) = t->prev_given;
}

void progress_deliver(struct progress *p, const struct sample *list) {
    for (const struct sample *s = list; s; s = s->next) {
        struct task *t = s->task;
        t->has_moved = true;
        if (s->reward && s->number > p->n_graded) p->n_graded = s->number;
        assert(t->n_undelivered > 0);
        if (--t->n_undelivered == 0) take_out(p, t);
    }
}

// Whether something behind it, which waited for the same, has gone past it.
static bool is_overtaken(const struct progress *p, const struct task *t, bool later_began) {
    return t->n_open ? later_began : t->last_number < p->n_graded;
}

void progress_look(struct progress *p, uint64_t version, struct buffer *serials) {
    bool later_began = false;
    for (struct task *t = p->last; t; t = t->prev_given) {
        bool is_held = t->n_open && t->min_version > version && !t->has_begun;
        if (t->has_moved || is_held)
            t->is_overtaken = false;
        else if (is_overtaken(p, t, later_began))
            t->is_overtaken = true;
        later_began |= t->has_moved && !t->has_begun;
        t->has_begun |= t->has_moved;
        t->has_moved = false;
        if (!t->is_overtaken) buffer_add(serials, &t->serial, sizeof t->serial);
    }
}

#include "worker/session/task.h"

#include <assert.h>
#include <stdlib.h>

void task_free(struct task **task) {
    struct task *t = *task;
    if (!t) return;
    *task = NULL;
    reward_spec_free(&t->reward);
    free(t->prompt_lp_full);
    free(t->prompt_routes);
    struct arena arena = t->arena; // the task itself lives in it
    arena_clear(&arena);
}

void sample_free(struct sample **sample) {
    struct sample *s = *sample;
    if (!s) return;
    *sample = NULL;
    int left = atomic_fetch_sub(&s->task->n_left, 1);
    assert(left > 0);
    if (left == 1) task_free(&s->task);
    free(s->tokens);
    free(s->lp_full);
    free(s->lp_behav);
    free(s->spans);
    free(s->text);
    free(s->prompt_lp_full);
    free(s->routes);
    free(s->error);
    reward_free(&s->reward);
    free(s);
}

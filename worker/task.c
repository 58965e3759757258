#include "worker/task.h"

#include <assert.h>
#include <stdlib.h>

struct task *task_new(void) {
    struct arena arena = {0};
    struct task *t = arena_take(&arena, 1, sizeof *t);
    t->arena = arena;
    t->max_version_lag = VERSION_LAG_ANY;
    return t;
}

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

void sample_free_list(struct sample *list) {
    for (struct sample *s = list, *next; s; s = next) {
        next = s->next;
        sample_free(&s);
    }
}

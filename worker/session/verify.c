#include "worker/session/verify.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int verify_open(struct verify *v, const struct verifier_pool_options *options, struct error *err) {
    *v = (struct verify){0};
    v->last_ready = &v->ready;
    if (!options) return 0;
    v->pool = verifier_pool_open(options, err);
    return v->pool ? 0 : -1;
}

void verify_close(struct verify *v) {
    sample_free_list(v->ready);
    verifier_pool_free(&v->pool);
    for (int i = 0; i < v->n_pending; i++) sample_free(&v->pending[i]);
    free(v->pending);
    *v = (struct verify){0};
}

static void add_ready(struct verify *v, struct sample *s) {
    s->next = NULL;
    *v->last_ready = s;
    v->last_ready = &s->next;
}

static void add_pending(struct verify *v, struct sample *s) {
    if (v->n_pending == v->capacity) {
        v->capacity = v->capacity ? 2 * v->capacity : 64;
        v->pending = memory_resize(v->pending, (size_t)v->capacity, sizeof *v->pending);
    }
    s->pending = v->n_pending;
    v->pending[v->n_pending++] = s;
}

static void drop_pending(struct verify *v, const struct sample *s) {
    assert(v->pending[s->pending] == s);
    struct sample *last = v->pending[--v->n_pending];
    v->pending[s->pending] = last;
    last->pending = s->pending;
}

static void submit(struct verify *v, struct sample *s) {
    add_pending(v, s);
    struct verifier_sample vs = {.completion = {s->text, s->text_bytes},
                                 .prompt = s->task->prompt_text,
                                 .n_tokens = s->n_tokens,
                                 .finish_reason = message_finish_name(s->finish)};
    verifier_pool_submit(v->pool, (uint64_t)(uintptr_t)s, s->task->reward, &vs);
}

void verify_take(struct verify *v, struct sample *list) {
    for (struct sample *s = list, *next; s; s = next) {
        next = s->next;
        bool ended = s->finish == FINISH_STOP || s->finish == FINISH_LENGTH;
        if (!ended || !s->task->reward || !v->pool) {
            add_ready(v, s);
        } else if (!s->text) {
            s->reward = reward_failed(s->task->reward, REWARD_UNSUPPORTED,
                                      "The checkpoint has no tokenizer, so there is no text.");
            add_ready(v, s);
        } else {
            submit(v, s);
        }
    }
}

struct sample *verify_collect(struct verify *v) {
    struct verifier_result results[64];
    int n = 64;
    while (v->pool && n == 64) {
        n = verifier_pool_poll(v->pool, 0, results, 64);
        for (int i = 0; i < n; i++) {
            struct sample *s = (struct sample *)(uintptr_t)results[i].ticket;
            s->reward = results[i].reward;
            drop_pending(v, s);
            add_ready(v, s);
        }
    }
    struct sample *list = v->ready;
    v->ready = NULL;
    v->last_ready = &v->ready;
    return list;
}

int verify_n_pending(const struct verify *v) {
    return v->n_pending;
}

int verify_fd(const struct verify *v) {
    return v->pool ? verifier_pool_fd(v->pool) : -1;
}

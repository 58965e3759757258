// Samples are split into checks: one for all built-in terms, one for each external term. Checks
// wait in the queue of their lane (the built-in verifiers, or one command) and are given to one of
// the lane's processes, at most MAX_SENT at a time and answered in order, so that the oldest one
// is to blame when the process fails; the others go back to the front of the queue.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "verifiers/verifier_process.h"
#include "verifiers/verifier_wire.h"

enum {
    MAX_CHILDREN = 64,
    MAX_SENT = 8,
    MAX_EVENTS = 32,
    FIRST_BACKOFF_MS = 10,
    MAX_BACKOFF_MS = 200,
    ALL_BUILTIN = -1,
};

struct job {
    uint64_t ticket;
    struct reward_spec *spec;
    struct verifier_sample sample; // its slices and texts are owned
    char *texts;
    struct verifier_outcome *outcomes; // (n_terms)
    int n_open;                        // checks that have no outcome yet
    struct job *next;                  // in the list of finished ones
};

struct check {
    struct job *job;
    int term; // of the spec, or ALL_BUILTIN
    uint64_t id;
    struct check *next;
};

struct queue {
    struct check *first, *last;
};

struct lane;

struct child {
    struct verifier_process process;
    struct lane *lane;
    struct check *sent[MAX_SENT]; // (n_sent), oldest first
    int n_sent;
    int64_t began_ms;   // when sent[0] became the oldest
    int64_t restart_ms; // when a dead process may be started again
    int backoff_ms;
    struct reward_spec *slots[WIRE_N_SLOTS]; // what the process holds, or NULL
    int next_slot;
};

struct lane {
    char **argv; // behind "verify-child"
    bool builtin;
    struct child *children; // (n_children)
    struct queue queue;
};

struct verifier_pool {
    int epoll, n_children, deadline_ms;
    char *program;
    int n_lanes;
    struct lane *lanes;     // (n_lanes): built-in first, then one for each external command
    char **names;           // (n_lanes) of the external verifiers; names[0] is NULL
    struct child *children; // (n_lanes * n_children)
    int n_pending;
    uint64_t next_id;
    struct job *finished, *finished_last;
};

static void push(struct queue *q, struct check *check) {
    check->next = NULL;
    if (q->last)
        q->last->next = check;
    else
        q->first = check;
    q->last = check;
}

static void push_front(struct queue *q, struct check *check) {
    check->next = q->first;
    q->first = check;
    if (!q->last) q->last = check;
}

static struct check *pop(struct queue *q) {
    struct check *check = q->first;
    q->first = check->next;
    if (!q->first) q->last = NULL;
    return check;
}

static void job_free(struct job *job) {
    reward_spec_free(&job->spec);
    free(job->texts);
    free(job->outcomes);
    free(job);
}

static void finish_job(struct verifier_pool *pool, struct job *job) {
    job->next = NULL;
    if (pool->finished)
        pool->finished_last->next = job;
    else
        pool->finished = job;
    pool->finished_last = job;
}

// The check has its outcome.
static void finish(struct verifier_pool *pool, struct check *check) {
    struct job *job = check->job;
    free(check);
    if (--job->n_open == 0) finish_job(pool, job);
}

static void fail(struct verifier_pool *pool, struct check *check, enum reward_status status,
                 const char *detail) {
    const struct reward_spec *spec = check->job->spec;
    for (int i = 0; i < spec->n_terms; i++) {
        if (check->term == ALL_BUILTIN ? !spec->terms[i].builtin : check->term != i) continue;
        struct verifier_outcome *o = &check->job->outcomes[i];
        *o = (struct verifier_outcome){.status = status};
        snprintf(o->detail, sizeof o->detail, "%s", detail);
    }
    finish(pool, check);
}

// The process is of no use any more: the oldest check gets the status, the others wait again.
static void drop_process(struct verifier_pool *pool, struct child *c, enum reward_status status,
                         const char *detail) {
    for (int i = c->n_sent - 1; i > 0; i--) push_front(&c->lane->queue, c->sent[i]);
    if (c->n_sent > 0) fail(pool, c->sent[0], status, detail);
    c->n_sent = 0;
    verifier_process_kill(&c->process);
    for (int i = 0; i < WIRE_N_SLOTS; i++) reward_spec_free(&c->slots[i]);
    c->next_slot = 0;
    c->restart_ms = clock_ms() + c->backoff_ms;
    c->backoff_ms = c->backoff_ms * 2 < MAX_BACKOFF_MS ? c->backoff_ms * 2 : MAX_BACKOFF_MS;
}

static int start(struct verifier_pool *pool, struct child *c, struct error *err) {
    if (verifier_process_start(&c->process, pool->program, c->lane->argv, err) == 0) return 0;
    c->restart_ms = clock_ms() + MAX_BACKOFF_MS;
    return -1;
}

// The slot of the process that holds the spec, or -1. The same text is the same spec.
static int find_slot(const struct child *c, const struct reward_spec *spec) {
    for (int i = 0; i < WIRE_N_SLOTS; i++)
        if (c->slots[i] && slice_equal(reward_spec_json(c->slots[i]), reward_spec_json(spec)))
            return i;
    return -1;
}

static void send_check(struct verifier_pool *pool, struct child *c, struct check *check) {
    struct buffer *to = &c->process.to;
    const struct job *job = check->job;
    check->id = pool->next_id++;
    if (check->term != ALL_BUILTIN) {
        wire_add_term_request(to, check->id, &job->spec->terms[check->term], &job->sample);
    } else {
        int slot = find_slot(c, job->spec);
        if (slot < 0) {
            slot = c->next_slot;
            c->next_slot = (slot + 1) % WIRE_N_SLOTS;
            reward_spec_free(&c->slots[slot]);
            c->slots[slot] = reward_spec_hold(job->spec);
            wire_add_slot(to, slot, job->spec);
        }
        wire_add_slot_request(to, check->id, slot, &job->sample);
    }
    if (c->n_sent == 0) c->began_ms = clock_ms();
    c->sent[c->n_sent++] = check;
}

// Who gets the lane's next check: one that has its spec if that is not busier by two, else the
// least busy one. NULL: all are full or down.
static struct child *choose(struct verifier_pool *pool, struct lane *lane) {
    struct child *best = NULL;
    int best_load = 0;
    for (int i = 0; i < pool->n_children; i++) {
        struct child *c = &lane->children[i];
        if (c->process.pid == 0 || c->n_sent == MAX_SENT) continue;
        int load = c->n_sent * 2;
        if (lane->builtin && find_slot(c, lane->queue.first->job->spec) < 0) load += 3;
        if (!best || load < best_load) {
            best = c;
            best_load = load;
        }
    }
    return best;
}

static void assign(struct verifier_pool *pool) {
    const int64_t now = clock_ms();
    for (int l = 0; l < pool->n_lanes; l++) {
        struct lane *lane = &pool->lanes[l];
        for (int i = 0; i < pool->n_children && lane->queue.first; i++) {
            struct child *c = &lane->children[i];
            if (c->process.pid == 0 && c->restart_ms <= now) start(pool, c, NULL);
        }
        for (struct child *c; lane->queue.first && (c = choose(pool, lane));)
            send_check(pool, c, pop(&lane->queue));
        for (int i = 0; i < pool->n_children; i++) {
            verifier_process_flush(&lane->children[i].process);
            verifier_process_reap(&lane->children[i].process, false);
        }
    }
}

static void receive(struct verifier_pool *pool, struct child *c) {
    struct error failure, err;
    struct slice line;
    const int open = verifier_process_read(&c->process, WIRE_MAX_REPLY_BYTES, &failure);
    while (verifier_process_line(&c->process, &line)) {
        struct check *check = c->n_sent ? c->sent[0] : NULL;
        int result;
        if (!check)
            result = error_set(&err, ERROR_INPUT, "The verifier wrote without being asked.");
        else if (check->term == ALL_BUILTIN)
            result =
                wire_read_slot_reply(line, check->id, check->job->spec, check->job->outcomes, &err);
        else
            result =
                wire_read_term_reply(line, check->id, &check->job->outcomes[check->term], &err);
        if (result) {
            drop_process(pool, c, REWARD_CRASH, err.text);
            return;
        }
        c->n_sent--;
        memmove(c->sent, c->sent + 1, (size_t)c->n_sent * sizeof c->sent[0]);
        c->began_ms = clock_ms();
        c->backoff_ms = FIRST_BACKOFF_MS;
        finish(pool, check);
    }
    if (open) drop_process(pool, c, REWARD_CRASH, failure.text);
}

static void expire(struct verifier_pool *pool) {
    const int64_t now = clock_ms();
    for (int i = 0; i < pool->n_lanes * pool->n_children; i++) {
        struct child *c = &pool->children[i];
        char detail[96];
        if (c->n_sent == 0 || now - c->began_ms < pool->deadline_ms) continue;
        snprintf(detail, sizeof detail, "The verifier did not answer within %d ms.",
                 pool->deadline_ms);
        drop_process(pool, c, REWARD_TIMEOUT, detail);
    }
}

// Milliseconds until something is due that no descriptor tells, at most `limit`.
static int next_due(const struct verifier_pool *pool, int64_t limit) {
    const int64_t now = clock_ms();
    for (int i = 0; i < pool->n_lanes * pool->n_children; i++) {
        const struct child *c = &pool->children[i];
        int64_t wait = limit;
        if (c->n_sent > 0) wait = c->began_ms + pool->deadline_ms - now;
        if (c->process.pid == 0 && c->lane->queue.first) wait = c->restart_ms - now;
        if (wait < limit) limit = wait;
    }
    return limit > 0 ? (int)limit : 0;
}

static int collect(struct verifier_pool *pool, struct verifier_result *out, int max) {
    int n = 0;
    while (n < max && pool->finished) {
        struct job *job = pool->finished;
        pool->finished = job->next;
        out[n++] = (struct verifier_result){job->ticket, reward_compose(job->spec, job->outcomes)};
        job_free(job);
        pool->n_pending--;
    }
    return n;
}

int verifier_pool_poll(struct verifier_pool *pool, int timeout_ms, struct verifier_result *out,
                       int max) {
    const int64_t until = clock_ms() + timeout_ms;
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        assign(pool);
        const int64_t left = until - clock_ms();
        const bool idle = pool->finished || pool->n_pending == 0 || left <= 0;
        const int n = epoll_wait(pool->epoll, events, MAX_EVENTS, idle ? 0 : next_due(pool, left));
        for (int i = 0; i < n; i++) {
            struct child *c = &pool->children[events[i].data.u64 / 2];
            const bool is_out = events[i].data.u64 % 2;
            if (c->process.pid == 0) continue;
            if (is_out)
                receive(pool, c);
            else
                verifier_process_flush(&c->process);
        }
        expire(pool);
        if (pool->finished || pool->n_pending == 0 || clock_ms() >= until) break;
    }
    assign(pool);
    return collect(pool, out, max);
}

// All texts of a sample in one allocation.
static void copy_sample(struct job *job, const struct verifier_sample *sample) {
    const char *reason = sample->finish_reason ? sample->finish_reason : "";
    const size_t a = sample->completion.len, b = sample->prompt.len, c = strlen(reason) + 1;
    char *p = job->texts = memory_new(a + b + c + 1, 1);
    job->sample = *sample;
    if (a) memcpy(p, sample->completion.ptr, a);
    if (b) memcpy(p + a, sample->prompt.ptr, b);
    memcpy(p + a + b, reason, c);
    job->sample.completion.ptr = p;
    if (sample->prompt.ptr) job->sample.prompt.ptr = p + a;
    if (sample->finish_reason) job->sample.finish_reason = p + a + b;
}

static struct lane *find_lane(struct verifier_pool *pool, const char *name) {
    for (int i = 1; i < pool->n_lanes; i++)
        if (strcmp(pool->names[i], name) == 0) return &pool->lanes[i];
    return NULL;
}

static void queue_check(struct job *job, struct lane *lane, int term) {
    struct check *check = memory_new(1, sizeof *check);
    check->job = job;
    check->term = term;
    job->n_open++;
    push(&lane->queue, check);
}

void verifier_pool_submit(struct verifier_pool *pool, uint64_t ticket, struct reward_spec *spec,
                          const struct verifier_sample *sample) {
    struct job *job = memory_new(1, sizeof *job);
    job->ticket = ticket;
    job->spec = reward_spec_hold(spec);
    job->outcomes = memory_new((size_t)spec->n_terms, sizeof job->outcomes[0]);
    copy_sample(job, sample);
    pool->n_pending++;
    if (spec->n_external < spec->n_terms) queue_check(job, &pool->lanes[0], ALL_BUILTIN);
    for (int i = 0; i < spec->n_terms; i++) {
        if (spec->terms[i].builtin) continue;
        struct lane *lane = find_lane(pool, spec->terms[i].verifier);
        if (lane) {
            queue_check(job, lane, i);
        } else {
            job->outcomes[i].status = REWARD_UNSUPPORTED;
            snprintf(job->outcomes[i].detail, sizeof job->outcomes[i].detail,
                     "The program of the verifier %.64s is not running.", spec->terms[i].verifier);
        }
    }
    if (job->n_open == 0) finish_job(pool, job);
}

int verifier_pool_n_pending(const struct verifier_pool *pool) {
    return pool->n_pending;
}

int verifier_pool_fd(const struct verifier_pool *pool) {
    return pool->epoll;
}

// Whether execvp would find the program: better said now than by a crash of each check.
static bool is_program(const char *name) {
    char path[4096];
    if (strchr(name, '/')) return access(name, X_OK) == 0;
    const char *dirs = getenv("PATH");
    for (const char *d = dirs ? dirs : "/usr/bin:/bin"; *d; d += *d == ':') {
        const size_t len = strcspn(d, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)len, len ? d : ".", name);
        if (access(path, X_OK) == 0) return true;
        d += len;
    }
    return false;
}

static void make_lane(struct verifier_pool *pool, int l, const struct verifier_command *command) {
    struct lane *lane = &pool->lanes[l];
    const int n = command ? command->n_args : 0;
    lane->builtin = !command;
    lane->children = pool->children + (size_t)l * (size_t)pool->n_children;
    lane->argv = memory_new((size_t)n + 2, sizeof *lane->argv);
    const char *verb = command ? "exec" : "grade";
    lane->argv[0] = memory_copy(verb, strlen(verb));
    for (int i = 0; i < n; i++)
        lane->argv[i + 1] = memory_copy(command->argv[i], strlen(command->argv[i]));
    if (command) pool->names[l] = memory_copy(command->name, strlen(command->name));
    for (int i = 0; i < pool->n_children; i++) {
        struct child *c = &lane->children[i];
        c->lane = lane;
        c->backoff_ms = FIRST_BACKOFF_MS;
        c->process.index = (int)(c - pool->children);
        c->process.epoll = pool->epoll;
        c->process.in = c->process.out = -1;
    }
}

int verifier_commands_check(const struct verifier_command *commands, int n, struct error *err) {
    for (int i = 0; i < n; i++) {
        const struct verifier_command *c = &commands[i];
        if (!is_program(c->argv[0]))
            return error_set(err, ERROR_USAGE,
                             "The program \"%.200s\" of the verifier %s was not found.", c->argv[0],
                             c->name);
        for (int j = 0; j < i; j++)
            if (strcmp(c->name, commands[j].name) == 0)
                return error_set(err, ERROR_USAGE, "The verifier %s is named twice.", c->name);
    }
    return 0;
}

static int check_options(const struct verifier_pool_options *options, struct error *err) {
    if (options->n_children < 1 || options->n_children > MAX_CHILDREN)
        return error_set(err, ERROR_USAGE,
                         "%d verifier processes were asked for; 1 to %d were "
                         "expected.",
                         options->n_children, MAX_CHILDREN);
    return verifier_commands_check(options->externals, options->n_externals, err);
}

struct verifier_pool *verifier_pool_open(const struct verifier_pool_options *options,
                                         struct error *err) {
    if (check_options(options, err)) return NULL;
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        error_set(err, ERROR_IO, "No epoll descriptor could be had: %s.", strerror(errno));
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); // a dead child is seen as end of file
    struct verifier_pool *pool = memory_new(1, sizeof *pool);
    const char *program = options->program ? options->program : "/proc/self/exe";
    pool->epoll = epoll;
    pool->n_children = options->n_children;
    pool->deadline_ms = options->deadline_ms > 0 ? options->deadline_ms : VERIFIER_DEADLINE_MS;
    pool->program = memory_copy(program, strlen(program));
    pool->n_lanes = options->n_externals + 1;
    pool->next_id = 1;
    const size_t n_lanes = (size_t)pool->n_lanes;
    pool->lanes = memory_new(n_lanes, sizeof *pool->lanes);
    pool->names = memory_new(n_lanes, sizeof *pool->names);
    pool->children = memory_new(n_lanes * (size_t)pool->n_children, sizeof *pool->children);
    for (int l = 0; l < pool->n_lanes; l++)
        make_lane(pool, l, l ? &options->externals[l - 1] : NULL);
    for (int i = 0; i < pool->n_lanes * pool->n_children; i++)
        if (start(pool, &pool->children[i], err)) {
            verifier_pool_free(&pool);
            return NULL;
        }
    return pool;
}

// A check that is dropped leaves its job when it was the last.
static void drop_check(struct check *check) {
    struct job *job = check->job;
    free(check);
    if (--job->n_open == 0) job_free(job);
}

void verifier_pool_free(struct verifier_pool **handle) {
    struct verifier_pool *pool = *handle;
    *handle = NULL;
    if (!pool) return;
    for (int i = 0; i < pool->n_lanes * pool->n_children; i++) {
        struct child *c = &pool->children[i];
        verifier_process_kill(&c->process);
        verifier_process_reap(&c->process, true);
        for (int j = 0; j < c->n_sent; j++) drop_check(c->sent[j]);
        for (int j = 0; j < WIRE_N_SLOTS; j++) reward_spec_free(&c->slots[j]);
        buffer_free(&c->process.to);
        buffer_free(&c->process.from);
    }
    for (int l = 0; l < pool->n_lanes; l++) {
        struct lane *lane = &pool->lanes[l];
        while (lane->queue.first) drop_check(pop(&lane->queue));
        for (int i = 0; lane->argv[i]; i++) free(lane->argv[i]);
        free(lane->argv);
        free(pool->names[l]);
    }
    for (struct job *job = pool->finished, *next; job; job = next) {
        next = job->next;
        job_free(job);
    }
    close(pool->epoll);
    free(pool->children);
    free(pool->lanes);
    free(pool->names);
    free(pool->program);
    free(pool);
}

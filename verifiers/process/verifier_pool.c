// Samples are split into checks: one for all built-in terms, one for each external term. Each kind
// of program is a lane with its own supervisor: the built-in verifiers, or one command.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "verifiers/process/supervisor.h"
#include "verifiers/process/wire.h"

enum { MAX_CHILDREN = 64, PIPE_BYTES = 256 << 10, ALL_BUILTIN = -1 };

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
    struct supervisor_job queued; // first
    struct job *job;
    int term; // of the spec, or ALL_BUILTIN
    uint64_t id;
};

// What a child of ours holds.
struct slots {
    struct reward_spec *specs[WIRE_N_SLOTS]; // or NULL
    int next;
};

struct lane {
    struct verifier_pool *pool;
    char *name;  // of the external verifier; NULL: the built-in ones
    char **argv; // of the children
    struct supervisor *supervisor;
    struct slots *slots; // (n_children), NULL of an external verifier
};

struct verifier_pool {
    int epoll; // of the lanes' supervisors
    int n_children;
    char *program;
    int n_lanes;
    struct lane *lanes; // (n_lanes): built-in first, then one for each external command
    int n_pending;
    uint64_t next_id;
    struct job *finished, *finished_last;
};

static struct check *check_of(struct supervisor_job *job) {
    return (struct check *)job;
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

// ---- What the supervisors ask ------------------------------------------------------------------

// The slot of the child that holds the spec, or -1. The same text is the same spec.
static int find_slot(const struct slots *slots, const struct reward_spec *spec) {
    for (int i = 0; i < WIRE_N_SLOTS; i++)
        if (slots->specs[i] &&
            slice_equal(reward_spec_json(slots->specs[i]), reward_spec_json(spec)))
            return i;
    return -1;
}

static void send_check(void *self, int child, struct supervisor_job *queued, struct buffer *to) {
    struct lane *lane = self;
    struct check *check = check_of(queued);
    const struct job *job = check->job;
    check->id = lane->pool->next_id++;
    if (check->term != ALL_BUILTIN) {
        wire_add_term_request(to, check->id, &job->spec->terms[check->term], &job->sample);
        return;
    }
    struct slots *slots = &lane->slots[child];
    int slot = find_slot(slots, job->spec);
    if (slot < 0) {
        slot = slots->next;
        slots->next = (slot + 1) % WIRE_N_SLOTS;
        reward_spec_free(&slots->specs[slot]);
        slots->specs[slot] = reward_spec_hold(job->spec);
        wire_add_slot(to, slot, job->spec);
    }
    wire_add_slot_request(to, check->id, slot, &job->sample);
}

// One that has the spec, if that is not busier by two.
static int cost_of(void *self, int child, const struct supervisor_job *queued) {
    const struct lane *lane = self;
    const struct check *check = (const struct check *)queued;
    if (!lane->slots) return 0;
    return find_slot(&lane->slots[child], check->job->spec) < 0 ? 3 : 0;
}

// A line.
static ptrdiff_t measure(void *self, const struct supervisor_job *job, struct slice bytes,
                         struct error *err) {
    const char *end = memchr(bytes.ptr, '\n', bytes.len);
    (void)self;
    if (!job) return error_set(err, ERROR_INPUT, "The verifier wrote without being asked.");
    if (end) return end - bytes.ptr + 1;
    if (bytes.len <= WIRE_MAX_REPLY_BYTES) return 0;
    return error_set(err, ERROR_INPUT, "The verifier wrote more than %d bytes without a line end.",
                     WIRE_MAX_REPLY_BYTES);
}

static int receive(void *self, struct supervisor_job *queued, struct slice reply,
                   struct error *err) {
    struct lane *lane = self;
    struct check *check = check_of(queued);
    struct job *job = check->job;
    const struct slice line = {reply.ptr, reply.len - 1};
    const int failed =
        check->term == ALL_BUILTIN
            ? wire_read_slot_reply(line, check->id, job->spec, job->outcomes, err)
            : wire_read_term_reply(line, check->id, &job->outcomes[check->term], err);
    if (!failed) finish(lane->pool, check);
    return failed;
}

static bool lost(void *self, int child, struct supervisor_job *queued, enum supervisor_loss loss,
                 const char *why) {
    struct lane *lane = self;
    if (queued)
        fail(lane->pool, check_of(queued),
             loss == SUPERVISOR_TIMEOUT ? REWARD_TIMEOUT : REWARD_CRASH, why);
    if (!lane->slots) return false;
    struct slots *slots = &lane->slots[child];
    for (int i = 0; i < WIRE_N_SLOTS; i++) reward_spec_free(&slots->specs[i]);
    slots->next = 0;
    return false;
}

// A check that is dropped leaves its job when it was the last.
static void drop(void *self, struct supervisor_job *queued) {
    struct check *check = check_of(queued);
    struct job *job = check->job;
    (void)self;
    free(check);
    if (--job->n_open == 0) job_free(job);
}

static const struct supervisor_kind KIND = {
    .send = send_check, .measure = measure, .receive = receive, .lost = lost, .cost = cost_of};

// ---- Polling -----------------------------------------------------------------------------------

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

// Milliseconds until something is due that no descriptor tells, at most `limit`.
static int next_due(const struct verifier_pool *pool, int64_t limit) {
    for (int l = 0; l < pool->n_lanes; l++)
        limit = supervisor_due(pool->lanes[l].supervisor, (int)limit);
    return (int)limit;
}

static void step(struct verifier_pool *pool) {
    for (int l = 0; l < pool->n_lanes; l++) supervisor_step(pool->lanes[l].supervisor, NULL);
}

int verifier_pool_poll(struct verifier_pool *pool, int timeout_ms, struct verifier_result *out,
                       int max) {
    const int64_t until = clock_ms() + timeout_ms;
    struct epoll_event unused;
    step(pool);
    while (!pool->finished && pool->n_pending > 0) {
        const int64_t left = until - clock_ms();
        if (left <= 0) break;
        epoll_wait(pool->epoll, &unused, 1, next_due(pool, left));
        step(pool);
    }
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
        if (strcmp(pool->lanes[i].name, name) == 0) return &pool->lanes[i];
    return NULL;
}

static void queue_check(struct job *job, struct lane *lane, int term) {
    struct check *check = memory_new(1, sizeof *check);
    check->job = job;
    check->term = term;
    job->n_open++;
    supervisor_submit(lane->supervisor, &check->queued);
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

// `program verify-child VERB PARENT ...`, the command behind it.
static void make_argv(struct lane *lane, const struct verifier_command *command, bool network) {
    const int n = command ? command->n_args : 0;
    char parent[24];
    const char *const first[] = {"verify-child",
                                 !command  ? "grade"
                                 : network ? "exec-network"
                                           : "exec",
                                 parent};
    snprintf(parent, sizeof parent, "%ld", (long)getpid());
    lane->argv = memory_new((size_t)n + 4, sizeof *lane->argv);
    for (int i = 0; i < 3; i++) lane->argv[i] = memory_copy(first[i], strlen(first[i]));
    for (int i = 0; i < n; i++)
        lane->argv[3 + i] = memory_copy(command->argv[i], strlen(command->argv[i]));
}

static int open_lane(struct verifier_pool *pool, const struct verifier_pool_options *options, int l,
                     struct error *err) {
    struct lane *lane = &pool->lanes[l];
    const struct verifier_command *command = l ? &options->externals[l - 1] : NULL;
    make_argv(lane, command, options->network);
    lane->pool = pool;
    if (command)
        lane->name = memory_copy(command->name, strlen(command->name));
    else
        lane->slots = memory_new((size_t)pool->n_children, sizeof *lane->slots);
    const struct supervisor_options o = {
        .kind = &KIND,
        .self = lane,
        .program = pool->program,
        .argv = lane->argv,
        .n_children = pool->n_children,
        .max_sent = SUPERVISOR_MAX_SENT,
        .deadline_ms = options->deadline_ms > 0 ? options->deadline_ms : VERIFIER_DEADLINE_MS,
        .pipe_bytes = PIPE_BYTES,
        .has_path = command != NULL};
    lane->supervisor = supervisor_open(&o, err);
    if (!lane->supervisor) return -1;
    struct epoll_event e = {.events = EPOLLIN};
    epoll_ctl(pool->epoll, EPOLL_CTL_ADD, supervisor_fd(lane->supervisor), &e);
    return 0;
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
    pool->epoll = epoll;
    pool->n_children = options->n_children;
    if (options->program) pool->program = memory_copy(options->program, strlen(options->program));
    pool->n_lanes = options->n_externals + 1;
    pool->next_id = 1;
    pool->lanes = memory_new((size_t)pool->n_lanes, sizeof *pool->lanes);
    for (int l = 0; l < pool->n_lanes; l++)
        if (open_lane(pool, options, l, err)) {
            verifier_pool_free(&pool);
            return NULL;
        }
    return pool;
}

static void free_lane(struct verifier_pool *pool, struct lane *lane) {
    supervisor_free(&lane->supervisor, drop);
    for (int i = 0; i < pool->n_children && lane->slots; i++)
        for (int k = 0; k < WIRE_N_SLOTS; k++) reward_spec_free(&lane->slots[i].specs[k]);
    for (int i = 0; lane->argv && lane->argv[i]; i++) free(lane->argv[i]);
    free(lane->argv);
    free(lane->slots);
    free(lane->name);
}

void verifier_pool_free(struct verifier_pool **handle) {
    struct verifier_pool *pool = *handle;
    *handle = NULL;
    if (!pool) return;
    for (int l = 0; l < pool->n_lanes; l++) free_lane(pool, &pool->lanes[l]);
    for (struct job *job = pool->finished, *next; job; job = next) {
        next = job->next;
        job_free(job);
    }
    close(pool->epoll);
    free(pool->lanes);
    free(pool->program);
    free(pool);
}

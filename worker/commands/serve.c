#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/signals.h"
#include "protocol/base/utf8.h"
#include "worker/commands/commands.h"
#include "worker/commands/fleet.h"
#include "worker/commands/plan.h"
#include "worker/commands/setup.h"
#include "worker/http/http.h"
#include "worker/loop.h"
#include "worker/session/link.h"
#include "worker/version.h"

enum {
    MAX_NAME = 200, // bytes
    MAX_DESCRIPTORS = 65536,
};

struct flags {
    struct engine_flags engine;
    const char *connect, *bind, *name, *http, *metrics_compat;
    const char *key, *server_key, *allow_keys, *weights_dir;
    uint64_t min_version;
    int trainer_deadline_s, drain_timeout_s, scrub_interval_s;
    bool insecure;
};

static const char usage[] =
    "stampede serve --model DIR (--connect URL | --bind URL) [flags]\n"
    "Serves rollouts to a trainer over ZeroMQ until the run is complete.\n"
    "SIGTERM drains, a second one ends at once. --device NAME:all or NAME:0,1,... is a worker of\n"
    "its own on each of these devices; the worst of their statuses is told.\n"
    "Exit status: 0 run complete, 2 usage, 69 no trainer within --trainer-deadline, 70 resident\n"
    "weights damaged, 74 device or I/O lost, 75 drained on request, 78 bad configuration, "
    "checkpoint, or refused by the trainer.";

static int fill_table(struct flags *f, struct flag *table) {
    const struct flag flags[] = {
        {FLAG_HEADING, "", "", "Wire:", NULL, 0, 0},
        {FLAG_TEXT, "--connect", "URL", "the trainer's address, such as tcp://127.0.0.1:5555",
         &f->connect, 0, 0},
        {FLAG_TEXT, "--bind", "URL", "an address to which the trainer connects", &f->bind, 0, 0},
        {FLAG_TEXT, "--key", "FILE", "this worker's secret key, of stampede keygen", &f->key, 0, 0},
        {FLAG_TEXT, "--server-key", "FILE",
         "with --connect: the trainer's public key; several are tried in turn", &f->server_key, 0,
         0},
        {FLAG_TEXT, "--allow-keys", "DIR",
         "with --bind: the folder of the trainers' public keys, read again each 2 s",
         &f->allow_keys, 0, 0},
        {FLAG_SWITCH, "--insecure", NULL,
         "allow addresses that are not loopback or ipc, without keys and encryption", &f->insecure,
         0, 0},
        {FLAG_TEXT, "--name", "TEXT",
         "stable name of this worker, one for each (default host, pid and a random part)", &f->name,
         0, 0},
        {FLAG_SIZE, "--staging-memory", "SIZE",
         "host bytes for a weight update (default 0: as much as the weights, or their master)",
         &f->engine.staging_bytes, 0, 0},
        {FLAG_SWITCH, "--master", NULL,
         "keep the weights in bf16 too, so that updates reach --weights of a block type",
         &f->engine.master, 0, 0},
        {FLAG_SWITCH, "--second-copy", NULL,
         "room for all weights once more, where updates make them, so that their pause is short",
         &f->engine.second_copy, 0, 0},
        {FLAG_TEXT, "--weights-dir", "DIR",
         "a directory shared with the trainer, which may lay weight updates there", &f->weights_dir,
         0, 0},
        {FLAG_INT, "--scrub-interval", "S",
         "seconds of a look at all resident weights for flipped bits (3600); 0: off",
         &f->scrub_interval_s, 0, 1 << 24},
        {FLAG_UINT64, "--min-version", "V", "start no sample on an older policy version (0)",
         &f->min_version, 0, 0},
        {FLAG_TEXT, "--http", "HOST:PORT",
         "probes, metrics and a status page on an address or interface of this machine (off)",
         &f->http, 0, 0},
        {FLAG_TEXT, "--metrics-compat", "vllm", "/metrics has a dozen of vLLM's names besides",
         &f->metrics_compat, 0, 0},
        {FLAG_INT, "--trainer-deadline", "S", "seconds without a trainer, then exit 69 (900)",
         &f->trainer_deadline_s, 1, 1 << 24},
        {FLAG_INT, "--drain-timeout", "S", "seconds for rows in flight after SIGTERM (60)",
         &f->drain_timeout_s, 0, 1 << 24},
    };
    int n = (int)(sizeof flags / sizeof flags[0]);
    memcpy(table, flags, sizeof flags);
    engine_flags_add(&f->engine, table, &n);
    return n;
}

// One thread takes the signals, so that no handler runs in the middle of anything.
struct signals {
    int fd, end; // signalfd; eventfd by which the command says that it has ended
    pthread_mutex_t lock;
    struct link *link; // under `lock`; NULL while the model is being loaded
    pthread_t thread;
    bool started;
};

static void take_signal(struct signals *s) {
    struct signalfd_siginfo info;
    if (read(s->fd, &info, sizeof info) != sizeof info) return;
    pthread_mutex_lock(&s->lock);
    // Loading can take minutes and holds nothing that must be saved: there is nothing to drain.
    if (!s->link) _exit(LINK_DRAINED);
    link_signal(s->link);
    pthread_mutex_unlock(&s->lock);
}

static void *wait_for_signals(void *arg) {
    struct signals *s = arg;
    struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->end, .events = POLLIN}};
    while (!fds[1].revents)
        if (poll(fds, 2, -1) > 0 && fds[0].revents) take_signal(s);
    return NULL;
}

// Blocks the signals in this thread and all that it will start; children are given them back. The
// two that users define mean nothing here, and would end the program.
static int start_signals(struct signals *s, struct error *err) {
    sigset_t set, ignored;
    pthread_mutex_init(&s->lock, NULL);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGUSR1);
    sigaddset(&ignored, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &ignored, NULL);
    signals_that_end(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->end = eventfd(0, EFD_CLOEXEC);
    s->started =
        s->fd >= 0 && s->end >= 0 && pthread_create(&s->thread, NULL, wait_for_signals, s) == 0;
    if (s->started) return 0;
    return error_set(err, ERROR_IO, "No thread for signals could be had: %s.", strerror(errno));
}

static void give_signals_to(struct signals *s, struct link *link) {
    pthread_mutex_lock(&s->lock);
    s->link = link;
    pthread_mutex_unlock(&s->lock);
}

static void stop_signals(struct signals *s) {
    const uint64_t one = 1;
    if (s->started && write(s->end, &one, sizeof one) == sizeof one) pthread_join(s->thread, NULL);
    if (s->fd >= 0) close(s->fd);
    if (s->end >= 0) close(s->end);
    pthread_mutex_destroy(&s->lock);
}

// Host and pid are not enough: pods that share a host's network, or have a pid namespace each, have
// the same ones.
static void make_uid(const char *name, char out[256]) {
    char host[128] = "worker";
    uint32_t random = 0;
    if (name) {
        snprintf(out, 256, "%s", name);
        return;
    }
    gethostname(host, sizeof host - 1);
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = (uint32_t)clock_us();
    snprintf(out, 256, "%s-%d-%08x", host, (int)getpid(), random);
}

// What HELLO tells people: which program on which device.
static void make_build(const struct device_facts *device, char out[256]) {
    char line[DEVICE_LINE_BYTES];
    kernels_device_line(device, line);
    snprintf(out, 256, "%s on %s", version_text(), line);
}

static struct socket_options socket_options(const struct flags *f) {
    return (struct socket_options){.url = f->connect ? f->connect : f->bind,
                                   .bind = f->bind != NULL,
                                   .insecure = f->insecure,
                                   .key = f->key,
                                   .server_key = f->server_key,
                                   .allow_keys = f->allow_keys};
}

static struct link_options link_options(const struct flags *f, const struct setup *s,
                                        struct status_board *board, const char *uid,
                                        const char *build) {
    const struct model *model = &s->engine.model;
    return (struct link_options){
        .socket = socket_options(f),
        .requests = &s->requests,
        .engine = &s->engine,
        .board = board,
        .shape = {shape_n_moe(&model->shape), model->shape.n_experts_used, model->shape.n_experts},
        .log = &s->log,
        .names = s->names,
        .dtypes = s->update_dtypes,
        .uid = uid,
        .build = build,
        .numerics = model->ops->numerics(model->backend),
        .fingerprint = s->fingerprint,
        .weights_dir = f->weights_dir,
        .staging_bytes = s->staging_bytes,
        .min_version = f->min_version,
        .slots = 2 * f->engine.max_rows, // so that rows never wait for the next task
        .trainer_deadline_s = f->trainer_deadline_s,
        .drain_timeout_s = f->drain_timeout_s,
        .scrub_interval_s = f->scrub_interval_s,
    };
}

static int run_link(struct setup *s, struct link *link, struct resident *resident,
                    struct status_board *board, struct signals *signals, int *status,
                    struct error *err) {
    struct loop loop = {.engine = &s->engine, .verify = &s->verify, .board = board};
    loop.meter = meter_open(board, &s->engine);
    ports_add(&loop.ports, link_port(link, resident));
    give_signals_to(signals, link);
    status_enter(board, WORKER_SERVING);
    link_start(link);
    int failed = loop_run(&loop, err);
    status_enter(board, WORKER_LEAVING);
    give_signals_to(signals, NULL);
    *status = link_close(&link);
    meter_close(&loop.meter);
    return failed;
}

// What others are told once the model is loaded.
static void publish_facts(const struct flags *f, const struct setup *s,
                          const struct link_options *link, struct status_board *board) {
    struct status_facts facts = {.fingerprint = s->fingerprint,
                                 .min_version = f->min_version,
                                 .max_rows = f->engine.max_rows,
                                 .slots = link->slots,
                                 .max_context = s->requests.max_context};
    snprintf(facts.uid, sizeof facts.uid, "%s", link->uid);
    snprintf(facts.build, sizeof facts.build, "%s", link->build);
    snprintf(facts.numerics, sizeof facts.numerics, "%s", link->numerics);
    const char *slash = strrchr(f->engine.model, '/');
    snprintf(facts.model, sizeof facts.model, "%s",
             slash && slash[1] ? slash + 1 : f->engine.model);
    _Static_assert(sizeof facts.memory_bytes == sizeof s->memory_bytes, "status.h counts uses");
    memcpy(facts.memory_bytes, s->memory_bytes, sizeof facts.memory_bytes);
    status_publish(board, engine_status(&s->engine));
    status_publish_facts(board, &facts);
}

static int serve(struct flags *f, struct signals *signals, struct status_board *board, int *status,
                 struct error *err) {
    struct setup s;
    struct resident resident;
    char uid[256], build[256];
    f->engine.needs_staging = true;
    if (setup_open(&s, &f->engine, true, err)) return -1;
    resident_open(&resident, s.names, s.update_dtypes, s.digests);
    s.digests = NULL;
    make_uid(f->name, uid);
    make_build(&s.device, build);
    const struct link_options options = link_options(f, &s, board, uid, build);
    publish_facts(f, &s, &options, board);
    struct link *link = link_open(&options, err);
    int failed = link ? 0 : -1;
    if (link) {
        log_say(&s.log, LOG_INFO, "%s %s, weights %016llx", f->bind ? "bound to" : "trainer at",
                link_url(link), (unsigned long long)resident.digest);
        failed = run_link(&s, link, &resident, board, signals, status, err);
    }
    resident_close(&resident);
    setup_close(&s);
    return failed;
}

// Probes are answered from the start: a model may take minutes to load.
static int serve_with_http(struct flags *f, struct signals *signals, int *status,
                           struct error *err) {
    struct status_board board;
    struct log log;
    struct http *http = NULL;
    const struct http_options options = {
        .address = f->http, .vllm = f->metrics_compat != NULL, .board = &board};
    bool is_on = f->http && strcmp(f->http, "off") != 0;
    if (log_parse(&log, f->engine.log_level, f->engine.log_format, err)) return -1;
    status_open(&board, (struct status){0});
    if (is_on) http = http_open(&options, err);
    int failed = is_on && !http ? -1 : 0;
    if (http) log_say(&log, LOG_INFO, "http at %s", http_url(http));
    if (!failed) failed = serve(f, signals, &board, status, err);
    http_close(&http);
    status_close(&board);
    return failed;
}

// Each connection takes a descriptor, and many systems begin with 1,024 of those that are allowed.
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= MAX_DESCRIPTORS) return;
    limit.rlim_cur = limit.rlim_max < MAX_DESCRIPTORS ? limit.rlim_max : MAX_DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve_until_signalled(struct flags *f, int *status, struct error *err) {
    struct signals signals = {.fd = -1, .end = -1};
    if (!f->connect == !f->bind)
        return error_set(err, ERROR_USAGE, "Expected exactly one of --connect and --bind.");
    struct slice name = slice_of(f->name ? f->name : "worker");
    if (!name.len || name.len > MAX_NAME || utf8_valid_prefix(name) < name.len)
        return error_set(err, ERROR_USAGE, "--name has %zu bytes; expected 1 to %d, of UTF-8.",
                         name.len, MAX_NAME);
    if (f->metrics_compat && strcmp(f->metrics_compat, "vllm") != 0)
        return error_set(err, ERROR_USAGE, "--metrics-compat is '%s'; expected vllm.",
                         f->metrics_compat);
    // Before a model is loaded for minutes.
    const struct socket_options wire = socket_options(f);
    if (socket_check(&wire, err)) return -1;
    // Frames of megabytes go back to the system: glibc would otherwise keep as much as the largest
    // one that was ever freed, in each thread's arena.
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    raise_descriptors();
    int failed = start_signals(&signals, err);
    if (!failed) failed = serve_with_http(f, &signals, status, err);
    stop_signals(&signals);
    return failed;
}

// A worker of one device among several.
struct member {
    const struct flags *flags;
    const struct fleet *fleet;
};

// HOST:PORT + i; port 0 picks one anyway.
static const char *nth_address(const char *text, int i, char out[256]) {
    const char *colon = strrchr(text, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    if (!port) return text;
    snprintf(out, 256, "%.*s:%ld", (int)(colon - text), text, port + i);
    return out;
}

static int serve_member(void *arg, int i) {
    const struct member *m = arg;
    struct flags f = *m->flags;
    char name[MAX_NAME + 16], http[256];
    struct error err = {0};
    int status = 0;
    f.engine.device = m->fleet->devices[i];
    snprintf(name, sizeof name, "%s-%d", f.name ? f.name : "", i);
    if (f.name) f.name = name;
    if (f.http) f.http = nth_address(f.http, i, http);
    if (serve_until_signalled(&f, &status, &err) == 0) return status;
    fprintf(stderr, "stampede serve: device %s: %s\n", f.engine.device, err.text);
    return exit_status(&err);
}

static int run_flags(void *flags, int *status, struct error *err) {
    struct flags *f = flags;
    struct fleet fleet;
    if (fleet_read(f->engine.device, &fleet, err)) return -1;
    if (fleet.n == 1) {
        f->engine.device = fleet.devices[0];
        return serve_until_signalled(f, status, err);
    }
    if (f->bind)
        return error_set(
            err, ERROR_USAGE,
            "--bind is one worker's address; expected --connect with the %d devices of "
            "'%s'.",
            fleet.n, f->engine.device);
    struct member member = {f, &fleet};
    return fleet_run(&fleet, serve_member, &member, status, err);
}

int command_serve(int argc, char **argv) {
    struct flags f = {.engine = engine_flags_defaults(),
                      .trainer_deadline_s = 900,
                      .drain_timeout_s = 60,
                      .scrub_interval_s = 3600};
    struct flag table[SETUP_MAX_FLAGS];
    const struct command command = {.name = "serve",
                                    .usage = usage,
                                    .table = table,
                                    .n_flags = fill_table(&f, table),
                                    .run = run_flags,
                                    .flags = &f};
    int status = command_run(&command, argc, argv);
    flag_list_free(&f.engine.verifiers);
    return status;
}

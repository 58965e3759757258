// A worker's end of a session against a raw peer: a ROUTER that sends and reads each message by
// itself. The engine runs on a thread of its own, on a backend that computes nothing.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "protocol/base/clock.h"
#include "protocol/base/hash.h"
#include "tests/engine/rig.h"
#include "worker/load/names.h"
#include "worker/loop.h"
#include "worker/session/link.h"

enum { SLOTS = 16, PATIENCE_MS = 10000 };

struct worker {
    struct rig rig;
    struct verify verify;
    struct status_board board;
    struct names *names;
    enum dtype *dtypes;
    struct resident resident;
    struct request_context requests;
    struct log log;
    struct link *link;
    const struct port *port;
    pthread_t thread;
    int end; // link_close's answer
};

struct peer {
    void *context, *zmq;
    char url[256], id[256];
    size_t id_len;
    uint64_t seq, epoch;
    const char *run;
};

// ---- the peer

static struct peer peer_open(void) {
    struct peer p = {.context = zmq_ctx_new(), .run = "raw", .epoch = 1};
    size_t len = sizeof p.url;
    int zero = 0;
    p.zmq = zmq_socket(p.context, ZMQ_ROUTER);
    zmq_setsockopt(p.zmq, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_bind(p.zmq, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(p.zmq, ZMQ_LAST_ENDPOINT, p.url, &len), 0);
    return p;
}

static void peer_close(struct peer *p) {
    zmq_close(p->zmq);
    zmq_ctx_term(p->context);
}

static void send_to(struct peer *p, struct message m) {
    struct message_frames frames = {0};
    struct error err = {0};
    if (m.type == MESSAGE_WELCOME) p->seq = 0;
    m.run = slice_of(p->run);
    m.epoch = p->epoch;
    m.seq = m.type == MESSAGE_REFUSE ? 0 : ++p->seq;
    if (message_encode(&m, &frames, &err)) fail_msg("%s", err.text);
    bool two = frames.payload.len > 0;
    zmq_send(p->zmq, p->id, p->id_len, ZMQ_SNDMORE);
    zmq_send(p->zmq, frames.header.ptr, frames.header.len, two ? ZMQ_SNDMORE : 0);
    if (two) zmq_send(p->zmq, frames.payload.ptr, frames.payload.len, 0);
    message_frames_free(&frames);
}

static struct slice part(zmq_msg_t *m) {
    return (struct slice){zmq_msg_data(m), zmq_msg_size(m)};
}

// The next message within wait_ms, to be freed; NULL: none came.
static struct message *next_message(struct peer *p, int wait_ms) {
    zmq_pollitem_t item = {p->zmq, 0, ZMQ_POLLIN, 0};
    zmq_msg_t header, payload;
    struct error err = {0};
    if (zmq_poll(&item, 1, wait_ms) <= 0) return NULL;
    p->id_len = (size_t)zmq_recv(p->zmq, p->id, sizeof p->id, 0);
    zmq_msg_init(&header);
    zmq_msg_init(&payload);
    zmq_msg_recv(&header, p->zmq, 0);
    if (zmq_msg_more(&header)) zmq_msg_recv(&payload, p->zmq, 0);
    struct message *m = message_new(part(&header), part(&payload), NULL, &err);
    if (!m) fail_msg("%s", err.text);
    zmq_msg_close(&header);
    zmq_msg_close(&payload);
    return m;
}

// The next message of a type; others are dropped, heartbeats answered. NULL after wait_ms.
static struct message *find_message(struct peer *p, enum message_type type, int wait_ms) {
    int64_t end = clock_ms() + wait_ms;
    for (int64_t left; (left = end - clock_ms()) > 0;) {
        struct message *m = next_message(p, (int)left);
        if (m && m->type == type) return m;
        if (m && m->type == MESSAGE_HEARTBEAT)
            send_to(p, (struct message){.type = MESSAGE_HEARTBEAT});
        message_free(&m);
    }
    return NULL;
}

static struct message *take(struct peer *p, enum message_type type) {
    struct message *m = find_message(p, type, PATIENCE_MS);
    if (!m) fail_msg("no %s came", message_type_name(type));
    return m;
}

static void skip_to(struct peer *p, enum message_type type) {
    struct message *m = take(p, type);
    message_free(&m);
}

static void welcome(struct peer *p) {
    skip_to(p, MESSAGE_HELLO);
    send_to(p, (struct message){.type = MESSAGE_WELCOME,
                                .welcome = {.heartbeat_ms = 100, .lost_ms = 20000}});
}

static struct message task(uint64_t serial, uint32_t n, uint32_t max_new) {
    static const int32_t prompt[] = {1, 2, 3};
    return (struct message){.type = MESSAGE_TASK,
                            .task = {.serial = serial,
                                     .id = slice_of("7"),
                                     .n = n,
                                     .seed = serial,
                                     .max_new_tokens = max_new,
                                     .temperature = 1,
                                     .top_p = 1,
                                     .repetition_penalty = 1,
                                     .prompt_ids = column_of(COLUMN_I32, prompt, 3)}};
}

static void acknowledge(struct peer *p, const struct message *result) {
    send_to(p, (struct message){.type = MESSAGE_ACK, .ack = {result->result.result}});
}

// Reads and acknowledges RESULTs until n samples of the group have come; counts their reasons.
static void take_samples(struct peer *p, uint64_t serial, int n, int counts[FINISH_N_REASONS]) {
    memset(counts, 0, FINISH_N_REASONS * sizeof *counts);
    for (int got = 0; got < n;) {
        struct message *m = take(p, MESSAGE_RESULT);
        acknowledge(p, m);
        if (m->result.serial == serial)
            for (uint64_t i = 0; i < m->result.finish.n; i++, got++)
                counts[column_u8(m->result.finish)[i]]++;
        message_free(&m);
    }
}

// ---- the worker

static void *run_loop(void *arg) {
    struct worker *w = arg;
    struct error err = {0};
    struct loop loop = {.engine = &w->rig.engine, .verify = &w->verify, .board = &w->board};
    loop.meter = meter_open(&w->board, &w->rig.engine); // measures while others read
    ports_add(&loop.ports, w->port);
    loop_run(&loop, &err);
    meter_close(&loop.meter);
    return NULL;
}

// `high_water`: of the control queue, 0: as always.
static void worker_open(struct worker *w, const struct peer *p, int high_water, int drain_s) {
    struct error err = {0};
    *w = (struct worker){.log = {LOG_ERROR, false}};
    rig_open(&w->rig, &(struct rig_options){.vocab = 97, .max_context = 4096});
    verify_open(&w->verify, NULL, &err);
    w->names = names_new(&w->rig.engine.model.shape);
    w->dtypes = memory_new((size_t)w->names->n, sizeof *w->dtypes); // all float32
    resident_open(&w->resident, w->names, w->dtypes,
                  memory_new((size_t)w->names->n, sizeof(uint64_t)));
    w->requests = (struct request_context){.vocab = 97, .max_context = 4096};
    status_open(&w->board, engine_status(&w->rig.engine));
    const struct link_options options = {
        .socket = {.url = p->url, .high_water = high_water},
        .requests = &w->requests,
        .engine = &w->rig.engine,
        .board = &w->board,
        .log = &w->log,
        .names = w->names,
        .dtypes = w->dtypes,
        .uid = "test",
        .build = "test",
        .numerics = "fake",
        .slots = SLOTS,
        .staging_bytes = 1 << 20,
        .trainer_deadline_s = 60,
        .drain_timeout_s = drain_s,
    };
    w->link = link_open(&options, &err);
    if (!w->link) fail_msg("%s", err.text);
    w->port = link_port(w->link, &w->resident);
    link_start(w->link);
    assert_int_equal(pthread_create(&w->thread, NULL, run_loop, w), 0);
}

static void *close_link(void *arg) {
    struct worker *w = arg;
    w->end = link_close(&w->link);
    return NULL;
}

static void worker_free(struct worker *w) {
    rig_close(&w->rig);
    verify_close(&w->verify);
    status_close(&w->board);
    resident_close(&w->resident);
    names_free(&w->names);
    free(w->dtypes);
}

// Waits for the loop to end by itself.
static void worker_close(struct worker *w) {
    pthread_join(w->thread, NULL);
    close_link(w);
    worker_free(w);
}

static void say_bye(struct peer *p) {
    send_to(p, (struct message){.type = MESSAGE_BYE, .bye = {.code = BYE_RUN_COMPLETE}});
}

// ---- tests

static void test_a_session(void **state) {
    (void)state;
    struct peer p = peer_open();
    struct worker w;
    int counts[FINISH_N_REASONS];
    worker_open(&w, &p, 0, 5);
    struct message *hello = take(&p, MESSAGE_HELLO);
    assert_int_equal(hello->hello.slots, SLOTS);
    assert_int_equal(hello->hello.bulk_id.len, 0); // it did not bind
    message_free(&hello);
    send_to(&p, (struct message){.type = MESSAGE_WELCOME,
                                 .welcome = {.heartbeat_ms = 100, .lost_ms = 20000}});
    send_to(&p, task(1, 8, 1));
    struct message *m = take(&p, MESSAGE_RESULT); // samples that ended together come together
    assert_int_equal(m->result.sample.n, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(column_i32(m->result.sample)[i], i);
        assert_int_equal(column_i32(m->result.tokens)[i], fake_id(1, 3, (uint32_t)i, 97));
        assert_int_equal(column_i64(m->result.token_offsets)[i], i);
        assert_int_equal(column_i64(m->result.span_offsets)[i], i);
    }
    assert_int_equal(m->result.prompt_ids.n, 3);
    acknowledge(&p, m);
    message_free(&m);
    send_to(&p, task(2, 3, 5));
    take_samples(&p, 2, 3, counts);
    assert_int_equal(counts[FINISH_LENGTH], 3);
    say_bye(&p);
    worker_close(&w);
    assert_int_equal(w.end, LINK_RUN_COMPLETE);
    peer_close(&p);
}

// What a bad task does: each of its samples is answered with one sentence, and the next one runs.
static void test_bad_tasks(void **state) {
    (void)state;
    struct peer p = peer_open();
    struct worker w;
    int counts[FINISH_N_REASONS];
    static const int32_t far[] = {1, 2, 97}, twice[] = {5, 5};
    static const float bias[] = {1, 2};
    int32_t *many = memory_new(MESSAGE_MAX_STOP_IDS + 1, sizeof *many);
    worker_open(&w, &p, 0, 5);
    welcome(&p);
    struct message bad[6];
    const char *words[6] = {"prompt_ids[2] is 97", "each id once", "at most 1024",
                            "deadline_ms",         "temperature",  "--max-context"};
    for (int i = 0; i < 6; i++) bad[i] = task((uint64_t)i, 2, 5);
    bad[0].task.prompt_ids = column_of(COLUMN_I32, far, 3);
    bad[1].task.bias_ids = column_of(COLUMN_I32, twice, 2);
    bad[1].task.bias_values = column_of(COLUMN_F32, bias, 2);
    bad[2].task.stop_ids = column_of(COLUMN_I32, many, MESSAGE_MAX_STOP_IDS + 1);
    bad[3].task.deadline_ms = UINT64_MAX;
    bad[4].task.temperature = 1e300;
    int32_t *prompt = memory_new(5000, sizeof *prompt);
    bad[5].task.prompt_ids = column_of(COLUMN_I32, prompt, 5000);
    for (int i = 0; i < 6; i++) {
        send_to(&p, bad[i]);
        struct message *m = take(&p, MESSAGE_RESULT);
        assert_int_equal(m->result.sample.n, 2);
        for (uint64_t k = 0; k < 2; k++) {
            assert_int_equal(column_u8(m->result.finish)[k], FINISH_ERROR);
            struct slice why = column_text(m->result.error, m->result.error_offsets, k);
            if (!memmem(why.ptr, why.len, words[i], strlen(words[i])))
                fail_msg("\"%.*s\" does not say \"%s\"", SLICE_ARG(why), words[i]);
        }
        acknowledge(&p, m);
        message_free(&m);
    }
    send_to(&p, task(9, 1, 5));
    take_samples(&p, 9, 1, counts);
    assert_int_equal(counts[FINISH_LENGTH], 1);
    say_bye(&p);
    worker_close(&w);
    free(many);
    free(prompt);
    peer_close(&p);
}

// A refused task of as many samples as there can be is answered in one message that fits.
static void test_a_large_bad_task(void **state) {
    (void)state;
    struct peer p = peer_open();
    struct worker w;
    worker_open(&w, &p, 0, 5);
    welcome(&p);
    send_to(&p, task(1, MESSAGE_MAX_SAMPLES, 5)); // over the credit, and over everything else
    struct message *m = take(&p, MESSAGE_RESULT);
    assert_int_equal(m->result.sample.n, MESSAGE_MAX_SAMPLES);
    struct slice why = column_text(m->result.error, m->result.error_offsets, 60000);
    assert_non_null(memmem(why.ptr, why.len, "on a credit of 16", 17));
    message_free(&m);
    say_bye(&p);
    worker_close(&w);
    peer_close(&p);
}

// What is sent beyond the credit is refused, and a peer that goes on loses its session: nothing
// here grows with what it sends.
static void test_a_flood(void **state) {
    (void)state;
    struct peer p = peer_open();
    struct worker w;
    worker_open(&w, &p, 0, 5);
    welcome(&p);
    for (uint64_t i = 0; i < 20000; i++) send_to(&p, task(i, 1, 4000));
    struct message *beat = NULL;
    while (!beat) { // it has ended the session and asks for another; answers may be lost meanwhile
        welcome(&p);
        assert_in_range(status_read(&w.board).n_samples, 0, SLOTS);
        beat = find_message(&p, MESSAGE_HEARTBEAT, 2000);
    }
    message_free(&beat);
    say_bye(&p);
    worker_close(&w);
    assert_int_equal(w.end, LINK_RUN_COMPLETE);
    peer_close(&p);
}

// An answer that matters waits until the queue has room, and comes.
static void test_a_full_queue(void **state) {
    (void)state;
    struct peer p = peer_open();
    struct worker w;
    int zero = 0, small = 2;
    // A peer whose buffers hold next to nothing, so that the worker's queue fills soon.
    zmq_close(p.zmq);
    p.zmq = zmq_socket(p.context, ZMQ_ROUTER);
    zmq_setsockopt(p.zmq, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(p.zmq, ZMQ_RCVHWM, &small, sizeof small);
    int bytes = 4096;
    zmq_setsockopt(p.zmq, ZMQ_RCVBUF, &bytes, sizeof bytes);
    size_t len = sizeof p.url;
    assert_int_equal(zmq_bind(p.zmq, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(p.zmq, ZMQ_LAST_ENDPOINT, p.url, &len), 0);
    worker_open(&w, &p, 2, 5);
    welcome(&p);
    for (uint64_t i = 0; i < SLOTS; i++) send_to(&p, task(i, 1, 3900)); // results of 47 KB
    for (int i = 0; i < 200 && status_read(&w.board).n_samples == 0; i++) usleep(10000);
    for (int i = 0; i < 1000 && status_read(&w.board).n_samples > 0; i++) usleep(10000);
    usleep(300000); // the queue is full, and nobody reads
    for (uint64_t i = 1; i <= 20; i++)
        send_to(&p,
                (struct message){.type = MESSAGE_WEIGHTS_COMMIT, .weights_commit = {.update = i}});
    usleep(300000);
    struct status_snapshot seen;
    status_look(&w.board, &seen);
    assert_true(seen.link.n_full > 0 && seen.link.spool_bytes > 100000);
    uint64_t next = 1;
    while (next <= 20) { // each of them is answered, in order
        struct message *m = take(&p, MESSAGE_WEIGHTS_STATUS);
        assert_int_equal(m->weights_status.update, next++);
        assert_int_equal(m->weights_status.phase, PHASE_FAILED);
        message_free(&m);
    }
    say_bye(&p);
    worker_close(&w);
    peer_close(&p);
}

// Reads and acknowledges until BYE. Counts the samples of each group.
static void take_until_bye(struct peer *p, int n_of[8]) {
    memset(n_of, 0, 8 * sizeof *n_of);
    for (bool over = false; !over;) {
        struct message *m = next_message(p, PATIENCE_MS);
        assert_non_null(m);
        over = m->type == MESSAGE_BYE;
        if (m->type == MESSAGE_RESULT) {
            acknowledge(p, m);
            n_of[m->result.serial] += (int)m->result.finish.n;
            for (uint64_t i = 0; i < m->result.finish.n; i++) {
                uint8_t finish = column_u8(m->result.finish)[i];
                assert_true(finish == FINISH_PREEMPTED || finish == FINISH_LENGTH);
            }
        }
        message_free(&m);
    }
}

// Whenever a drain comes, each task that was read before BYE is answered: none falls in between.
static void test_drain_races_tasks(void **state) {
    (void)state;
    int n_whole = 0;
    for (int round = 0; round < 40; round++) {
        struct peer p = peer_open();
        struct worker w;
        int n_of[8], n = 0;
        worker_open(&w, &p, 0, 0);
        welcome(&p);
        skip_to(&p, MESSAGE_HEARTBEAT); // it has joined
        for (int i = 0; i < 8; i++) {
            send_to(&p, task((uint64_t)i, 2, 4000));
            if (i == round % 8) link_signal(w.link);
            if (round % 3 == 0) usleep((useconds_t)(round * 37));
        }
        take_until_bye(&p, n_of);
        for (int i = 0; i < 8; i++) {
            n += n_of[i] == 2;
            assert_int_equal(n_of[i], i < n ? 2 : 0); // 0: it was never read, like all behind it
        }
        n_whole += n;
        worker_close(&w);
        assert_int_equal(w.end, LINK_DRAINED);
        peer_close(&p);
    }
    assert_true(n_whole > 40);
}

// DRAIN of the trainer is no signal: the first SIGTERM behind it only drains, the second one ends.
static void test_drain_is_no_signal(void **state) {
    (void)state;
    for (int n_signals = 0; n_signals < 3; n_signals++) {
        struct peer p = peer_open();
        struct worker w;
        int counts[FINISH_N_REASONS];
        worker_open(&w, &p, 0, 30);
        welcome(&p);
        send_to(&p, task(1, 2, n_signals == 2 ? 4000 : 200));
        for (int i = 0; i < 500 && status_read(&w.board).n_rows < 2; i++) usleep(2000);
        send_to(&p, (struct message){.type = MESSAGE_DRAIN});
        skip_to(&p, MESSAGE_DRAIN);
        for (int i = 0; i < n_signals; i++) link_signal(w.link);
        if (n_signals < 2) {
            take_samples(&p, 1, 2, counts);
            assert_int_equal(counts[FINISH_LENGTH], 2);
            skip_to(&p, MESSAGE_BYE);
        }
        worker_close(&w);
        assert_int_equal(w.end, LINK_DRAINED);
        peer_close(&p);
    }
}

// Results that nobody acknowledged are sent again in the next session, and count against its
// credit until they are.
static void test_resending(void **state) {
    (void)state;
    struct peer p = peer_open();
    struct worker w;
    worker_open(&w, &p, 0, 5);
    welcome(&p);
    for (uint64_t i = 0; i < 5; i++) send_to(&p, task(i, 1, 3));
    uint64_t numbers[5];
    for (int i = 0; i < 5; i++) {
        struct message *m = take(&p, MESSAGE_RESULT);
        numbers[i] = m->result.result;
        message_free(&m);
    }
    send_to(&p, (struct message){.type = MESSAGE_ACK, .ack = {numbers[0]}});
    send_to(&p, (struct message){.type = MESSAGE_BYE}); // and another session
    skip_to(&p, MESSAGE_BYE);
    struct message *hello = take(&p, MESSAGE_HELLO);
    assert_int_equal(hello->hello.slots, SLOTS - 4);
    message_free(&hello);
    send_to(&p, (struct message){.type = MESSAGE_WELCOME,
                                 .welcome = {.heartbeat_ms = 100, .lost_ms = 20000}});
    bool came[5] = {true};
    for (int i = 1; i < 5; i++) {
        struct message *m = take(&p, MESSAGE_RESULT);
        bool known = false;
        for (int k = 1; k < 5; k++) {
            if (numbers[k] != m->result.result) continue;
            assert_false(came[k]);
            came[k] = known = true;
        }
        assert_true(known);
        acknowledge(&p, m);
        message_free(&m);
    }
    uint64_t credit = 0;
    while (credit < SLOTS) {
        struct message *m = take(&p, MESSAGE_CREDIT);
        credit = m->credit.slots;
        message_free(&m);
    }
    assert_int_equal(credit, SLOTS);
    p.epoch = 2;                 // a newer trainer: nothing is left for it
    send_to(&p, task(50, 1, 3)); // is not of the session
    send_to(&p, (struct message){.type = MESSAGE_WELCOME,
                                 .welcome = {.heartbeat_ms = 100, .lost_ms = 20000}});
    assert_null(find_message(&p, MESSAGE_RESULT, 300));
    p.epoch = 1; // an older one is not obeyed
    send_to(&p, (struct message){.type = MESSAGE_WELCOME,
                                 .welcome = {.heartbeat_ms = 100, .lost_ms = 20000}});
    p.epoch = 2;
    p.seq = 1;
    send_to(&p, task(51, 1, 3));
    int counts[FINISH_N_REASONS];
    take_samples(&p, 51, 1, counts);
    say_bye(&p);
    worker_close(&w);
    peer_close(&p);
}

// A device that is lost in mid-run: what was finished before has come or comes still, and BYE gives
// the rest back at once.
static void test_lost_device(void **state) {
    (void)state;
    struct peer p = peer_open();
    struct worker w;
    worker_open(&w, &p, 0, 5);
    welcome(&p);
    send_to(&p, task(1, 3, 5));
    struct message *first = take(&p, MESSAGE_RESULT);
    assert_int_equal(first->result.serial, 1);
    assert_int_equal(first->result.finish.n, 3);
    w.rig.fake->is_lost = true;
    send_to(&p, task(2, 2, 3000));
    pthread_join(w.thread, NULL);
    pthread_t closing;
    assert_int_equal(pthread_create(&closing, NULL, close_link, &w), 0);
    assert_null(find_message(&p, MESSAGE_BYE, 500)); // not before the acknowledgement
    acknowledge(&p, first);
    message_free(&first);
    skip_to(&p, MESSAGE_BYE);
    pthread_join(closing, NULL);
    assert_int_equal(w.end, LINK_IO);
    worker_free(&w);
    peer_close(&p);
}

// ---- updates that rows in flight may end before

// Offers an update that changes nothing but the version, and waits until it is staged.
static void offer(struct peer *p, uint64_t update, uint64_t base) {
    static const int64_t zero = 0;
    const struct column bytes = column_of(COLUMN_U8, "", 0), words = column_of(COLUMN_U64, "", 0);
    send_to(p, (struct message){.type = MESSAGE_WEIGHTS_BEGIN,
                                .weights_begin = {.update = update,
                                                  .base = base,
                                                  .version = base + 1,
                                                  .names = bytes,
                                                  .name_offsets = column_of(COLUMN_I64, &zero, 1),
                                                  .dtypes = bytes,
                                                  .ranks = bytes,
                                                  .shapes = column_of(COLUMN_I64, "", 0),
                                                  .modes = bytes,
                                                  .n_values = words,
                                                  .checks = words,
                                                  .code_bytes = bytes,
                                                  .n_codes = words}});
    struct message *m = take(p, MESSAGE_WEIGHTS_STATUS);
    assert_int_equal(m->weights_status.phase, PHASE_STAGED);
    message_free(&m);
}

static void commit(struct peer *p, uint64_t update, uint32_t hold_ms) {
    send_to(p, (struct message){.type = MESSAGE_WEIGHTS_COMMIT,
                                .weights_commit = {.update = update, .hold_ms = hold_ms}});
}

static void expect_status(struct peer *p, uint64_t update, int phase, uint64_t version) {
    struct message *m = take(p, MESSAGE_WEIGHTS_STATUS);
    assert_int_equal(m->weights_status.update, update);
    assert_int_equal(m->weights_status.phase, phase);
    assert_int_equal(m->weights_status.version, version);
    message_free(&m);
}

// The one sample of the group, whole, with these versions (n) in its spans.
static void expect_sample(struct peer *p, uint64_t serial, const uint64_t *versions, uint64_t n) {
    struct message *m = take(p, MESSAGE_RESULT);
    acknowledge(p, m);
    assert_int_equal(m->result.serial, serial);
    assert_int_equal(column_u8(m->result.finish)[0], FINISH_LENGTH);
    assert_int_equal(m->result.span_version.n, n);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(column_u64(m->result.span_version)[i], versions[i]);
    message_free(&m);
}

// A row of some milliseconds a token, in flight.
static void begin_row(struct peer *p, struct worker *w, uint64_t serial, uint32_t n_tokens) {
    w->rig.fake->step_us = 2000;
    send_to(p, task(serial, 1, n_tokens));
    for (int i = 0; i < 500 && status_read(&w->board).n_rows < 1; i++) usleep(2000);
    assert_int_equal(status_read(&w->board).n_rows, 1);
}

static void hurry(struct worker *w) {
    w->rig.fake->step_us = 0;
}

static void test_hold(void **state) {
    (void)state;
    static const uint64_t versions[] = {0, 1, 2, 3, 4, 5};
    enum { LONG_MS = 60000 };
    struct peer p = peer_open();
    struct worker w;
    worker_open(&w, &p, 0, 30);
    welcome(&p);

    begin_row(&p, &w, 1, 300); // ends first; a COMMIT that is said again changes nothing
    offer(&p, 1, 0);
    commit(&p, 1, LONG_MS);
    send_to(&p, task(2, 1, 3));
    struct message *beat = take(&p, MESSAGE_HEARTBEAT);
    assert_int_equal(beat->heartbeat.version, 0);
    message_free(&beat);
    commit(&p, 1, 0);
    expect_sample(&p, 1, &versions[0], 1);
    expect_sample(&p, 2, &versions[1], 1);
    assert_int_equal(status_read(&w.board).version, 1);

    begin_row(&p, &w, 3, 4000); // the time is over first
    offer(&p, 2, 1);
    commit(&p, 2, 100);
    expect_status(&p, 2, PHASE_APPLIED, 2);
    hurry(&w);
    expect_sample(&p, 3, &versions[1], 2);

    begin_row(&p, &w, 4, 4000); // taken back first: the row goes on as if nothing had been
    offer(&p, 3, 2);
    commit(&p, 3, LONG_MS);
    send_to(&p, (struct message){.type = MESSAGE_WEIGHTS_ABORT, .weights_abort = {.update = 3}});
    expect_status(&p, 3, PHASE_ROLLED_BACK, 2);
    offer(&p, 4, 2);
    commit(&p, 4, 0);
    expect_status(&p, 4, PHASE_APPLIED, 3);
    hurry(&w);
    expect_sample(&p, 4, &versions[2], 2);

    for (uint64_t i = 5; i < 7; i++) { // the trainer goes, or dies, first: COMMIT was the decision
        begin_row(&p, &w, i, 4000);
        offer(&p, i, i - 2);
        commit(&p, i, LONG_MS);
        if (i == 5)
            send_to(&p, (struct message){.type = MESSAGE_BYE});
        else
            usleep(1500000);
        struct message *hello = take(&p, MESSAGE_HELLO);
        assert_int_equal(hello->hello.version, i - 1);
        message_free(&hello);
        send_to(&p, (struct message){.type = MESSAGE_WELCOME,
                                     .welcome = {.heartbeat_ms = 100, .lost_ms = 1000}});
    }

    say_bye(&p);
    worker_close(&w);
    peer_close(&p);
}

// A worker that drains in a hold lets its rows end, applies the update, and leaves; one that ends
// at once leaves it.
static void test_leaving_in_a_hold(void **state) {
    (void)state;
    static const uint64_t version = 0;
    for (int at_once = 0; at_once < 2; at_once++) {
        struct peer p = peer_open();
        struct worker w;
        int counts[FINISH_N_REASONS];
        worker_open(&w, &p, 0, 30);
        welcome(&p);
        begin_row(&p, &w, 1, at_once ? 4000 : 300);
        offer(&p, 1, 0);
        commit(&p, 1, 60000);
        send_to(&p, task(2, 2, 3));
        send_to(&p, (struct message){.type = MESSAGE_DRAIN});
        take_samples(&p, 2, 2, counts);
        assert_int_equal(counts[FINISH_PREEMPTED], 2);
        for (int i = 0; i < 2 * at_once; i++) link_signal(w.link);
        if (!at_once) {
            expect_status(&p, 1, PHASE_APPLIED, 1);
            expect_sample(&p, 1, &version, 1);
            skip_to(&p, MESSAGE_BYE);
        }
        worker_close(&w);
        assert_int_equal(w.end, LINK_DRAINED);
        peer_close(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session),          cmocka_unit_test(test_bad_tasks),
        cmocka_unit_test(test_a_large_bad_task),   cmocka_unit_test(test_a_flood),
        cmocka_unit_test(test_a_full_queue),       cmocka_unit_test(test_drain_races_tasks),
        cmocka_unit_test(test_drain_is_no_signal), cmocka_unit_test(test_resending),
        cmocka_unit_test(test_lost_device),        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_leaving_in_a_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

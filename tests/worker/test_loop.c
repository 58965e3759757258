// The loop with several ports: each gets its own samples, and the loop ends when all are done or
// one stops it.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/engine/rig.h"
#include "worker/loop.h"

// A port that brings some tasks, one a turn, and keeps count of what comes back.
struct maker {
    struct port port;
    const struct rig *rig;
    uint64_t serial, last;
    int n_samples, n_back;
    enum port_state at_end;
    bool fails;
};

static int receive(const struct port *port, struct engine *e, enum port_state *state,
                   struct error *err) {
    struct maker *m = port->self;
    if (m->fails) return error_set(err, ERROR_IO, "The port is broken.");
    if (m->serial == m->last) {
        *state = m->at_end;
        return 0;
    }
    struct task *t = rig_task(m->rig, m->serial, 5, m->n_samples, 3 + (int)m->serial % 4);
    t->port = port;
    m->serial++;
    engine_add(e, t);
    return 0;
}

static int deliver(const struct port *port, struct sample *list, struct error *err) {
    struct maker *m = port->self;
    (void)err;
    for (struct sample *s = list; s; s = s->next) {
        assert_ptr_equal(s->task->port, port);
        m->n_back++;
    }
    assert_non_null(list);
    sample_free_list(list);
    return 0;
}

static struct maker maker(struct maker *m, const struct rig *rig, uint64_t n, int n_samples) {
    return (struct maker){
        .port = {.self = m, .fd = -1, .receive = receive, .deliver = deliver},
        .rig = rig,
        .last = n,
        .n_samples = n_samples,
        .at_end = PORT_DONE,
    };
}

static void test_two_ports(void **state) {
    (void)state;
    struct rig rig;
    struct verify verify;
    struct maker a, b;
    struct status_board board;
    struct error err = {0};
    rig_open(&rig, &(struct rig_options){0});
    verify_open(&verify, NULL, &err);
    a = maker(&a, &rig, 5, 3);
    b = maker(&b, &rig, 9, 2);
    status_open(&board, engine_status(&rig.engine));
    struct loop loop = {.engine = &rig.engine, .verify = &verify, .board = &board};
    ports_add(&loop.ports, &a.port);
    ports_add(&loop.ports, &b.port);
    assert_int_equal(loop_run(&loop, &err), 0);
    assert_int_equal(a.n_back, 15);
    assert_int_equal(b.n_back, 18);
    struct status status = status_read(&board);
    assert_int_equal(status.n_samples, 0);
    assert_true(status.counters.n_steps > 5);
    status_close(&board);
    verify_close(&verify);
    rig_close(&rig);
}

static void test_stop_and_failure(void **state) {
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        struct rig rig;
        struct verify verify;
        struct maker a, b;
        struct error err = {0};
        rig_open(&rig, &(struct rig_options){0});
        verify_open(&verify, NULL, &err);
        a = maker(&a, &rig, 1000000, 3);
        b = maker(&b, &rig, 3, 1);
        b.at_end = PORT_STOP;
        struct loop loop = {.engine = &rig.engine, .verify = &verify};
        ports_add(&loop.ports, &a.port);
        ports_add(&loop.ports, &b.port);
        b.fails = fails;
        assert_int_equal(loop_run(&loop, &err), fails ? -1 : 0);
        if (fails) assert_string_equal(err.text, "The port is broken.");
        verify_close(&verify);
        rig_close(&rig);
    }
}

// A port with a descriptor is waited for, and wakes the loop.
struct sleeper {
    struct port port;
    int n_calls;
};

static int receive_asleep(const struct port *port, struct engine *e, enum port_state *state,
                          struct error *err) {
    struct sleeper *s = port->self;
    (void)e, (void)err;
    uint64_t count;
    s->n_calls++;
    if (read(port->fd, &count, sizeof count) == sizeof count) *state = PORT_DONE;
    return 0;
}

static void *wake_later(void *arg) {
    uint64_t one = 1;
    usleep(120000);
    assert_int_equal(write(*(int *)arg, &one, sizeof one), sizeof one);
    return NULL;
}

static void test_waiting(void **state) {
    (void)state;
    struct rig rig;
    struct verify verify;
    struct error err = {0};
    pthread_t thread;
    rig_open(&rig, &(struct rig_options){0});
    verify_open(&verify, NULL, &err);
    struct sleeper s = {.port = {.fd = eventfd(0, EFD_NONBLOCK), .receive = receive_asleep}};
    s.port.self = &s;
    struct loop loop = {.engine = &rig.engine, .verify = &verify};
    ports_add(&loop.ports, &s.port);
    int fd = s.port.fd;
    assert_int_equal(pthread_create(&thread, NULL, wake_later, &fd), 0);
    assert_int_equal(loop_run(&loop, &err), 0);
    pthread_join(thread, NULL);
    assert_in_range(s.n_calls, 2, 8); // it slept between
    close(s.port.fd);
    verify_close(&verify);
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_ports),
        cmocka_unit_test(test_stop_and_failure),
        cmocka_unit_test(test_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

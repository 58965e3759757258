#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "kernels/cpu/pool.h"
#include "protocol/base/clock.h"

struct counts {
    atomic_int runs[3000];
    atomic_int by_thread[64];
};

static void count(void *arg, int chunk, int thread) {
    struct counts *c = arg;
    atomic_fetch_add(&c->runs[chunk], 1);
    atomic_fetch_add(&c->by_thread[thread], 1);
}

// Every chunk of every job runs once, with threads spinning, asleep, and in jobs of every size.
static void test_pool(void **state) {
    (void)state;
    struct error err;
    for (int threads = 1; threads <= 4; threads++) {
        struct pool *p = pool_start(threads, &err);
        assert_non_null(p);
        assert_int_equal(pool_n_threads(p), threads);
        for (int job = 0; job < 600; job++) {
            static struct counts c;
            memset(&c, 0, sizeof c);
            int n = job % 97 == 0 ? 3000 : job % 17;
            if (job % 100 == 50) usleep(2000); // the threads fall asleep
            pool_run(p, n, job % 5 == 0, count, &c);
            for (int i = 0; i < 3000; i++) assert_int_equal(c.runs[i], i < n);
            if (job % 5 == 0) assert_int_equal(c.by_thread[0], n);
        }
        pool_stop(&p);
        assert_null(p);
    }
}

static void work_a_little(void *arg, int chunk, int thread) {
    count(arg, chunk, thread);
    for (int64_t until = clock_us() + 40; clock_us() < until;)
        ;
}

// Where threads are kept off their processors their waits are short and end asleep: so many threads
// that this is so for some windows of 10 ms, then so few jobs that it ends.
static void test_crowded(void **state) {
    (void)state;
    struct error err;
    struct pool *p = pool_start(64, &err);
    assert_non_null(p);
    static struct counts c;
    memset(&c, 0, sizeof c);
    int n_jobs = 0;
    for (int64_t until = clock_us() + 150000; clock_us() < until; n_jobs++)
        pool_run(p, 100, false, work_a_little, &c);
    for (int i = 0; i < 20; i++, n_jobs++) {
        usleep(1000);
        pool_run(p, 100, false, count, &c);
    }
    for (int i = 0; i < 100; i++) assert_int_equal(c.runs[i], n_jobs);
    pool_stop(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pool), cmocka_unit_test(test_crowded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

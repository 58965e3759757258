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

struct counts {
    atomic_int runs[3000];
    atomic_int by_thread[8];
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pool)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

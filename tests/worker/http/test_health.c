// Who is alive, loaded and ready, and what a histogram says.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/json.h"
#include "worker/http/health.h"
#include "worker/http/metrics.h"
#include "worker/http/status_json.h"

static struct status_snapshot good(int64_t now_ms) {
    struct status_snapshot s = {.phase = WORKER_SERVING};
    s.link = (struct status_link){.turn_ms = now_ms, .joined = true, .is_current = true};
    s.work.turn_ms = now_ms;
    return s;
}

static void test_alive(void **state) {
    (void)state;
    int64_t now = 1000000;
    struct status_snapshot s = good(now);
    assert_null(health_why_dead(&s, now));
    s.link.joined = s.link.is_current = false; // the trainer is nobody's death
    assert_null(health_why_dead(&s, now + HEALTH_LINK_MS));
    assert_non_null(health_why_dead(&s, now + HEALTH_LINK_MS + 1));
    s.link.turn_ms = now + HEALTH_ENGINE_MS;
    assert_null(health_why_dead(&s, now + 60000)); // a long step is not a death
    assert_null(health_why_dead(&s, now + HEALTH_ENGINE_MS));
    assert_non_null(health_why_dead(&s, now + HEALTH_ENGINE_MS + 1));
    s.phase = WORKER_LOADING; // minutes, without a turn of anything
    assert_null(health_why_dead(&s, now + 10 * HEALTH_ENGINE_MS));
    s.phase = WORKER_LEAVING;
    assert_null(health_why_dead(&s, now + 10 * HEALTH_ENGINE_MS));
    s.work.device_failed = true;
    assert_string_equal(health_why_dead(&s, now), "The device failed.");
}

static void test_ready(void **state) {
    (void)state;
    struct status_snapshot s = good(1);
    assert_null(health_why_not_ready(&s));
    assert_null(health_why_not_loaded(&s));
    s.link.is_current = false;
    assert_non_null(strstr(health_why_not_ready(&s), "policy version"));
    s.link.joined = false;
    assert_non_null(strstr(health_why_not_ready(&s), "session"));
    assert_null(health_why_not_loaded(&s));
    s.link.draining = true;
    assert_non_null(strstr(health_why_not_ready(&s), "drains"));
    s.phase = WORKER_LOADING;
    assert_non_null(strstr(health_why_not_ready(&s), "loaded"));
    assert_non_null(health_why_not_loaded(&s));
}

static void test_buckets_are_cumulative(void **state) {
    (void)state;
    struct buffer out = {0};
    struct histogram h = {0};
    histogram_add(&h, MEASURE_STALENESS, 0, 3);
    histogram_add(&h, MEASURE_STALENESS, 1.5, 2);
    histogram_add(&h, MEASURE_STALENESS, 1e9, 1);
    metrics_histogram(&out, "x", "a=\"b\"", &h, MEASURE_STALENESS);
    assert_string_equal(out.ptr, "x_bucket{a=\"b\",le=\"0.0\"} 3\n"
                                 "x_bucket{a=\"b\",le=\"1.0\"} 3\n"
                                 "x_bucket{a=\"b\",le=\"2.0\"} 5\n"
                                 "x_bucket{a=\"b\",le=\"4.0\"} 5\n"
                                 "x_bucket{a=\"b\",le=\"8.0\"} 5\n"
                                 "x_bucket{a=\"b\",le=\"16.0\"} 5\n"
                                 "x_bucket{a=\"b\",le=\"+Inf\"} 6\n"
                                 "x_sum{a=\"b\"} 1000000003.0\n"
                                 "x_count{a=\"b\"} 6.0\n");
    buffer_free(&out);
    for (int m = 0; m <= MEASURE_COMMIT; m++) {
        int n;
        const double *bounds = histogram_bounds((enum measure)m, &n);
        assert_in_range(n, 1, HISTOGRAM_MAX_BOUNDS);
        for (int i = 1; i < n; i++) assert_true(bounds[i - 1] < bounds[i]);
    }
}

// Whatever the texts hold, /status is JSON.
static void test_status_is_json(void **state) {
    (void)state;
    for (int texts = 0; texts < 2; texts++) {
        struct status_snapshot s = good(1);
        struct buffer out = {0};
        struct arena arena = {0};
        struct error err = {0};
        strcpy(s.facts.uid, "a\"b\\c\n\x01");
        s.work.n_rollouts = STATUS_N_ROLLOUTS + 2;
        for (int i = 0; i < STATUS_N_ROLLOUTS; i++) {
            s.work.rollouts[i].finish = FINISH_STOP;
            s.work.rollouts[i].serial = (uint64_t)i;
            strcpy(s.work.rollouts[i].text, "</script>\"\xc3\xbc\xff");
        }
        status_json_write(&s, texts, &out);
        const struct json *root = json_parse(buffer_slice(&out), &arena, &err);
        assert_non_null(root);
        const struct json *rollouts = json_get(root, "rollouts");
        assert_int_equal(rollouts->n_children, STATUS_N_ROLLOUTS);
        uint64_t serial;
        assert_int_equal(json_uint64(json_get(rollouts->first, "serial"), &serial), 0);
        assert_int_equal(serial, 1); // the newest first
        assert_int_equal(json_get(rollouts->first, "text") != NULL, texts);
        arena_clear(&arena);
        buffer_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alive),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_buckets_are_cumulative),
        cmocka_unit_test(test_status_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

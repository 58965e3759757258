#include "worker/http/health.h"

#include <stddef.h>

const char *health_why_dead(const struct status_snapshot *s, int64_t now_ms) {
    if (s->work.device_failed) return "The device failed.";
    if (s->phase != WORKER_SERVING) return NULL;
    if (s->link.turn_ms && now_ms - s->link.turn_ms > HEALTH_LINK_MS)
        return "The I/O thread has not turned for 10 s.";
    if (s->work.turn_ms && now_ms - s->work.turn_ms > HEALTH_ENGINE_MS)
        return "The engine has not finished a turn for 120 s.";
    return NULL;
}

const char *health_why_not_loaded(const struct status_snapshot *s) {
    return s->phase == WORKER_LOADING ? "The model is being loaded." : NULL;
}

const char *health_why_not_ready(const struct status_snapshot *s) {
    if (s->phase == WORKER_LOADING) return health_why_not_loaded(s);
    if (s->phase == WORKER_LEAVING || s->link.draining) return "The worker drains.";
    if (s->work.device_failed) return "The device failed.";
    if (!s->link.joined) return "There is no session with a trainer.";
    if (!s->link.is_current) return "The policy version that is asked for is not served yet.";
    return NULL;
}

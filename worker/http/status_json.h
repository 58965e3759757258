// What /status answers: one JSON object, which the status page reads each second.
#ifndef WORKER_HTTP_STATUS_JSON_H
#define WORKER_HTTP_STATUS_JSON_H

#include "protocol/base/buffer.h"
#include "worker/status.h"

// `texts`: with how each of the last rollouts begins. Texts are shown on loopback only.
void status_json_write(const struct status_snapshot *s, bool texts, struct buffer *out);

#endif

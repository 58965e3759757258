// Log lines on stderr, as text or JSON. Results never go here, and no line quotes a prompt.
#ifndef WORKER_LOG_H
#define WORKER_LOG_H

#include <stdbool.h>

#include "protocol/base/error.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    enum log_level level;
    bool json; // one object a line: {"time","level","message"}
};

// "error", "warn", "info" or "debug"; "text" or "json". NULL keeps the default (info, text).
int log_parse(struct log *log, const char *level, const char *format, struct error *err);

// One line; never split by lines of other threads.
void log_say(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

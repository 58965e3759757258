#include "worker/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/json.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

int log_parse(struct log *log, const char *level, const char *format, struct error *err) {
    *log = (struct log){.level = LOG_INFO};
    for (int i = 0; level && i <= LOG_DEBUG; i++)
        if (strcmp(level, level_names[i]) == 0) {
            log->level = (enum log_level)i;
            level = NULL;
        }
    if (level)
        return error_set(err, ERROR_USAGE,
                         "--log-level is '%s'; expected error, warn, info or debug.", level);
    if (format && strcmp(format, "json") != 0 && strcmp(format, "text") != 0)
        return error_set(err, ERROR_USAGE, "--log-format is '%s'; expected text or json.", format);
    log->json = format && strcmp(format, "json") == 0;
    return 0;
}

void log_say(const struct log *log, enum log_level level, const char *format, ...) {
    if (level > log->level) return;
    char text[2048], when[32];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    // A peer's text may be quoted here: a line stays one line, and a terminal gets no escapes.
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    struct buffer line = {0};
    if (log->json) {
        buffer_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", when,
                      level_names[level]);
        json_add_string(&line, slice_of(text));
        buffer_add_text(&line, "}\n");
    } else {
        buffer_printf(&line, "stampede %s: %s\n", level_names[level], text);
    }
    // One write, so that lines of two threads or processes do not mix.
    ssize_t written = write(STDERR_FILENO, line.ptr, line.len);
    (void)written;
    buffer_free(&line);
}

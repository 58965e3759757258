// The time of day as text, without the C library's strftime, which follows the locale.
#include <time.h>

#include "worker/load/jinja/function.h"

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

static int print_number(struct run *r, int number, int width, char fill) {
    char text[16];
    int n = 0;
    do text[15 - n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0 && n < 15);
    while (n < width && fill) text[15 - n++] = fill;
    return run_print(r, (struct slice){text + 16 - n, (size_t)n});
}

static int print_name(struct run *r, const char *name, bool is_short) {
    struct slice s = slice_of(name);
    if (is_short) s.len = 3;
    return run_print(r, s);
}

// `fill` is '0', or 0 for a field with "-" before its letter.
static int print_field(struct run *r, const struct tm *t, char field, char fill) {
    int hour = t->tm_hour % 12 == 0 ? 12 : t->tm_hour % 12;
    switch (field) {
    case 'Y':
        return print_number(r, t->tm_year + 1900, 0, 0);
    case 'y':
        return print_number(r, t->tm_year % 100, 2, fill);
    case 'm':
        return print_number(r, t->tm_mon + 1, 2, fill);
    case 'd':
        return print_number(r, t->tm_mday, 2, fill);
    case 'e':
        return print_number(r, t->tm_mday, 2, fill ? ' ' : 0);
    case 'j':
        return print_number(r, t->tm_yday + 1, 3, fill);
    case 'H':
        return print_number(r, t->tm_hour, 2, fill);
    case 'I':
        return print_number(r, hour, 2, fill);
    case 'M':
        return print_number(r, t->tm_min, 2, fill);
    case 'S':
        return print_number(r, t->tm_sec, 2, fill);
    default:
        break;
    }
    if (!fill) return run_fail(r, "a field of strftime_now's format is not supported.");
    switch (field) {
    case 'B':
    case 'b':
        return print_name(r, months[t->tm_mon], field == 'b');
    case 'A':
    case 'a':
        return print_name(r, days[t->tm_wday], field == 'a');
    case 'p':
        return print_name(r, t->tm_hour < 12 ? "AM" : "PM", false);
    case '%':
        return run_print(r, slice_of("%"));
    default:
        return run_fail(r, "a field of strftime_now's format is not supported; expected one of "
                           "Y, y, m, d, e, j, H, I, M, S, B, b, A, a, p.");
    }
}

int function_strftime(struct run *r, struct slice format, struct value *out) {
    time_t now = r->now;
    size_t from = r->out.len;
    struct tm t;
    if (!localtime_r(&now, &t)) return run_fail(r, "the time of day is not known.");
    for (size_t i = 0; i < format.len; i++) {
        if (format.ptr[i] != '%') {
            if (run_print(r, (struct slice){format.ptr + i, 1})) return -1;
            continue;
        }
        bool plain = i + 1 < format.len && format.ptr[i + 1] == '-';
        i += plain ? 2 : 1;
        if (i >= format.len) return run_fail(r, "strftime_now's format ends inside of a field.");
        if (print_field(r, &t, format.ptr[i], plain ? 0 : '0')) return -1;
    }
    return run_take_printed(r, from, out);
}

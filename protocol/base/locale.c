#include "protocol/base/locale.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

static locale_t c_locale;

static void open_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    assert(c_locale);
}

static locale_t get_locale(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_locale);
    return c_locale;
}

locale_t locale_enter(void) {
    return uselocale(get_locale());
}

void locale_leave(locale_t before) {
    uselocale(before);
}

double locale_strtod(const char *text, char **end) {
    return strtod_l(text, end, get_locale());
}

#include "worker/commands/flags.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/locale.h"
#include "protocol/base/memory.h"

static void list_add(struct flag_list *list, const char *value) {
    list->values = memory_resize(list->values, (size_t)list->n + 1, sizeof *list->values);
    list->values[list->n++] = value;
}

void flag_list_free(struct flag_list *list) {
    free(list->values);
    *list = (struct flag_list){0};
}

static int wrong(struct error *err, const struct flag *f, const char *text, const char *expected) {
    return error_set(err, ERROR_USAGE, "%s is '%s'; expected %s.", f->name, text, expected);
}

static int set_int(const struct flag *f, const char *text, struct error *err) {
    char *end, expected[96];
    errno = 0;
    long v = strtol(text, &end, 10);
    snprintf(expected, sizeof expected, "an integer from %.0f to %.0f", f->low, f->high);
    if (errno || end == text || *end || (double)v < f->low || (double)v > f->high)
        return wrong(err, f, text, expected);
    *(int *)f->target = (int)v;
    return 0;
}

static int set_float(const struct flag *f, const char *text, struct error *err) {
    char *end, expected[96];
    double v = locale_strtod(text, &end);
    snprintf(expected, sizeof expected, "a number from %g to %g", f->low, f->high);
    if (end == text || *end || !(v >= f->low && v <= f->high)) return wrong(err, f, text, expected);
    *(float *)f->target = (float)v;
    return 0;
}

static int set_uint64(const struct flag *f, const char *text, struct error *err) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-')
        return wrong(err, f, text, "an integer from 0 to 2^64 - 1");
    *(uint64_t *)f->target = v;
    return 0;
}

static int set_size(const struct flag *f, const char *text, struct error *err) {
    char *end;
    double v = locale_strtod(text, &end);
    const char *unit = strchr("KMG", *end);
    double scale = *end && unit ? exp2(10.0 * (double)(unit - "KMG" + 1)) : 1;
    if (end == text || (*end && (!unit || end[1])) || !(v >= 0 && v * scale < 0x1p62))
        return wrong(err, f, text, "a size in bytes, such as 512M or 8G");
    *(uint64_t *)f->target = (uint64_t)(v * scale);
    return 0;
}

static int set_value(const struct flag *f, const char *text, struct error *err) {
    switch (f->kind) {
    case FLAG_TEXT:
        *(const char **)f->target = text;
        return 0;
    case FLAG_LIST:
        list_add(f->target, text);
        return 0;
    case FLAG_INT:
        return set_int(f, text, err);
    case FLAG_UINT64:
        return set_uint64(f, text, err);
    case FLAG_FLOAT:
        return set_float(f, text, err);
    case FLAG_SIZE:
        return set_size(f, text, err);
    case FLAG_SWITCH:
    case FLAG_HEADING:
        break;
    }
    assert(false); // a switch takes no value
    return -1;
}

static const struct flag *find(const struct flag *flags, int n, const char *name, size_t len) {
    for (int i = 0; i < n; i++)
        if (flags[i].kind != FLAG_HEADING && strlen(flags[i].name) == len &&
            strncmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

// One flag at argv[*i], with its value if it takes one; *i moves to its last word.
static int parse_flag(const struct flag *flags, int n_flags, int argc, char **argv, int *i,
                      struct error *err) {
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const struct flag *f = find(flags, n_flags, word, len);
    if (!f)
        return error_set(err, ERROR_USAGE, "The flag '%.*s' is not known; see --help.", (int)len,
                         word);
    if (f->kind == FLAG_SWITCH) {
        if (equals) return error_set(err, ERROR_USAGE, "%s takes no value.", f->name);
        *(bool *)f->target = true;
        return 0;
    }
    if (!equals && *i + 1 >= argc)
        return error_set(err, ERROR_USAGE, "%s needs a value (%s).", f->name, f->value);
    return set_value(f, equals ? equals + 1 : argv[++*i], err);
}

int flags_parse(const struct flag *flags, int n_flags, int argc, char **argv,
                struct flag_list *rest, bool *help, struct error *err) {
    *help = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *help = true;
            return 0;
        }
        if (argv[i][0] == '-' && argv[i][1]) {
            if (parse_flag(flags, n_flags, argc, argv, &i, err)) return -1;
        } else if (rest) {
            list_add(rest, argv[i]);
        } else {
            return error_set(err, ERROR_USAGE, "The argument '%s' is not expected; see --help.",
                             argv[i]);
        }
    }
    return 0;
}

void flags_print_help(FILE *out, const char *usage, const struct flag *flags, int n_flags) {
    fprintf(out, "%s\n", usage);
    for (int i = 0; i < n_flags; i++) {
        const struct flag *f = &flags[i];
        if (f->kind == FLAG_HEADING) {
            fprintf(out, "\n%s\n", f->help);
            continue;
        }
        char left[64];
        snprintf(left, sizeof left, "%s %s", f->name, f->value ? f->value : "");
        fprintf(out, "  %-28s %s%s\n", left, f->help, f->kind == FLAG_LIST ? " (repeatable)" : "");
    }
}

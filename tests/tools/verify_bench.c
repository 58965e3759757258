// Times single checks of the graders on one core, for make verify-bench and test_peers.py.
//
//     verify_bench < requests          median, p99 and maximum of each set, in microseconds
//     verify_bench --rows < requests   a line for each request: its verdicts and its two times
//
// Each line of stdin is {"set": name, "gold": text, "completion": text} or {"set": name,
// "instruction_id_list": [...], "kwargs": [...], "response": text}. A row is {"verdict": name} or
// {"strict": [...], "loose": [...]}, with {"once_us": the check alone, "each_us": the gold or the
// instructions parsed with it}; of instructions, `once_us` is the strict check alone and `each_us`
// the strict and the loose one. {"error": sentence}: the gold or the instructions are refused.
//
// Times are processor time of the thread, less what reading that clock costs; the whole input is
// gone through PASSES times, so that no check finds its own data in the caches, and each request
// has the median of its passes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/json.h"
#include "verifiers/constraints/constraints.h"
#include "verifiers/math/math.h"

enum { PASSES = 5 };

struct item {
    struct slice set, gold, text;
    const struct json *ids, *kwargs; // ids NULL: a question of mathematics
    int64_t once_ns[PASSES], each_ns[PASSES];
    struct math_gold *parsed;
    struct constraint_list *list;
    enum math_verdict verdict;
    enum constraint_verdict strict[CONSTRAINT_MAX_INSTRUCTIONS];
    enum constraint_verdict loose[CONSTRAINT_MAX_INSTRUCTIONS];
    struct error err; // of a gold or list that is refused
};

static const struct math_options OPTIONS = {.long_decimals = true};

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t clock_cost_ns(void) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < 10000; i++) {
        const int64_t start = cpu_ns(), ns = cpu_ns() - start;
        if (ns < best) best = ns;
    }
    return best;
}

static struct slice text_of(const struct json *line, const char *key, struct arena *arena) {
    const struct json *value = json_get(line, key);
    return value && value->type == JSON_STRING ? json_string(value, arena) : slice_of("");
}

static struct item *read_items(struct arena *arena, size_t *n) {
    char *line = NULL;
    size_t capacity = 0, n_room = 0;
    struct item *items = NULL;
    *n = 0;
    for (ssize_t len; (len = getline(&line, &capacity, stdin)) > 0;) {
        struct error err;
        const char *kept = arena_copy(arena, line, (size_t)len);
        const struct json *root = json_parse((struct slice){kept, (size_t)len}, arena, &err);
        if (!root) {
            fprintf(stderr, "Line %zu: %s\n", *n + 1, err.text);
            exit(1);
        }
        if (*n == n_room) {
            n_room = n_room ? 2 * n_room : 1024;
            items = memory_resize(items, n_room, sizeof *items);
        }
        const struct json *ids = json_get(root, "instruction_id_list");
        items[(*n)++] = (struct item){.set = text_of(root, "set", arena),
                                      .gold = text_of(root, "gold", arena),
                                      .text = text_of(root, ids ? "response" : "completion", arena),
                                      .ids = ids,
                                      .kwargs = json_get(root, "kwargs")};
    }
    free(line);
    return items;
}

// Parses the gold or the instructions; false when they are refused.
static bool prepare(struct item *item) {
    if (item->ids)
        item->list = constraint_list_parse(item->ids, item->kwargs, &item->err);
    else
        item->parsed = math_gold_parse(&item->gold, 1, &OPTIONS, &item->err);
    return item->parsed || item->list;
}

static void finish(struct item *item) {
    constraint_list_free(&item->list);
    math_gold_free(&item->parsed);
}

static void check(struct item *item) {
    const char *rule;
    if (item->ids)
        constraint_list_check(item->list, item->text, false, item->strict);
    else
        item->verdict = math_grade(item->parsed, item->text, &rule);
}

static void time_item(struct item *item, int pass, int64_t cost_ns) {
    int64_t start = cpu_ns();
    if (!prepare(item)) return;
    check(item);
    if (item->ids) constraint_list_check(item->list, item->text, true, item->loose);
    finish(item);
    item->each_ns[pass] = cpu_ns() - start - cost_ns;
    prepare(item);
    start = cpu_ns();
    check(item);
    item->once_ns[pass] = cpu_ns() - start - cost_ns;
}

static int by_value(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(int64_t *passes) {
    qsort(passes, PASSES, sizeof *passes, by_value);
    return (double)passes[PASSES / 2] / 1000;
}

static void print_verdicts(const char *key, const enum constraint_verdict *verdicts, int n) {
    static const char *const WORDS[] = {"false", "true", "null"};
    printf("\"%s\": [", key);
    for (int i = 0; i < n; i++) printf("%s%s", i ? ", " : "", WORDS[verdicts[i]]);
    printf("], ");
}

static void print_row(struct item *item) {
    if (!item->parsed && !item->list) {
        struct buffer sentence = {0};
        json_add_string(&sentence, slice_of(item->err.text));
        printf("{\"error\": %s}\n", sentence.ptr);
        buffer_free(&sentence);
        return;
    }
    printf("{");
    if (item->list) {
        print_verdicts("strict", item->strict, constraint_list_n(item->list));
        print_verdicts("loose", item->loose, constraint_list_n(item->list));
    } else {
        printf("\"verdict\": \"%s\", ", math_verdict_name(item->verdict));
    }
    printf("\"once_us\": %.2f, \"each_us\": %.2f}\n", median_us(item->once_ns),
           median_us(item->each_ns));
}

static void print_times(const struct item *first, const char *what, int64_t *ns, size_t n) {
    qsort(ns, n, sizeof *ns, by_value);
    printf("%-12.*s %-28s %6zu %9.1f %9.1f %9.1f\n", SLICE_ARG(first->set), what, n,
           (double)ns[n / 2] / 1000, (double)ns[n * 99 / 100] / 1000, (double)ns[n - 1] / 1000);
}

// The times of one set: of all items that carry the name of `first`, which is the first of them.
static void print_set(const struct item *first, struct item *items, size_t n) {
    int64_t *once = memory_new(n, sizeof *once), *each = memory_new(n, sizeof *each);
    size_t n_timed = 0;
    for (size_t i = 0; i < n; i++) {
        if (!slice_equal(items[i].set, first->set) || (!items[i].parsed && !items[i].list))
            continue;
        median_us(items[i].once_ns);
        median_us(items[i].each_ns);
        once[n_timed] = items[i].once_ns[PASSES / 2];
        each[n_timed++] = items[i].each_ns[PASSES / 2];
    }
    if (n_timed > 0) {
        print_times(first, first->ids ? "strict" : "gold parsed before", once, n_timed);
        print_times(first, first->ids ? "parsed, strict and loose" : "gold parsed too", each,
                    n_timed);
    }
    free(once);
    free(each);
}

static void print_summary(struct item *items, size_t n) {
    printf("%-12s %-28s %6s %9s %9s %9s\n", "set", "timed", "checks", "median us", "p99 us",
           "max us");
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) seen = slice_equal(items[j].set, items[i].set);
        if (!seen) print_set(&items[i], items, n);
    }
}

int main(int argc, char **argv) {
    const bool rows = argc == 2 && strcmp(argv[1], "--rows") == 0;
    if (argc > 1 && !rows) {
        fprintf(stderr, "verify_bench [--rows] < requests\n");
        return 2;
    }
    struct arena arena = {0};
    size_t n;
    struct item *items = read_items(&arena, &n);
    const int64_t cost_ns = clock_cost_ns();
    for (int pass = 0; pass < PASSES; pass++)
        for (size_t i = 0; i < n; i++) {
            finish(&items[i]);
            time_item(&items[i], pass, cost_ns);
        }
    if (rows)
        for (size_t i = 0; i < n; i++) print_row(&items[i]);
    else
        print_summary(items, n);
    for (size_t i = 0; i < n; i++) finish(&items[i]);
    free(items);
    arena_clear(&arena);
    return 0;
}

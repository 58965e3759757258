// The summary in words and figures. A section is a table with a head; "table" and "md" differ in
// how its lines are drawn.
#include <math.h>
#include <stdio.h>

#include "protocol/base/json.h"
#include "verifiers/score/score_stats.h"

enum { MAX_CELLS = 5, N_ROW_BYTES = 64 };

struct table {
    struct buffer *out;
    bool md;
    int n_rows;
};

static void row(struct table *t, int n, const char *const *cells) {
    for (int i = 0; i < n; i++) {
        if (t->md)
            buffer_printf(t->out, "%s%s%s", i ? " " : "| ", cells[i], " |");
        else
            buffer_printf(t->out, i ? "  %12s" : "  %-24s", cells[i]);
    }
    buffer_add_text(t->out, "\n");
    if (t->md && t->n_rows == 0)
        for (int i = 0; i < n; i++) buffer_printf(t->out, "%s", i ? "---|" : "|---|");
    if (t->md && t->n_rows == 0) buffer_add_text(t->out, "\n");
    t->n_rows++;
}

static void head(struct table *t, int n, const char *const *cells) {
    if (t->out->len) buffer_add_text(t->out, "\n");
    t->n_rows = 0;
    row(t, n, cells);
}

static const char *number(char text[N_ROW_BYTES], double value) {
    snprintf(text, N_ROW_BYTES, isnan(value) ? "-" : "%.4f", value);
    return text;
}

static const char *count(char text[N_ROW_BYTES], uint64_t value) {
    snprintf(text, N_ROW_BYTES, "%llu", (unsigned long long)value);
    return text;
}

static void add_count(struct table *t, const char *name, uint64_t value) {
    char text[N_ROW_BYTES];
    row(t, 2, (const char *const[]){name, count(text, value)});
}

static void add_number(struct table *t, const char *name, double value) {
    char text[N_ROW_BYTES];
    row(t, 2, (const char *const[]){name, number(text, value)});
}

// 1, 2, 4, ... and the largest group.
static uint32_t next_k(uint32_t k, uint32_t largest) {
    return k == largest ? 0 : 2 * k < largest ? 2 * k : largest;
}

static void add_groups(struct table *t, const struct score_stats *s) {
    uint32_t largest = score_stats_largest_group(s);
    char cells[4][N_ROW_BYTES];
    if (largest < 2) return;
    head(t, 3, (const char *const[]){"by group", "value", "groups"});
    for (uint32_t k = 1; k; k = next_k(k, largest)) {
        double value;
        uint64_t n = score_stats_pass_at(s, k, &value);
        snprintf(cells[0], N_ROW_BYTES, "pass@%u", k);
        row(t, 3, (const char *const[]){cells[0], number(cells[1], value), count(cells[2], n)});
    }
    snprintf(cells[0], N_ROW_BYTES, "majority@%u", largest);
    row(t, 3,
        (const char *const[]){cells[0], number(cells[1], score_stats_majority(s)),
                              count(cells[2], s->n_groups)});
}

static void add_names(struct table *t, const char *what, const struct stats_names *names) {
    char cells[3][N_ROW_BYTES];
    if (names->n == 0) return;
    head(t, 4, (const char *const[]){what, "n", "mean", "right"});
    for (int i = 0; i < names->n; i++) {
        const struct stats_name *m = &names->list[i];
        row(t, 4,
            (const char *const[]){m->name, count(cells[0], m->n),
                                  number(cells[1], m->n ? m->sum / (double)m->n : NAN),
                                  count(cells[2], m->n_right)});
    }
}

static const char *status_name(int i) {
    return i == STATS_BAD_RECORD ? "bad record" : reward_status_name((enum reward_status)i);
}

static void add_labels(struct table *t, const struct score_stats *s) {
    char cells[2][N_ROW_BYTES];
    const uint64_t(*l)[2] = s->labels;
    uint64_t n = l[0][0] + l[0][1] + l[1][0] + l[1][1];
    if (n == 0) return;
    head(t, 3, (const char *const[]){"label", "graded wrong", "graded right"});
    for (int i = 0; i < 2; i++)
        row(t, 3,
            (const char *const[]){i ? "right" : "wrong", count(cells[0], l[i][0]),
                                  count(cells[1], l[i][1])});
    add_number(t, "agreement", (double)(l[0][0] + l[1][1]) / (double)n);
    for (int i = 0; i < s->n_disagreed; i++) {
        snprintf(cells[0], N_ROW_BYTES, "disagrees: record %llu",
                 (unsigned long long)s->disagreed[i].index);
        add_number(t, cells[0], s->disagreed[i].value);
    }
}

static void add_tables(struct table *t, const struct score_stats *s, double seconds) {
    char text[N_ROW_BYTES], error[N_ROW_BYTES];
    head(t, 2, (const char *const[]){"scored", "value"});
    add_count(t, "n", s->n);
    add_count(t, "without a value", s->n_bad);
    snprintf(text, sizeof text, "%s", isnan(s->mean) || !s->n_valued ? "-" : "");
    if (!*text) snprintf(text, sizeof text, "%.4f", s->mean);
    snprintf(error, sizeof error, "±%.4f", 1.96 * score_stats_error(s));
    row(t, 3, (const char *const[]){"mean (95%)", text, s->n_valued > 1 ? error : ""});
    add_number(t, "right", s->n_valued ? (double)s->n_right / (double)s->n_valued : (double)NAN);
    if (s->n_groups) add_count(t, "groups", s->n_groups);
    add_number(t, "seconds", seconds);
    head(t, 2, (const char *const[]){"status", "n"});
    for (int i = STATS_N_STATUS - 1; i >= 0; i--)
        if (s->by_status[i]) add_count(t, status_name(i), s->by_status[i]);
    add_groups(t, s);
    add_names(t, "data set", &s->datasets);
    add_names(t, "rule", &s->rules);
    add_labels(t, s);
    if (s->n_slowest == 0) return;
    head(t, 2, (const char *const[]){"slowest", "us"});
    for (int i = 0; i < s->n_slowest; i++) {
        snprintf(text, sizeof text, "record %llu", (unsigned long long)s->slowest[i].index);
        add_count(t, text, (uint64_t)s->slowest[i].value);
    }
}

// ---- JSON

static void json_number(struct buffer *out, const char *name, double value) {
    buffer_printf(out, "%s\"%s\":", out->ptr[out->len - 1] == '{' ? "" : ",", name);
    json_add_double(out, value);
}

static void json_count(struct buffer *out, const char *name, uint64_t value) {
    buffer_printf(out, "%s\"%s\":%llu", out->ptr[out->len - 1] == '{' ? "" : ",", name,
                  (unsigned long long)value);
}

static void json_names(struct buffer *out, const char *what, const struct stats_names *names) {
    buffer_printf(out, ",\"%s\":{", what);
    for (int i = 0; i < names->n; i++) {
        const struct stats_name *m = &names->list[i];
        if (i) buffer_add_text(out, ",");
        json_add_string(out, slice_of(m->name));
        buffer_add_text(out, ":{");
        json_count(out, "n", m->n);
        json_number(out, "mean", m->n ? m->sum / (double)m->n : (double)NAN);
        json_count(out, "right", m->n_right);
        buffer_add_text(out, "}");
    }
    buffer_add_text(out, "}");
}

static void json_listed(struct buffer *out, const char *name, const char *value,
                        const struct stats_listed *list, int n) {
    buffer_printf(out, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        buffer_add_text(out, i ? ",{" : "{");
        json_count(out, "index", list[i].index);
        json_number(out, value, list[i].value);
        buffer_add_text(out, "}");
    }
    buffer_add_text(out, "]");
}

static void json_groups(struct buffer *out, const struct score_stats *s) {
    uint32_t largest = score_stats_largest_group(s);
    char name[N_ROW_BYTES];
    buffer_add_text(out, ",\"pass_at\":{");
    for (uint32_t k = 1; k && largest; k = next_k(k, largest)) {
        double value;
        score_stats_pass_at(s, k, &value);
        snprintf(name, sizeof name, "%u", k);
        json_number(out, name, value);
    }
    buffer_add_text(out, "}");
    json_number(out, "majority", score_stats_majority(s));
    json_count(out, "majority_of", largest);
}

static void add_json(struct buffer *out, const struct score_stats *s, double seconds) {
    buffer_add_text(out, "{");
    json_count(out, "n", s->n);
    json_count(out, "n_valued", s->n_valued);
    json_count(out, "n_bad", s->n_bad);
    json_number(out, "mean", s->n_valued ? s->mean : (double)NAN);
    double half = s->n_valued > 1 ? 1.96 * score_stats_error(s) : (double)NAN;
    json_number(out, "mean_low", s->mean - half);
    json_number(out, "mean_high", s->mean + half);
    json_number(out, "right", s->n_valued ? (double)s->n_right / (double)s->n_valued : (double)NAN);
    json_count(out, "groups", s->n_groups);
    json_groups(out, s);
    buffer_add_text(out, ",\"status\":{");
    for (int i = STATS_N_STATUS - 1; i >= 0; i--)
        if (s->by_status[i])
            json_count(out, i == STATS_BAD_RECORD ? "bad_record" : status_name(i), s->by_status[i]);
    buffer_add_text(out, "}");
    json_names(out, "datasets", &s->datasets);
    json_names(out, "rules", &s->rules);
    const uint64_t(*l)[2] = s->labels;
    uint64_t n = l[0][0] + l[0][1] + l[1][0] + l[1][1];
    if (n) {
        buffer_add_text(out, ",\"labels\":{");
        json_count(out, "n", n);
        json_number(out, "agreement", (double)(l[0][0] + l[1][1]) / (double)n);
        json_count(out, "right_graded_wrong", l[1][0]);
        json_count(out, "wrong_graded_right", l[0][1]);
        buffer_add_text(out, "}");
        json_listed(out, "disagreements", "value", s->disagreed, s->n_disagreed);
    }
    json_listed(out, "slowest", "us", s->slowest, s->n_slowest);
    json_number(out, "seconds", seconds);
    buffer_add_text(out, "}\n");
}

void score_summary(const struct score_stats *s, const char *form, double seconds,
                   struct buffer *out) {
    struct table t = {.out = out, .md = strcmp(form, "md") == 0};
    if (strcmp(form, "json") == 0)
        add_json(out, s, seconds);
    else
        add_tables(&t, s, seconds);
}

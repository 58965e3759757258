#include "worker/session/prompts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// One line of input: refused, or a group whose samples come back in any order.
struct group {
    struct slice text;
    uint64_t line; // from 0
    char *refusal; // output line, NULL: a good one
    int n_samples, n_left;
    struct sample **samples; // (n_samples) that are back, while the group is in flight
};

struct prompts {
    struct port port;
    struct prompts_options options;
    struct group *groups;
    size_t n_groups;
    size_t next_in, next_out; // the next group to start, and to write
    struct buffer line;
    struct prompts_counts counts;
};

static bool is_blank(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (!strchr(" \t\r", s.ptr[i]) || !s.ptr[i]) return false;
    return true;
}

static struct slice take_line(struct slice *rest) {
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct slice line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t used = line.len + (end != NULL);
    rest->ptr += used;
    rest->len -= used;
    return line;
}

// The id to answer under: the line's own where it can be read, else its number.
static void add_id(struct buffer *out, const struct group *g) {
    struct arena arena = {0};
    const struct json *id = json_get(json_parse(g->text, &arena, NULL), "id");
    if (id)
        buffer_add_slice(out, id->text);
    else
        buffer_printf(out, "%llu", (unsigned long long)g->line);
    arena_clear(&arena);
}

static struct task *parse(const struct prompts *p, const struct group *g, struct error *err) {
    struct task *t = request_from_line(p->options.requests, g->text, g->line, err);
    if (t && engine_check(p->options.engine, t, err)) task_free(&t);
    return t;
}

static void check(struct prompts *p, struct group *g) {
    struct error err = {0};
    struct task *t = parse(p, g, &err);
    if (t) {
        g->n_samples = g->n_left = t->n_samples;
        p->counts.n_samples += (uint64_t)t->n_samples;
        task_free(&t);
        return;
    }
    struct buffer id = {0}, line = {0};
    add_id(&id, g);
    error_prefix(&err, "Line %llu (counted from 0)", (unsigned long long)g->line);
    output_refused(&line, buffer_slice(&id), err.text);
    buffer_free(&id);
    g->refusal = line.ptr;
    p->counts.n_bad++;
}

static void free_group(struct group *g) {
    for (int i = 0; g->samples && i < g->n_samples; i++) sample_free(&g->samples[i]);
    free(g->samples);
    g->samples = NULL;
    free(g->refusal);
    g->refusal = NULL;
}

void prompts_close(struct prompts **prompts) {
    struct prompts *p = *prompts;
    if (!p) return;
    for (size_t i = p->next_out; i < p->n_groups; i++) free_group(&p->groups[i]);
    free(p->groups);
    buffer_free(&p->line);
    free(p);
    *prompts = NULL;
}

struct prompts_counts prompts_counts(const struct prompts *p) {
    return p->counts;
}

static int write_line(struct prompts *p, const char *line, size_t len, struct error *err) {
    if (fwrite(line, 1, len, p->options.output) == len) return 0;
    return error_set(err, ERROR_IO, "The output could not be written: %s.", strerror(errno));
}

static int write_group(struct prompts *p, struct group *g, struct error *err) {
    if (g->refusal) return write_line(p, g->refusal, strlen(g->refusal), err);
    for (int i = 0; i < g->n_samples; i++) {
        buffer_clear(&p->line);
        output_sample(&p->line, g->samples[i], &p->options.shape);
        if (write_line(p, p->line.ptr, p->line.len, err)) return -1;
    }
    return 0;
}

// Writes the groups that are whole, as far as all before them are written.
static int write_ready(struct prompts *p, struct error *err) {
    size_t before = p->next_out;
    while (p->next_out < p->n_groups) {
        struct group *g = &p->groups[p->next_out];
        if (!g->refusal && g->n_left) break;
        if (write_group(p, g, err)) return -1;
        free_group(g);
        p->next_out++;
    }
    if (before == p->next_out) return 0;
    if (fflush(p->options.output) == 0) return 0;
    return error_set(err, ERROR_IO, "The output could not be written: %s.", strerror(errno));
}

static int receive(const struct port *port, struct engine *e, enum port_state *state,
                   struct error *err) {
    struct prompts *p = port->self;
    while (p->next_in < p->n_groups && p->next_in < p->next_out + (size_t)p->options.max_ahead) {
        struct group *g = &p->groups[p->next_in++];
        if (g->refusal) continue;
        struct task *t = parse(p, g, err);
        if (!t) return -1;
        g->samples = memory_new((size_t)g->n_samples, sizeof *g->samples);
        t->port = port;
        engine_add(e, t);
    }
    if (p->next_in == p->n_groups) *state = PORT_DONE;
    return write_ready(p, err);
}

static struct group *group_of(struct prompts *p, uint64_t line) {
    size_t low = p->next_out, high = p->next_in;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (p->groups[middle].line <= line)
            low = middle;
        else
            high = middle;
    }
    assert(low < high && p->groups[low].line == line);
    return &p->groups[low];
}

static int deliver(const struct port *port, struct sample *list, struct error *err) {
    struct prompts *p = port->self;
    for (struct sample *s = list, *next; s; s = next) {
        next = s->next;
        struct group *g = group_of(p, s->task->serial);
        g->samples[s->index] = s;
        g->n_left--;
        p->counts.n_done++;
        p->counts.n_tokens += (uint64_t)s->n_tokens;
        p->counts.n_failed += s->finish == FINISH_ERROR;
    }
    return write_ready(p, err);
}

struct prompts *prompts_open(struct slice text, const struct prompts_options *options) {
    struct prompts *p = memory_new(1, sizeof *p);
    p->options = *options;
    p->port = (struct port){.self = p, .fd = -1, .receive = receive, .deliver = deliver};
    size_t capacity = 0;
    for (uint64_t line = 0; text.len; line++) {
        struct group g = {.text = take_line(&text), .line = line};
        if (is_blank(g.text)) continue;
        if (p->n_groups == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            p->groups = memory_resize(p->groups, capacity, sizeof *p->groups);
        }
        check(p, &g);
        p->groups[p->n_groups++] = g;
    }
    p->counts.n_groups = p->n_groups;
    return p;
}

const struct port *prompts_port(const struct prompts *p) {
    return &p->port;
}

// The parent: input to batches, batches to workers, rows to the output, in input order.
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/hash.h"
#include "protocol/base/signals.h"
#include "verifiers/score/score_file.h"
#include "verifiers/score/score_grader.h"
#include "verifiers/score/score_output.h"
#include "verifiers/score/score_source.h"
#include "verifiers/score/score_stats.h"
#include "verifiers/score/score_workers.h"

enum {
    POLL_MS = 200,
    PROGRESS_MS = 1000,
    READS_A_TURN = 16,
};

struct run {
    const struct score_options *options;
    struct score_source *source;
    struct score_golds golds;
    struct score_workers *workers;
    struct score_output *output;
    struct score_stats stats;
    struct arena arena; // of one batch's accounts
    enum score_format format;
    struct score_batch *building;
    struct score_batch **window; // (max_window) outstanding batches from window[at] on, in order
    int max_window, n_window, at;
    uint64_t n_batches, next_index, n_errors;
    bool input_failed, stopped, ended;
    struct error input_error;
    enum score_status status; // where a failure came from
    int signals;              // signalfd
    int64_t started_ms, shown_ms;
    bool terminal;
};

struct score_options score_options_defaults(void) {
    return (struct score_options){.format = "auto",
                                  .n_workers = 1,
                                  .max_errors = -1,
                                  .n_shards = 1,
                                  .only = -1,
                                  .summary = "table",
                                  .progress = "auto",
                                  .version = ""};
}

// ---- input

static void add_item(struct run *r, const struct score_line *line) {
    struct score_batch *b = r->building;
    if (!b) {
        b = r->building = memory_new(1, sizeof *b);
        b->number = r->n_batches++;
        b->file = line->file;
        b->suspect = -1;
    }
    const struct score_item item = {line->index, line->line, (uint32_t)line->text.len,
                                    line->too_long};
    buffer_add(&b->records, &item, sizeof item);
    buffer_add_slice(&b->records, line->text);
    b->n_records++;
    b->next_index = line->index + 1;
}

static void submit(struct run *r) {
    struct score_batch *b = r->building;
    if (!b) return;
    r->building = NULL;
    b->format = r->format == SCORE_AUTO ? SCORE_JSONL : r->format;
    r->window[(r->at + r->n_window++) % r->max_window] = b;
    score_workers_submit(r->workers, b);
}

static bool is_full(const struct run *r) {
    const struct score_batch *b = r->building;
    uint32_t most = r->options->n_externals ? SCORE_SLOW_BATCH_RECORDS : SCORE_BATCH_RECORDS;
    return b && (b->records.len >= SCORE_BATCH_BYTES || b->n_records >= most);
}

static void take_line(struct run *r, const struct score_line *line) {
    const struct score_options *o = r->options;
    if (r->format == SCORE_AUTO) {
        const char *why;
        r->format = score_format_detect(line->text, &why);
        if (r->format != SCORE_AUTO)
            fprintf(stderr, "stampede score: The format is %s (%s).\n",
                    score_format_name(r->format), why);
    }
    if (line->index < r->next_index || line->index % (uint64_t)o->n_shards != (uint64_t)o->shard ||
        (o->only >= 0 && line->index != (uint64_t)o->only))
        return;
    if (r->building && r->building->file != line->file) submit(r);
    add_item(r, line);
}

// Reads and deals out as long as there is work for someone. `readable`: stdin has something.
static void fill(struct run *r, bool readable) {
    struct score_line line;
    for (int reads = 0; r->n_window + 1 < r->max_window && score_workers_hungry(r->workers);) {
        if (is_full(r)) {
            submit(r);
        } else if (score_source_line(r->source, &line)) {
            take_line(r, &line);
        } else if (score_source_ended(r->source)) {
            submit(r);
            return;
        } else if ((score_source_fd(r->source) >= 0 && !readable) || reads++ == READS_A_TURN) {
            return;
        } else {
            readable = false;
            if (score_source_read(r->source, &r->input_error)) r->input_failed = true;
        }
    }
}

// ---- output

// Keeps the first `n` accounts of a batch and their rows.
static void cut(struct score_batch *b, struct score_accounts *a, uint32_t n) {
    size_t text_len = 0, dropped = (a->n_stats - n) * sizeof *a->stats;
    uint32_t n_rows = 0;
    for (uint32_t i = 0; i < n; i++) n_rows += (a->stats[i].flags & SCORE_ROW_WRITTEN) != 0;
    for (; n_rows > 0; n_rows--) {
        const char *end = memchr(b->reply.ptr + text_len, '\n', b->text_len - text_len);
        text_len = end ? (size_t)(end - b->reply.ptr) + 1 : b->text_len;
    }
    memmove(b->reply.ptr + text_len, b->reply.ptr + b->text_len, b->reply.len - b->text_len);
    b->reply.len -= b->text_len - text_len + dropped;
    b->text_len = text_len;
    memcpy(b->reply.ptr + text_len + sizeof n, &n, sizeof n); // n_strings, n_stats, ...
    b->next_index = a->stats[n - 1].index + 1;
    a->n_stats = n;
}

// Counts bad records, and stops behind the one that is too many, with all of its rows.
static void count_errors(struct run *r, struct score_batch *b, struct score_accounts *a) {
    const struct score_options *o = r->options;
    const int64_t limit = o->on_error == SCORE_STOP ? 0 : o->max_errors;
    const struct score_stat *stats = a->stats;
    uint32_t end;
    for (uint32_t i = 0; i < a->n_stats && !r->stopped; i = end) {
        bool bad = false;
        for (end = i; end < a->n_stats && stats[end].index == stats[i].index; end++)
            bad = bad || stats[end].flags & SCORE_ROW_ERROR;
        r->n_errors += bad;
        if (limit < 0 || r->n_errors <= (uint64_t)limit) continue;
        r->stopped = true;
        if (!o->explain) cut(b, a, end);
    }
}

static int write_batch(struct run *r, struct score_batch *b, struct error *err) {
    struct score_accounts accounts;
    struct slice meta = {b->reply.ptr + b->text_len, b->reply.len - b->text_len};
    if (score_accounts_read(meta, &r->arena, &accounts)) {
        r->status = SCORE_INTERNAL;
        return error_set(err, ERROR_INTERNAL, "A worker's account of a batch is damaged.");
    }
    count_errors(r, b, &accounts);
    score_stats_add(&r->stats, &accounts);
    struct slice text = {b->reply.ptr, b->text_len};
    meta = (struct slice){b->reply.ptr + b->text_len, b->reply.len - b->text_len};
    r->next_index = b->next_index;
    if (score_output_write(r->output, text, meta, b->next_index, err) == 0) return 0;
    r->status = SCORE_OUTPUT;
    return -1;
}

static int write_done(struct run *r, struct error *err) {
    int failed = 0;
    while (r->n_window > 0 && r->window[r->at]->done && !failed && !r->stopped) {
        failed = write_batch(r, r->window[r->at], err);
        score_batch_free(&r->window[r->at]);
        r->at = (r->at + 1) % r->max_window;
        r->n_window--;
        arena_reset(&r->arena);
    }
    return failed;
}

// ---- progress

static void show(struct run *r, bool last) {
    const bool json = strcmp(r->options->progress, "json") == 0;
    int64_t now = clock_ms();
    if ((!json && !r->terminal) || (!last && now - r->shown_ms < PROGRESS_MS)) return;
    r->shown_ms = now;
    double seconds = (double)(now - r->started_ms + 1) / 1000;
    double mb = (double)score_source_bytes_read(r->source) / 1e6;
    double total = (double)score_source_bytes_total(r->source) / 1e6;
    double rate = (double)r->stats.n / seconds;
    if (json) {
        fprintf(stderr,
                "{\"records\":%llu,\"records_per_s\":%.1f,\"mb\":%.1f,\"mb_of\":%.1f,"
                "\"seconds\":%.1f}\n",
                (unsigned long long)r->stats.n, rate, mb, total, seconds);
        return;
    }
    fprintf(stderr, "\r%llu records, %.0f/s, %.1f MB/s, mean %.4f", (unsigned long long)r->stats.n,
            rate, mb / seconds, r->stats.mean);
    if (total > 0 && mb > 0)
        fprintf(stderr, ", %.0f s left ", total > mb ? (total - mb) / (mb / seconds) : 0.0);
    if (last) fputc('\n', stderr);
}

// ---- the loop

static int wait_for(struct run *r, bool *readable, struct error *err) {
    struct pollfd fds[3];
    struct signalfd_siginfo info;
    int n = 0, input = -1;
    const int signals = n++;
    fds[signals] = (struct pollfd){.fd = r->signals, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = score_workers_fd(r->workers), .events = POLLIN};
    bool room = r->n_window + 1 < r->max_window && score_workers_hungry(r->workers);
    int wait = POLL_MS;
    if (room && !score_source_ended(r->source)) {
        int fd = score_source_fd(r->source);
        if (fd >= 0) {
            fds[input = n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        } else {
            wait = 0;
        }
    }
    int found = poll(fds, (nfds_t)n, wait);
    *readable = found > 0 && input >= 0 && fds[input].revents != 0;
    // A slow pipe: what came so far is graded rather than kept waiting.
    if (found == 0 && input >= 0 && room) submit(r);
    if (found <= 0 || !fds[signals].revents) return 0;
    if (read(r->signals, &info, sizeof info) != (ssize_t)sizeof info) return 0;
    r->status = info.ssi_signo == SIGINT   ? SCORE_INTERRUPTED
                : info.ssi_signo == SIGHUP ? SCORE_HUNG_UP
                                           : SCORE_TERMINATED;
    return error_set(err, ERROR_UNAVAILABLE,
                     score_output_part(r->output)
                         ? "Interrupted before record %llu; --resume goes on there."
                         : "Interrupted before record %llu.",
                     (unsigned long long)r->next_index);
}

static int loop(struct run *r, struct error *err) {
    bool readable = false;
    while (!r->stopped) {
        fill(r, readable);
        if (r->n_window == 0 && !r->building && score_source_ended(r->source)) {
            struct score_line line;
            if (!score_source_line(r->source, &line)) break;
            take_line(r, &line);
        }
        if (score_workers_step(r->workers, err)) {
            r->status = SCORE_INTERNAL;
            return -1;
        }
        if (write_done(r, err)) return -1;
        show(r, false);
        if (wait_for(r, &readable, err)) return -1;
    }
    return 0;
}

// ---- beginning and end

static void hash_text(uint64_t *hash, const char *text) {
    uint64_t parts[2] = {*hash, text ? hash_bytes(text, strlen(text)) : 1};
    *hash = hash_bytes(parts, sizeof parts);
}

static struct score_identity identity_of(const struct run *r) {
    const struct score_options *o = r->options;
    struct score_identity id = {.input = score_source_identity(r->source),
                                .shard = (uint64_t)o->shard,
                                .n_shards = (uint64_t)o->n_shards};
    const char *const texts[] = {o->format, o->map,       o->verifier, o->reward,
                                 o->label,  o->tokenizer, o->version};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) hash_text(&id.options, texts[i]);
    for (int i = 0; i < o->n_externals; i++) {
        hash_text(&id.options, o->externals[i].name);
        for (int j = 0; j < o->externals[i].n_args; j++)
            hash_text(&id.options, o->externals[i].argv[j]);
    }
    uint64_t numbers[] = {id.options, r->golds.identity, (uint64_t)o->on_error, (uint64_t)o->only};
    id.options = hash_bytes(numbers, sizeof numbers);
    return id;
}

static int take_over(void *self, const struct score_block *block, struct error *err) {
    struct run *r = self;
    struct score_accounts accounts;
    if (block->kind != SCORE_BLOCK_ROWS) return 0;
    int failed = score_accounts_read(block->payload, &r->arena, &accounts);
    if (!failed) score_stats_add(&r->stats, &accounts);
    arena_reset(&r->arena);
    return failed ? error_set(err, ERROR_INPUT, "The journal holds damaged accounts.") : 0;
}

static int open_input(struct run *r, struct error *err) {
    const struct score_options *o = r->options;
    r->status = SCORE_USAGE;
    if (score_format_parse(o->format, &r->format, err)) return -1;
    struct score_grader *check = score_grader_open(o, NULL, true, err);
    if (!check) return -1;
    score_grader_free(&check);
    r->status = SCORE_INPUT;
    r->source = score_source_open(o->inputs, o->n_inputs, err);
    if (!r->source) return -1;
    return o->golds ? score_golds_open(o->golds, &r->golds, err) : 0;
}

static int open_rest(struct run *r, struct error *err) {
    const struct score_options *o = r->options;
    struct score_identity id = identity_of(r);
    r->output =
        score_output_open(o->output, o->resume, &id, take_over, r, &r->next_index, &r->ended, err);
    if (!r->output) {
        r->status = err->code == ERROR_USAGE ? SCORE_USAGE : SCORE_OUTPUT;
        return -1;
    }
    if (r->ended) return 0;
    r->status = SCORE_INTERNAL;
    r->max_window = 4 * o->n_workers + 4;
    r->window = memory_new((size_t)r->max_window, sizeof(struct score_batch *));
    r->workers = score_workers_open(o, o->golds ? &r->golds : NULL, err);
    return r->workers ? 0 : -1;
}

static int finish(struct run *r, struct error *err) {
    if (r->input_failed) {
        *err = r->input_error;
        r->status = SCORE_INPUT;
        return -1;
    }
    r->status = SCORE_BAD_RECORDS;
    if (r->stopped) {
        const char *part = score_output_part(r->output);
        return error_set(err, ERROR_INPUT,
                         "It was stopped behind record %llu, at %llu bad records%s%s.",
                         (unsigned long long)(r->next_index - 1), (unsigned long long)r->n_errors,
                         part ? "; its rows are in " : "", part ? part : "");
    }
    if (!r->ended && score_output_finish(r->output, score_source_n_records(r->source), err)) {
        r->status = SCORE_OUTPUT;
        return -1;
    }
    if (r->stats.n_bad)
        return error_set(err, ERROR_INPUT, "%llu of %llu have no value; see the output.",
                         (unsigned long long)r->stats.n_bad, (unsigned long long)r->stats.n);
    r->status = SCORE_DONE;
    return 0;
}

int score_report(const struct score_options *o, const struct score_stats *stats, double seconds,
                 struct error *err) {
    struct buffer text = {0};
    FILE *to = strcmp(o->output, "-") == 0 ? stderr : stdout;
    int failed = 0;
    if (strcmp(o->summary, "off") != 0) {
        score_summary(stats, o->summary, seconds, &text);
        if (fwrite(text.ptr, 1, text.len, to) < text.len || fflush(to))
            failed =
                error_set(err, ERROR_IO, "The summary cannot be written: %s.", strerror(errno));
    }
    if (o->histogram && !failed) {
        buffer_clear(&text);
        score_histogram(stats, &text);
        FILE *file = fopen(o->histogram, "w");
        bool bad = !file || fwrite(text.ptr, 1, text.len, file) < text.len;
        if (file && fclose(file)) bad = true;
        if (bad)
            failed = error_set(err, ERROR_IO, "--histogram %s cannot be written: %s.", o->histogram,
                               strerror(errno));
    }
    buffer_free(&text);
    return failed;
}

static void close_run(struct run *r) {
    score_workers_free(&r->workers);
    for (int i = 0; i < r->n_window; i++) score_batch_free(&r->window[(r->at + i) % r->max_window]);
    score_batch_free(&r->building);
    free(r->window);
    score_output_free(&r->output);
    score_source_free(&r->source);
    score_golds_close(&r->golds);
    score_stats_free(&r->stats);
    arena_clear(&r->arena);
}

static int run(struct run *r, struct error *err) {
    r->started_ms = r->shown_ms = clock_ms();
    r->terminal = strcmp(r->options->progress, "auto") == 0 && isatty(STDERR_FILENO);
    if (open_input(r, err) || open_rest(r, err)) return -1;
    int failed = r->ended ? 0 : loop(r, err);
    show(r, true);
    if (!failed) failed = finish(r, err);
    struct error other;
    double seconds = (double)(clock_ms() - r->started_ms) / 1000;
    if (r->status <= SCORE_INPUT && score_report(r->options, &r->stats, seconds, &other)) {
        *err = other;
        r->status = SCORE_OUTPUT;
        return -1;
    }
    return failed;
}

enum score_status score_run(const struct score_options *options, struct error *err) {
    struct run r = {.options = options, .golds = {.index_fd = -1, .rows_fd = -1}};
    sigset_t mask, old;
    *err = (struct error){0};
    signals_that_end(&mask);
    sigprocmask(SIG_BLOCK, &mask, &old);
    score_file_ignore_signals();
    r.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    run(&r, err);
    close_run(&r);
    if (r.signals >= 0) close(r.signals);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return r.status;
}

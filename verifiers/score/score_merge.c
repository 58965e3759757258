// Shards' outputs into one, by index.
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "protocol/base/memory.h"
#include "verifiers/score/score_file.h"
#include "verifiers/score/score_journal.h"
#include "verifiers/score/score_part.h"
#include "verifiers/score/score_source.h"
#include "verifiers/score/score_stats.h"

struct shard {
    const char *path;
    struct score_source *source;
    struct score_line line; // the next row
    bool has_row, begun;
    uint64_t index, sample;
    bool has_journal, ended; // the journal vouches for the rows, and says that they are all
    struct score_identity identity;
    uint64_t n_records; // of the whole input, if ended
};

struct merge {
    const struct score_options *options;
    struct shard *shards; // (n)
    int n;
    bool journaled; // all of them are
    struct score_stats stats;
    struct arena arena;
    FILE *file;             // NULL: closed
    struct score_part part; // path NULL: the output is a stream
    uint64_t next;          // index
    uint64_t n_bad;
};

static int take_block(void *self, const struct score_block *block, struct error *err) {
    struct shard *s = self;
    (void)err;
    s->ended = block->kind == SCORE_BLOCK_END;
    s->n_records = block->next_index;
    return 0;
}

struct taking {
    struct merge *merge;
};

static int take_accounts(void *self, const struct score_block *block, struct error *err) {
    struct merge *m = ((struct taking *)self)->merge;
    struct score_accounts accounts;
    if (block->kind != SCORE_BLOCK_ROWS) return 0;
    int failed = score_accounts_read(block->payload, &m->arena, &accounts);
    if (!failed) score_stats_add(&m->stats, &accounts);
    arena_reset(&m->arena);
    return failed ? error_set(err, ERROR_INPUT, "A journal holds damaged accounts.") : 0;
}

// The next row of a shard: its index must grow by whole strides.
static int next_row(struct merge *m, struct shard *s, struct error *err) {
    uint64_t old_index = s->index, old_sample = s->sample;
    s->has_row = false;
    while (!score_source_line(s->source, &s->line)) {
        if (score_source_ended(s->source)) return 0;
        if (score_source_read(s->source, err)) return -1;
    }
    const struct json *row = json_parse_shallow(s->line.text, &m->arena, NULL);
    const struct json *sample = json_get(row, "sample");
    s->sample = 0;
    int bad = json_uint64(json_get(row, "index"), &s->index) ||
              (sample && json_uint64(sample, &s->sample));
    const struct json *reward = json_get(row, "reward");
    if (!reward || reward->type == JSON_NULL || json_get(row, "error")) m->n_bad++;
    arena_reset(&m->arena);
    if (bad)
        return error_set(err, ERROR_INPUT, "Line %llu of %s is no row of an output.",
                         (unsigned long long)s->line.line, s->path);
    if (s->begun && s->index == old_index && s->sample > old_sample) {
        s->has_row = true;
        return 0;
    }
    uint64_t n = (uint64_t)m->n;
    if (s->begun && s->index <= old_index)
        return error_set(err, ERROR_INPUT, "%s has index %llu behind %llu: they overlap.", s->path,
                         (unsigned long long)s->index, (unsigned long long)old_index);
    if (s->begun && s->index % n != old_index % n)
        return error_set(err, ERROR_INPUT,
                         "%s has index %llu and index %llu, which are not of one shard of %llu.",
                         s->path, (unsigned long long)old_index, (unsigned long long)s->index,
                         (unsigned long long)n);
    s->begun = s->has_row = true;
    return 0;
}

static uint64_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int open_shard(struct merge *m, struct shard *s, struct error *err) {
    uint64_t n_good;
    struct error why;
    s->has_journal = score_journal_read(s->path, size_of(s->path), &s->identity, &n_good,
                                        take_block, s, &why) == 0;
    if (s->has_journal && !s->ended)
        return error_set(err, ERROR_INPUT, "%s is not finished, as its journal says.", s->path);
    m->journaled = m->journaled && s->has_journal;
    s->source = score_source_open(&s->path, 1, err);
    if (!s->source) return -1;
    return next_row(m, s, err);
}

// What the journals say of the shards must make a whole.
static int check_journals(struct merge *m, struct error *err) {
    for (int i = 0; i < m->n; i++) {
        const struct shard *a = &m->shards[i];
        if (!a->has_journal) continue;
        if (a->identity.n_shards != (uint64_t)m->n)
            return error_set(err, ERROR_INPUT, "%s is a shard of %llu, but %d are given.", a->path,
                             (unsigned long long)a->identity.n_shards, m->n);
        for (int j = 0; j < i; j++) {
            const struct shard *b = &m->shards[j];
            if (!b->has_journal) continue;
            if (a->identity.shard == b->identity.shard)
                return error_set(err, ERROR_INPUT, "%s and %s are both shard %llu: they overlap.",
                                 b->path, a->path, (unsigned long long)a->identity.shard);
            if (a->identity.input != b->identity.input ||
                a->identity.options != b->identity.options || a->n_records != b->n_records)
                return error_set(err, ERROR_INPUT,
                                 "%s and %s are of different inputs, options or versions.", b->path,
                                 a->path);
        }
    }
    return 0;
}

static int write_row(struct merge *m, struct shard *s, struct error *err) {
    // Records that were skipped leave gaps, which the journals vouch for.
    if (s->index > m->next && !m->journaled)
        return error_set(err, ERROR_INPUT, "No shard has index %llu: there is a gap.",
                         (unsigned long long)m->next);
    if (s->index < m->next - (m->next > 0 && s->sample > 0))
        return error_set(err, ERROR_INPUT, "%s has index %llu, which was there before.", s->path,
                         (unsigned long long)s->index);
    m->next = s->index + 1;
    if (fwrite(s->line.text.ptr, 1, s->line.text.len, m->file) < s->line.text.len ||
        putc('\n', m->file) == EOF)
        return error_set(err, ERROR_IO, "The output %s cannot be written: %s.", m->options->output,
                         strerror(errno));
    return next_row(m, s, err);
}

static struct shard *lowest(struct merge *m) {
    struct shard *low = NULL;
    for (int i = 0; i < m->n; i++) {
        struct shard *s = &m->shards[i];
        if (s->has_row && (!low || s->index < low->index)) low = s;
    }
    return low;
}

static int merge_rows(struct merge *m, struct error *err) {
    int failed = 0;
    for (struct shard *s; !failed && (s = lowest(m));) failed = write_row(m, s, err);
    if (failed || !m->journaled) return failed;
    for (int i = 0; i < m->n && !failed; i++) {
        struct score_identity unused;
        struct taking taking = {m};
        uint64_t n_good;
        const char *path = m->shards[i].path;
        failed =
            score_journal_read(path, size_of(path), &unused, &n_good, take_accounts, &taking, err);
    }
    return failed;
}

// The part keeps its descriptor, and with it the lock, until it has its name.
static int open_output(struct merge *m, struct error *err) {
    const char *path = m->options->output;
    if (!score_file_is_stream(path)) {
        if (score_part_open(path, &m->part, err)) return -1;
        if (ftruncate(m->part.fd, 0) == 0) m->file = fdopen(dup(m->part.fd), "wb");
    } else {
        m->file = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
    }
    if (m->file) return 0;
    return error_set(err, ERROR_IO, "The output %s cannot be opened: %s.", path, strerror(errno));
}

// A journal of what had the name before says nothing of the merged rows.
static void remove_journal(const char *path) {
    char *journal = memory_new(strlen(path) + sizeof ".journal", 1);
    stpcpy(stpcpy(journal, path), ".journal");
    unlink(journal);
    free(journal);
}

static int close_output(struct merge *m, struct error *err) {
    FILE *file = m->file;
    m->file = NULL;
    if (!file) return 0;
    if (file == stdout ? fflush(file) : fclose(file))
        return error_set(err, ERROR_IO, "The output %s cannot be written: %s.", m->options->output,
                         strerror(errno));
    return 0;
}

static int finish(struct merge *m, struct error *err) {
    if (close_output(m, err)) return -1;
    if (!m->part.path) return 0;
    remove_journal(m->options->output);
    return score_part_finish(&m->part, err);
}

static enum score_status merge(struct merge *m, struct error *err) {
    for (int i = 0; i < m->n; i++) {
        m->shards[i].path = m->options->inputs[i];
        if (open_shard(m, &m->shards[i], err)) return SCORE_INPUT;
    }
    if (check_journals(m, err)) return SCORE_INPUT;
    if (open_output(m, err)) return err->code == ERROR_USAGE ? SCORE_USAGE : SCORE_OUTPUT;
    if (merge_rows(m, err)) return err->code == ERROR_INPUT ? SCORE_INPUT : SCORE_OUTPUT;
    if (finish(m, err)) return SCORE_OUTPUT;
    if (!m->journaled)
        fprintf(stderr, "stampede score: Without all journals there is no summary.\n");
    else if (score_report(m->options, &m->stats, 0, err))
        return SCORE_OUTPUT;
    return m->n_bad ? SCORE_BAD_RECORDS : SCORE_DONE;
}

enum score_status score_merge(const struct score_options *options, struct error *err) {
    struct merge m = {.options = options, .n = options->n_inputs, .journaled = true, .part.fd = -1};
    *err = (struct error){0};
    score_file_ignore_signals();
    m.shards = memory_new((size_t)m.n, sizeof *m.shards);
    enum score_status status = merge(&m, err);
    struct error other;
    close_output(&m, &other);
    score_part_close(&m.part, true);
    for (int i = 0; i < m.n; i++) score_source_free(&m.shards[i].source);
    free(m.shards);
    score_stats_free(&m.stats);
    arena_clear(&m.arena);
    return status;
}

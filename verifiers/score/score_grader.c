#include "verifiers/score/score_grader.h"

#include <math.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/base/hash.h"
#include "verifiers/score/score_gold.h"
#include "verifiers/score/score_row.h"
#include "verifiers/verifier.h"

enum { N_CACHED = 256, POLL_MS = 200, POLL_RESULTS = 64 };

struct score_grader {
    const struct score_options *options;
    const struct score_golds *golds;
    struct score_map map;
    struct verifier_pool *pool;           // NULL: no external verifier
    struct reward_spec *cached[N_CACHED]; // by the hash of their text
    struct arena arena;                   // of a record
    struct arena batch_arena;             // of rows that wait for external verifiers
    struct buffer spec_text, text;        // text: rows of the batch
    struct score_meta meta;
    struct score_row *waiting; // (n_waiting) rows in order
    size_t n_waiting, max_waiting;
    struct score_page *page;
};

// ---- reward specs

static bool holds_not_finite(struct slice json) {
    struct arena arena = {0};
    const bool holds = !json_parse(json, &arena, NULL) && json_parse_python(json, &arena, NULL);
    arena_clear(&arena);
    return holds;
}

static struct reward_spec *get_spec(struct score_grader *g, struct slice json, struct error *err) {
    const struct score_options *o = g->options;
    struct reward_spec **at = &g->cached[hash_bytes(json.ptr, json.len) % N_CACHED];
    if (*at && slice_equal(reward_spec_json(*at), json)) return *at;
    struct reward_spec *spec = reward_spec_parse(json, o->externals, o->n_externals, err);
    if (!spec && holds_not_finite(json))
        error_set(err, ERROR_SPEC, "reward: it holds NaN or Infinity; JSON has no such number.");
    if (!spec) return NULL;
    reward_spec_free(at);
    return *at = spec;
}

// A record's own reward, then the joined row's, then its own gold, then --reward.
// *bad_spec: there is a spec and it is wrong.
static struct reward_spec *find_spec(struct score_grader *g, const struct score_record *record,
                                     enum score_format format, bool *bad_spec, struct error *err) {
    const struct json *reward = record->values[SCORE_REWARD], *gold = NULL;
    bool joined = false;
    *bad_spec = true;
    if (!reward && g->golds && record->values[SCORE_ID])
        joined = score_golds_find(g->golds, score_key(record->values[SCORE_ID], &g->arena),
                                  &g->arena, &gold, &reward);
    if (reward) return get_spec(g, reward->text, err);
    if (!gold) gold = record->values[SCORE_GOLD];
    if (g->options->verifier && score_gold_exists(record, gold, g->options->verifier)) {
        if (score_gold_reward(record, gold, format, &g->map, g->options->verifier, &g->arena,
                              &g->spec_text, err) == 0)
            return get_spec(g, buffer_slice(&g->spec_text), err);
        *bad_spec = err->code == ERROR_SPEC;
        return NULL;
    }
    if (g->options->reward) return get_spec(g, slice_of(g->options->reward), err);
    *bad_spec = false;
    if (gold)
        error_set(err, ERROR_INPUT, "It has a gold; --verifier NAME was expected with it.");
    else if (g->golds && !joined)
        error_set(err, ERROR_INPUT, "It has no reward, and no row of --golds has its id.");
    else
        error_set(err, ERROR_INPUT,
                  "It has neither a reward nor a gold; --golds or --reward was expected.");
    return NULL;
}

// ---- rows

static void emit(struct score_grader *g, struct score_row *row) {
    const bool skip = g->options->on_error == SCORE_SKIP && (row->stat.flags & SCORE_ROW_ERROR);
    if (!skip) {
        row->stat.flags |= SCORE_ROW_WRITTEN;
        if (!g->options->explain) score_row_write(row, &g->text);
    }
    score_meta_add(&g->meta, &row->stat);
    reward_free(&row->reward);
}

// Rows wait behind one whose reward is not there yet.
static void add_row(struct score_grader *g, struct score_row *row, bool waits) {
    if (!waits && g->n_waiting == 0) {
        emit(g, row);
        return;
    }
    if (row->id.ptr) row->id.ptr = arena_copy(&g->batch_arena, row->id.ptr, row->id.len);
    if (row->error) row->error = arena_copy(&g->batch_arena, row->error, strlen(row->error));
    if (g->n_waiting == g->max_waiting) {
        g->max_waiting = g->max_waiting ? 2 * g->max_waiting : 64;
        g->waiting = memory_resize(g->waiting, g->max_waiting, sizeof *g->waiting);
    }
    g->waiting[g->n_waiting++] = *row;
}

static void collect(struct score_grader *g) {
    while (g->pool && verifier_pool_n_pending(g->pool) > 0) {
        struct verifier_result results[POLL_RESULTS];
        int n = verifier_pool_poll(g->pool, POLL_MS, results, POLL_RESULTS);
        atomic_fetch_add(&g->page->beat, 1);
        for (int i = 0; i < n; i++) {
            struct score_row *row = &g->waiting[results[i].ticket];
            row->reward = results[i].reward;
            row->stat.us = (uint32_t)clock_us() - row->stat.us;
            score_row_judge(row);
        }
    }
}

static void flush(struct score_grader *g) {
    collect(g);
    for (size_t i = 0; i < g->n_waiting; i++) emit(g, &g->waiting[i]);
    g->n_waiting = 0;
    arena_reset(&g->batch_arena);
}

// ---- records

static void add_error(struct score_grader *g, struct score_row *row, const struct score_item *item,
                      struct slice file, struct error *err) {
    error_prefix(err, "Line %llu of %.*s", (unsigned long long)item->line, SLICE_ARG(file));
    row->error = err->text;
    if (err->code == ERROR_SPEC) row->stat.status = REWARD_BAD_SPEC;
    score_row_judge(row);
    if (g->options->explain) score_explain(row, NULL, (struct slice){NULL, 0}, NULL, &g->text);
    add_row(g, row, false);
}

static const char *finish_reason(const struct score_record *record, int i, struct arena *arena) {
    if (record->completions.finish_reasons) return record->completions.finish_reasons[i];
    const struct json *value = record->values[SCORE_FINISH_REASON];
    return value && value->type == JSON_STRING ? json_string(value, arena).ptr : NULL;
}

static void grade_sample(struct score_grader *g, struct reward_spec *spec,
                         const struct score_record *record, int i, struct score_row *row) {
    const struct json *prompt = record->values[SCORE_PROMPT];
    struct verifier_sample sample = {.completion = record->completions.texts[i],
                                     .n_tokens = record->completions.n_tokens};
    struct score_stat *stat = &row->stat;
    stat->n_bytes = (uint32_t)sample.completion.len;
    sample.finish_reason = finish_reason(record, i, &g->arena);
    if (spec->n_external > 0 && g->pool) {
        if (prompt && prompt->type == JSON_STRING) sample.prompt = json_string(prompt, &g->arena);
        stat->us = (uint32_t)clock_us();
        verifier_pool_submit(g->pool, g->n_waiting, spec, &sample);
        add_row(g, row, true);
        if (!g->options->explain) return;
        collect(g);
        score_explain(&g->waiting[0], spec, sample.completion, NULL, &g->text);
        flush(g);
        return;
    }
    struct verifier_outcome outcomes[REWARD_MAX_TERMS];
    char room[128];
    int64_t start = clock_us();
    reward_grade_terms(spec, &sample, outcomes);
    row->reward = reward_compose(spec, outcomes);
    stat->us = (uint32_t)(clock_us() - start);
    score_row_judge(row);
    stat->answer = score_answer_hash(outcomes, spec->n_terms);
    stat->rule = score_meta_string(&g->meta, score_rule(row->reward, outcomes, room));
    if (g->options->explain) score_explain(row, spec, sample.completion, outcomes, &g->text);
    add_row(g, row, false);
}

static void describe(struct score_grader *g, const struct score_record *record,
                     struct score_row *row) {
    const struct json *dataset = record->values[SCORE_DATASET];
    const struct json *label = record->values[SCORE_LABEL];
    const struct json *id = record->values[SCORE_ID];
    const int64_t n_tokens = record->completions.n_tokens;
    // One that holds NaN would make the row no JSON.
    const bool nested = id && (id->type == JSON_ARRAY || id->type == JSON_OBJECT);
    if (id && (!nested || json_parse(id->text, &g->arena, NULL))) row->id = id->text;
    if (dataset) row->stat.dataset = score_meta_string(&g->meta, score_key(dataset, &g->arena));
    if (record->group.len)
        row->stat.group = hash_bytes(record->group.ptr, record->group.len) | 1;
    else if (record->completions.n > 1)
        row->stat.group = hash_bytes(&row->stat.index, sizeof row->stat.index) | 1;
    row->stat.n_tokens = (int32_t)(n_tokens < INT32_MAX ? n_tokens : INT32_MAX);
    int right = label ? score_label(label, &g->arena) : -1;
    if (right >= 0) row->stat.flags |= SCORE_ROW_LABELLED;
    if (right > 0) row->stat.flags |= SCORE_ROW_LABEL;
}

static void grade_record(struct score_grader *g, const struct score_item *item, struct slice text,
                         enum score_format format, struct slice file,
                         const struct score_mark *mark) {
    struct error err = {0};
    struct score_record record = {0};
    struct score_row row = {.sample = -1,
                            .stat = {.index = item->index, .n_tokens = -1, .status = REWARD_OK}};
    bool bad_spec;
    if (mark) {
        row.stat.status = (uint8_t)mark->status;
        if (mark->unread || score_record_read(text, format, &g->map, &g->arena, &record, NULL))
            row.unread = true;
        describe(g, &record, &row);
        error_set(&err, ERROR_INTERNAL, "The grader %s on this record.",
                  mark->status == REWARD_CRASH ? "died twice" : "did not come to an end");
        add_error(g, &row, item, file, &err);
        return;
    }
    if (item->too_long) {
        row.unread = true;
        error_set(&err, ERROR_INPUT, "It is longer than %d bytes.", SCORE_MAX_LINE_BYTES);
        add_error(g, &row, item, file, &err);
        return;
    }
    int failed = score_record_read(text, format, &g->map, &g->arena, &record, &err);
    row.unread = failed && !record.values[SCORE_ID];
    describe(g, &record, &row);
    struct reward_spec *spec = failed ? NULL : find_spec(g, &record, format, &bad_spec, &err);
    if (!spec) {
        if (!failed && bad_spec) err.code = ERROR_SPEC;
        add_error(g, &row, item, file, &err);
        return;
    }
    reward_spec_hold(spec);
    for (int i = 0; i < record.completions.n; i++) {
        struct score_row each = row;
        if (record.completions.n > 1) each.sample = i;
        if (record.completions.texts[i].ptr) {
            grade_sample(g, spec, &record, i, &each);
        } else {
            error_set(&err, ERROR_INPUT, "Completion %d is null; a text was expected.", i);
            add_error(g, &each, item, file, &err);
        }
    }
    reward_spec_free(&spec);
}

static const struct score_mark *find_mark(const struct score_mark *marks, uint32_t n, uint32_t at) {
    for (uint32_t i = 0; i < n; i++)
        if (marks[i].ordinal == at) return &marks[i];
    return NULL;
}

int score_grader_batch(struct score_grader *g, const struct score_request *request,
                       struct slice body, struct score_page *page, struct buffer *out,
                       struct error *err) {
    struct slice file = {body.ptr, request->file_len};
    size_t marks_len = request->n_marks * sizeof(struct score_mark);
    if (body.len != request->file_len + marks_len + request->records_len)
        return error_set(err, ERROR_INTERNAL, "A batch has another length than it says.");
    struct score_mark *marks = memory_new(request->n_marks, sizeof *marks);
    if (marks_len) memcpy(marks, body.ptr + file.len, marks_len);
    const char *at = body.ptr + file.len + marks_len;
    g->page = page;
    buffer_clear(&g->text);
    score_meta_clear(&g->meta);
    for (uint32_t i = 0; i < request->n_records; i++) {
        struct score_item item;
        memcpy(&item, at, sizeof item);
        atomic_store(&page->ordinal, i);
        atomic_fetch_add(&page->beat, 1);
        grade_record(g, &item, (struct slice){at + sizeof item, item.len},
                     (enum score_format)request->format, file,
                     find_mark(marks, request->n_marks, i));
        at += sizeof item + item.len;
        arena_reset(&g->arena);
    }
    flush(g);
    atomic_store(&page->ordinal, UINT32_MAX);
    free(marks);
    struct score_reply reply = {.batch = request->batch, .text_len = g->text.len};
    const size_t head = out->len;
    buffer_add(out, &reply, sizeof reply);
    buffer_add_slice(out, buffer_slice(&g->text));
    score_meta_write(&g->meta, out);
    reply.meta_len = out->len - head - sizeof reply - reply.text_len;
    memcpy(out->ptr + head, &reply, sizeof reply);
    return 0;
}

// ---- opening

static bool is_known(const struct score_options *o, const char *name) {
    for (int i = 0; i < o->n_externals; i++)
        if (strcmp(o->externals[i].name, name) == 0) return true;
    return verifier_find(slice_of(name)) != NULL;
}

static int check(struct score_grader *g, struct error *err) {
    const struct score_options *o = g->options;
    g->map.decode = o->decode;
    g->map.decode_self = o->decode_self;
    if (o->map && score_map_parse(o->map, &g->map, err)) return -1;
    if (o->label && score_path_parse(slice_of(o->label), &g->map.fields[SCORE_LABEL], err))
        return error_prefix(err, "--label");
    if (o->verifier && !is_known(o, o->verifier))
        return error_set(err, ERROR_USAGE,
                         "--verifier is '%s', which is not known; expected a built-in verifier or "
                         "NAME=COMMAND.",
                         o->verifier);
    if (o->reward && !get_spec(g, slice_of(o->reward), err)) {
        error_prefix(err, "--reward");
        err->code = ERROR_USAGE;
        return -1;
    }
    return 0;
}

struct score_grader *score_grader_open(const struct score_options *options,
                                       const struct score_golds *golds, bool check_only,
                                       struct error *err) {
    struct score_grader *g = memory_new(1, sizeof *g);
    g->options = options;
    g->golds = golds;
    int failed = check(g, err);
    if (!failed) failed = verifier_commands_check(options->externals, options->n_externals, err);
    if (!failed && !check_only && options->n_externals > 0) {
        const struct verifier_pool_options pool = {.program = options->program,
                                                   .n_children = 1,
                                                   .externals = options->externals,
                                                   .n_externals = options->n_externals,
                                                   .network = options->verifier_network};
        g->pool = verifier_pool_open(&pool, err);
        failed = g->pool ? 0 : -1;
    }
    if (failed) score_grader_free(&g);
    return g;
}

void score_grader_free(struct score_grader **grader) {
    struct score_grader *g = *grader;
    *grader = NULL;
    if (!g) return;
    verifier_pool_free(&g->pool);
    for (int i = 0; i < N_CACHED; i++) reward_spec_free(&g->cached[i]);
    for (size_t i = 0; i < g->n_waiting; i++) reward_free(&g->waiting[i].reward);
    free(g->waiting);
    arena_clear(&g->arena);
    arena_clear(&g->batch_arena);
    buffer_free(&g->spec_text);
    buffer_free(&g->text);
    score_meta_free(&g->meta);
    free(g);
}

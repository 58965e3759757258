#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/memory.h"
#include "verifiers/score.h"
#include "worker/commands/commands.h"
#include "worker/commands/flags.h"
#include "worker/load/tokenizer.h"
#include "worker/version.h"

enum { MAX_FLAGS = 40 };

struct flags {
    struct score_options options;
    struct flag_list inputs, verifiers;
    struct verifier_command *externals;
    const char *on_error, *shard;
    int max_errors, n_workers;
    uint64_t only;
    bool merge;
    struct tokenizer *tokenizer;
};

static const char usage[] =
    "stampede score FILES...|- --output FILE|- [flags]\n"
    "stampede score --merge OUT_0 ... OUT_N-1 --output FILE|-\n"
    "Grades stored completions: JSON lines, plain, .gz or .zst, one row out for each, in order.\n"
    "Exit status: 0 all scored, 1 finished with bad records, 2 usage, 3 input unreadable,\n"
    "4 output failed, 129, 130 or 143 interrupted (--resume goes on).";

static int fill_table(struct flags *f, struct flag *table) {
    struct score_options *o = &f->options;
    const struct flag flags[] = {
        {FLAG_HEADING, "", "", "Files:", NULL, 0, 0},
        {FLAG_TEXT, "--output", "FILE",
         "rows, one JSON object a line, in FILE.part until they are complete; - is stdout",
         &o->output, 0, 0},
        {FLAG_TEXT, "--format", "NAME",
         "auto, jsonl, verl, trl, areal, open-instruct, lm-eval or openai-batch (default auto)",
         &o->format, 0, 0},
        {FLAG_TEXT, "--map", "FIELD=PATH,...",
         "where a record has completion, messages, gold, reward, id, prompt, group, dataset, "
         "label, n_tokens, finish_reason",
         &o->map, 0, 0},
        {FLAG_TEXT, "--golds", "FILE", "rows with id (or custom_id) and gold or reward, joined",
         &o->golds, 0, 0},
        {FLAG_TEXT, "--tokenizer", "DIR", "of a checkpoint, for records that hold token ids only",
         &o->tokenizer, 0, 0},
        {FLAG_HEADING, "", "", "Grading:", NULL, 0, 0},
        {FLAG_LIST, "--verifier", "NAME", "of records with a gold; or NAME=COMMAND, a program",
         &f->verifiers, 0, 0},
        {FLAG_SWITCH, "--verifier-network", NULL, "such programs may open sockets",
         &o->verifier_network, 0, 0},
        {FLAG_TEXT, "--reward", "JSON", "of records that have none of their own", &o->reward, 0, 0},
        {FLAG_INT, "-j", "N", "processes (default: one a CPU)", &f->n_workers, 1,
         SCORE_MAX_WORKERS},
        {FLAG_TEXT, "--on-error", "WHAT",
         "of a bad record: emit a row with error, skip it, or stop; what was stopped stays in "
         "FILE.part (default emit)",
         &f->on_error, 0, 0},
        {FLAG_INT, "--max-errors", "N", "bad records before it stops (default any number)",
         &f->max_errors, 0, 2147483647},
        {FLAG_HEADING, "", "", "Parts of a run:", NULL, 0, 0},
        {FLAG_TEXT, "--shard", "I/N", "records whose index mod N is I, from 0", &f->shard, 0, 0},
        {FLAG_SWITCH, "--merge", NULL, "joins the outputs of all shards; refuses gaps and overlaps",
         &f->merge, 0, 0},
        {FLAG_SWITCH, "--resume", NULL, "go on behind the last row that FILE.journal has",
         &o->resume, 0, 0},
        {FLAG_UINT64, "--record", "I", "the record with this index alone", &f->only, 0, 0},
        {FLAG_HEADING, "", "", "What is told:", NULL, 0, 0},
        {FLAG_TEXT, "--summary", "FORM", "table, md, json or off (default table)", &o->summary, 0,
         0},
        {FLAG_TEXT, "--histogram", "FILE", "rewards and lengths as an SVG picture", &o->histogram,
         0, 0},
        {FLAG_TEXT, "--label", "FIELD", "path of a record's own verdict: counts agreement",
         &o->label, 0, 0},
        {FLAG_SWITCH, "--explain", NULL,
         "in place of rows: what was extracted, how it was read, what decided", &o->explain, 0, 0},
        {FLAG_TEXT, "--progress", "WHEN", "auto, never or json, to stderr (default auto)",
         &o->progress, 0, 0},
    };
    memcpy(table, flags, sizeof flags);
    return (int)(sizeof flags / sizeof flags[0]);
}

static int one_of(const char *flag, const char *value, const char *const *list, const char *names,
                  int *at, struct error *err) {
    for (int i = 0; list[i]; i++)
        if (strcmp(value, list[i]) == 0) {
            if (at) *at = i;
            return 0;
        }
    return error_set(err, ERROR_USAGE, "%s is '%s'; expected %s.", flag, value, names);
}

static int read_shard(struct flags *f, struct error *err) {
    char *end = NULL;
    long shard = f->shard ? strtol(f->shard, &end, 10) : 0;
    long n = f->shard && *end == '/' && end != f->shard ? strtol(end + 1, &end, 10) : 0;
    if (!f->shard) return 0;
    if (*end || n < 1 || n > 1000000 || shard < 0 || shard >= n)
        return error_set(err, ERROR_USAGE, "--shard is '%s'; expected I/N with I from 0 to N - 1.",
                         f->shard);
    f->options.shard = (int)shard;
    f->options.n_shards = (int)n;
    return 0;
}

// NAME is for records with a gold; with programs only, the single one is.
static int read_verifiers(struct flags *f, struct error *err) {
    struct score_options *o = &f->options;
    f->externals = memory_new((size_t)f->verifiers.n, sizeof *f->externals);
    o->externals = f->externals;
    for (int i = 0; i < f->verifiers.n; i++) {
        const char *text = f->verifiers.values[i];
        if (strchr(text, '=')) {
            if (verifier_command_parse(text, &f->externals[o->n_externals], err)) return -1;
            o->n_externals++;
        } else if (o->verifier) {
            return error_set(err, ERROR_USAGE,
                             "--verifier names both %s and %s; expected one for golds.",
                             o->verifier, text);
        } else {
            o->verifier = text;
        }
    }
    if (!o->verifier && o->n_externals == 1) o->verifier = o->externals[0].name;
    return 0;
}

// Without the special tokens that ended the text, as a sample's text is.
static void decode(void *self, const int32_t *ids, size_t n, struct buffer *out) {
    const struct tokenizer *tokenizer = self;
    while (n > 0 && tokenizer_is_special(tokenizer, ids[n - 1])) n--;
    tokenizer_decode(tokenizer, ids, n, out);
}

static int read_tokenizer(struct flags *f, struct error *err) {
    if (!f->options.tokenizer) return 0;
    f->tokenizer = tokenizer_load(f->options.tokenizer, err);
    f->options.decode = decode;
    f->options.decode_self = f->tokenizer;
    return f->tokenizer ? 0 : -1;
}

static bool is_same_file(const char *a, const char *b) {
    struct stat x, y;
    if (strcmp(a, b) == 0) return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_ino == y.st_ino &&
           x.st_dev == y.st_dev;
}

// What is read may be none of what is written.
static int check_input(const char *output, const char *input, struct error *err) {
    static const char *const WRITTEN[] = {"", ".part", ".journal"};
    if (strcmp(output, "-") == 0) return 0;
    for (size_t i = 0; i < sizeof WRITTEN / sizeof *WRITTEN; i++) {
        char *path = memory_new(strlen(output) + strlen(WRITTEN[i]) + 1, 1);
        stpcpy(stpcpy(path, output), WRITTEN[i]);
        const bool same = is_same_file(path, input);
        free(path);
        if (same)
            return error_set(err, ERROR_USAGE, "--output %s%s is an input too.", output,
                             WRITTEN[i]);
    }
    return 0;
}

static int check(struct flags *f, struct error *err) {
    static const char *const SUMMARIES[] = {"table", "md", "json", "off", NULL};
    static const char *const PROGRESS[] = {"auto", "never", "json", NULL};
    static const char *const ON_ERROR[] = {"emit", "skip", "stop", NULL};
    struct score_options *o = &f->options;
    int on_error = 0;
    o->inputs = f->inputs.values;
    o->n_inputs = f->inputs.n;
    if (f->inputs.n == 0)
        return error_set(err, ERROR_USAGE, "No input is given; expected FILES or - for stdin.");
    if (!o->output && o->explain) o->output = "-";
    if (!o->output) return error_set(err, ERROR_USAGE, "--output is missing; expected a file.");
    for (int i = 0; i < f->inputs.n; i++)
        if (check_input(o->output, f->inputs.values[i], err)) return -1;
    if (o->golds && check_input(o->output, o->golds, err)) return -1;
    if (!o->summary) o->summary = o->explain ? "off" : "table";
    if (one_of("--summary", o->summary, SUMMARIES, "table, md, json or off", NULL, err) ||
        one_of("--progress", o->progress, PROGRESS, "auto, never or json", NULL, err) ||
        one_of("--on-error", f->on_error, ON_ERROR, "emit, skip or stop", &on_error, err))
        return -1;
    o->on_error = (enum score_on_error)on_error;
    o->max_errors = f->max_errors;
    o->only = f->only == UINT64_MAX ? -1 : (int64_t)f->only;
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (n_cpus > 64) n_cpus = 64;
    o->n_workers = f->n_workers ? f->n_workers : n_cpus > 0 ? (int)n_cpus : 1;
    return read_shard(f, err) || read_verifiers(f, err) || read_tokenizer(f, err) ? -1 : 0;
}

// -j8 is -j=8, as make and xargs have it.
static void spell_out_j(int argc, char **argv, char room[16]) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-j", 2) != 0 || strspn(argv[i] + 2, "0123456789") == 0) continue;
        if (strlen(argv[i]) > 8) continue;
        strcpy(stpcpy(room, "-j="), argv[i] + 2);
        argv[i] = room;
    }
}

static int score(int argc, char **argv, bool worker) {
    struct flags f = {.options = score_options_defaults(), .on_error = "emit", .max_errors = -1};
    struct flag table[MAX_FLAGS];
    struct error err = {0};
    char room[16];
    bool help = false;
    f.options.summary = NULL;
    f.options.version = version_text();
    f.only = UINT64_MAX;
    int n = fill_table(&f, table), status = 0;
    spell_out_j(argc, argv, room);
    int failed = flags_parse(table, n, argc, argv, &f.inputs, &help, &err);
    char **child = memory_new((size_t)argc + 1, sizeof *child);
    memcpy(child, argv, (size_t)argc * sizeof *child);
    child[0] = (char *)"score-worker";
    f.options.child_argv = child;
    if (failed || (!help && check(&f, &err)))
        status = SCORE_USAGE;
    else if (help)
        flags_print_help(stdout, usage, table, n);
    else if (worker)
        status = score_worker_main(&f.options);
    else
        status = (int)(f.merge ? score_merge(&f.options, &err) : score_run(&f.options, &err));
    if (err.text[0]) fprintf(stderr, "stampede score: %s\n", err.text);
    for (int i = 0; i < f.options.n_externals; i++) verifier_command_clear(&f.externals[i]);
    free(f.externals);
    tokenizer_free(&f.tokenizer);
    free(child);
    flag_list_free(&f.inputs);
    flag_list_free(&f.verifiers);
    return status;
}

int command_score(int argc, char **argv) {
    return score(argc, argv, false);
}

int command_score_worker(int argc, char **argv) {
    return score(argc, argv, true);
}

#include "worker/commands/setup.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/types/types.h"
#include "protocol/base/clock.h"
#include "protocol/base/hash.h"
#include "worker/commands/plan.h"
#include "worker/load/file.h"
#include "worker/load/gguf_tokenizer.h"

struct engine_flags engine_flags_defaults(void) {
    return (struct engine_flags){.device = "cpu",
                                 .math = "exact",
                                 .gemm = "own",
                                 .weights = "as-is",
                                 .kv_type = "f32",
                                 .max_rows = 64,
                                 .prefill_chunk = 512,
                                 .kv_bytes = 2ull << 30,
                                 .suspend_bytes = 512ull << 20,
                                 .draft_bytes = 64ull << 20,
                                 .draft = "auto"};
}

void engine_flags_add(struct engine_flags *f, struct flag *table, int *n) {
    const struct flag flags[] = {
        {FLAG_HEADING, "", "", "Engine:", NULL, 0, 0},
        {FLAG_TEXT, "--model", "PATH", "checkpoint directory, or GGUF file (of several the first)",
         &f->model, 0, 0},
        {FLAG_TEXT, "--device", "NAME", "cpu, cuda or cuda:INDEX (default cpu)", &f->device, 0, 0},
        {FLAG_TEXT, "--math", "MODE",
         "of the CPU's products: exact (float32), or bf16: activations rounded to bf16, for "
         "processors with AVX512-BF16 or ARM's BF16 (default exact)",
         &f->math, 0, 0},
        {FLAG_TEXT, "--gemm", "KIND",
         "own or cublas (default own): cuBLASLt multiplies for dense matrices in steps of 512 "
         "tokens or more where it gives the bits of our own kernels; device cuda",
         &f->gemm, 0, 0},
        {FLAG_INT, "--threads", "N", "threads of the CPU backend (default 0: one a core)",
         &f->n_threads, 0, 1024},
        {FLAG_INT, "--max-rows", "N", "samples that run at once (default 64)", &f->max_rows, 1,
         4096},
        {FLAG_INT, "--max-context", "N",
         "tokens of prompt and output (default 0: the model's, or what the KV memory holds)",
         &f->max_context, 0, 1 << 24},
        {FLAG_SIZE, "--kv-memory", "SIZE", "bytes of KV pages at most (default 2G)", &f->kv_bytes,
         0, 0},
        {FLAG_SIZE, "--suspend-memory", "SIZE", "host bytes for suspended rows (default 512M)",
         &f->suspend_bytes, 0, 0},
        {FLAG_TEXT, "--kv-type", "TYPE",
         "of KV: f32, bf16 (conv state too), f16 or q8_0 (default f32; device cuda: f32 or bf16)",
         &f->kv_type, 0, 0},
        {FLAG_INT, "--prefill-chunk", "N", "prompt tokens in one step (default 512)",
         &f->prefill_chunk, 1, 1 << 20},
        {FLAG_TEXT, "--draft", "K",
         "guess up to K tokens ahead, as many as pay (auto), or none (off); no bit depends on it "
         "(default auto)",
         &f->draft, 0, 0},
        {FLAG_SIZE, "--draft-memory", "SIZE", "bytes of texts that guesses come from (default 64M)",
         &f->draft_bytes, 0, 0},
        {FLAG_TEXT, "--weights", "TYPE",
         "as-is, f32, bf16, f16, q8_0, q4_0, q4_k, q5_k or q6_k (default as-is)", &f->weights, 0,
         0},
        {FLAG_TEXT, "--packed", "FILE",
         "weights as the CPU's products want them: mapped, and shared between processes, where the "
         "file belongs to the model and --weights; written where it does not",
         &f->packed, 0, 0},
        {FLAG_LIST, "--verifier", "NAME=CMD", "a program that grades; see verifiers/README.md",
         &f->verifiers, 0, 0},
        {FLAG_SWITCH, "--verifier-network", NULL, "such programs may open sockets",
         &f->verifier_network, 0, 0},
        {FLAG_SWITCH, "--no-verify", NULL, "check rewards, but do not grade", &f->no_verify, 0, 0},
        {FLAG_TEXT, "--log-level", "LEVEL", "error, warn, info or debug (default info)",
         &f->log_level, 0, 0},
        {FLAG_TEXT, "--log-format", "FORMAT", "text or json, to stderr (default text)",
         &f->log_format, 0, 0},
    };
    memcpy(table + *n, flags, sizeof flags);
    *n += (int)(sizeof flags / sizeof flags[0]);
}

int exit_status(const struct error *err) {
    switch (err->code) {
    case ERROR_USAGE:
        return 2;
    case ERROR_CONFIG:
    case ERROR_MEMORY:
        return 78;
    case ERROR_IO:
        return 74;
    case ERROR_UNAVAILABLE:
        return 69;
    case ERROR_INPUT:
        return 1;
    default:
        return 70;
    }
}

int command_run(const struct command *c, int argc, char **argv) {
    struct error err = {0};
    bool help;
    int status = 0;
    int failed = flags_parse(c->table, c->n_flags, argc, argv, NULL, &help, &err);
    if (!failed && help) {
        flags_print_help(stdout, c->usage, c->table, c->n_flags);
        return 0;
    }
    if (!failed) failed = c->run(c->flags, &status, &err);
    if (!failed) return status;
    fprintf(stderr, "stampede %s: %s\n", c->name, err.text);
    return exit_status(&err);
}

static int open_verifiers(struct setup *s, const struct engine_flags *f, struct error *err) {
    int n = f->verifiers.n;
    s->externals = memory_new((size_t)n, sizeof *s->externals);
    for (int i = 0; i < n; i++, s->n_externals++)
        if (verifier_command_parse(f->verifiers.values[i], &s->externals[i], err)) return -1;
    const struct verifier_pool_options options = {.n_children = 2,
                                                  .externals = s->externals,
                                                  .n_externals = s->n_externals,
                                                  .network = f->verifier_network};
    return verify_open(&s->verify, f->no_verify ? NULL : &options, err);
}

static int read_tokenizer(struct setup *s, struct error *err) {
    const char *path = s->checkpoint->path;
    const struct gguf *g = s->checkpoint->gguf;
    if (!(g ? gguf_has_tokenizer(g) : tokenizer_is_present(path))) return 0;
    s->tokenizer = g ? gguf_tokenizer(g, err) : tokenizer_load(path, err);
    if (!s->tokenizer) return g ? error_prefix(err, "%s", path) : -1;
    s->chat = g ? gguf_chat(g, s->tokenizer) : chat_load(path, err);
    return s->chat ? 0 : -1;
}

static int open_tokenizer(struct setup *s, struct error *err) {
    const char *path = s->checkpoint->path;
    if (read_tokenizer(s, err)) return -1;
    if (!s->tokenizer) return 0;
    if (chat_warning(s->chat))
        log_say(&s->log, LOG_WARN, "%s: prompts as messages are refused: %s", path,
                chat_warning(s->chat));
    int vocab = s->checkpoint->config.shape.vocab;
    if (tokenizer_n_ids(s->tokenizer) <= vocab) return 0;
    return error_set(err, ERROR_CONFIG,
                     "%s: the tokenizer has ids up to %d and the model's head %d rows.", path,
                     tokenizer_n_ids(s->tokenizer) - 1, vocab);
}

static bool has(const int32_t *ids, int n, int32_t id) {
    for (int i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

// The ids that end a text: config files', then the tokenizer's.
static int collect_end_ids(struct setup *s) {
    const struct model_config *c = &s->checkpoint->config;
    const int32_t *more = NULL;
    int n_more = s->tokenizer ? tokenizer_end_ids(s->tokenizer, &more) : 0;
    int n = c->n_end_ids;
    s->end_ids = memory_new((size_t)(n + n_more), sizeof *s->end_ids);
    memcpy(s->end_ids, c->end_ids, (size_t)n * sizeof *s->end_ids);
    for (int i = 0; i < n_more; i++)
        if (!has(s->end_ids, n, more[i])) s->end_ids[n++] = more[i];
    return n;
}

static uint64_t hash_file(const char *directory, const char *name) {
    struct buffer bytes = {0};
    char *path = file_join(directory, slice_of(name));
    int failed = file_read(path, 64u << 20, &bytes, NULL);
    uint64_t hash = failed ? 0 : hash_bytes(bytes.ptr, bytes.len);
    buffer_free(&bytes);
    free(path);
    return hash;
}

// What makes workers interchangeable but for numerics: the shape and the text <-> ids mapping.
static uint64_t fingerprint(const struct checkpoint *c) {
    if (c->gguf) return gguf_fingerprint(c->gguf);
    const char *directory = c->path;
    uint64_t both[2] = {hash_file(directory, "config.json"),
                        hash_file(directory, "tokenizer.json")};
    return hash_bytes(both, sizeof both);
}

static uint8_t *existing_ids(const struct tokenizer *t, int vocab) {
    if (!t) return NULL;
    uint8_t *exists = memory_new((size_t)vocab, 1);
    for (int i = 0; i < vocab; i++) exists[i] = tokenizer_has_id(t, i);
    return exists;
}

static int read_weights(struct setup *s, struct model *m, struct error *err) {
    const struct checkpoint_random random = {s->names, s->dtypes, 1};
    const struct weight_source source =
        s->checkpoint ? checkpoint_source(s->checkpoint) : checkpoint_random_source(&random);
    return m->ops->load(m->backend, &source, s->digests, err);
}

// Packed weights are a convenience: where they cannot be had or kept, the checkpoint serves.
static bool map_packed(struct setup *s, struct model *m, const char *path) {
    struct error why = {0};
    int status =
        m->ops->packed_map(m->backend, path, checkpoint_stamp(s->checkpoint), s->digests, &why);
    if (status < 0) log_say(&s->log, LOG_WARN, "--packed %s is not used: %s", path, why.text);
    if (status == 0) log_say(&s->log, LOG_INFO, "weights: mapped from %s", path);
    return status == 0;
}

static void keep_packed(struct setup *s, struct model *m, const char *path) {
    struct error why = {0};
    uint64_t stamp = checkpoint_stamp(s->checkpoint);
    if (m->ops->packed_keep(m->backend, path, stamp, s->digests, &why))
        log_say(&s->log, LOG_WARN, "--packed %s is not kept: %s", path, why.text);
    else
        map_packed(s, m, path); // so that the pages are shared with others
}

static int check_packed(const struct setup *s, const struct backend_ops *ops, const char *path,
                        struct error *err) {
    if (!path) return 0;
    if (!s->checkpoint)
        return error_set(err, ERROR_USAGE,
                         "--packed keeps a checkpoint's weights; expected --model.");
    if (s->checkpoint->master_dtypes)
        return error_set(err, ERROR_USAGE,
                         "--packed keeps no master; expected --packed or --master, not both.");
    if (ops->packed_map) return 0;
    return error_set(err, ERROR_USAGE, "--packed is for device cpu; device '%s' keeps no weights.",
                     ops->name);
}

// Weights that updates are of, and that a backend can make in a second place.
static int check_second_copy(const struct setup *s, const struct engine_flags *f,
                             const struct backend_ops *ops, struct error *err) {
    if (!f->second_copy) return 0;
    if (f->master)
        return error_set(err, ERROR_USAGE,
                         "--master has a second copy of the weights; expected --master or "
                         "--second-copy, not both.");
    if (!ops->remake)
        return error_set(err, ERROR_USAGE,
                         "--second-copy is for device cpu; device '%s' changes weights where they "
                         "lie.",
                         ops->name);
    for (int i = 0; i < s->names->n; i++)
        if (dtype_is_block(s->dtypes[i]))
            return error_set(err, ERROR_USAGE,
                             "--second-copy is for weights that are floats; blocks (%s) take "
                             "updates with --master, which has a second copy.",
                             dtype_name(s->dtypes[i]));
    return 0;
}

static int load_weights(struct setup *s, struct model *m, const char *packed, bool want_digests,
                        struct error *err) {
    int64_t bytes = 0, started_us = clock_us();
    if (want_digests || packed) s->digests = memory_new((size_t)s->names->n, sizeof *s->digests);
    bool is_mapped = packed && map_packed(s, m, packed);
    if (!is_mapped && read_weights(s, m, err)) return -1;
    double seconds = (double)(clock_us() - started_us) / 1e6;
    for (int i = 0; i < s->names->n; i++)
        bytes += (int64_t)type_size(s->dtypes[i], weight_n(&s->names->weights[i]));
    s->load_bytes_per_s = (double)bytes / (seconds > 1e-6 ? seconds : 1e-6);
    log_say(&s->log, LOG_INFO, "weights: %.3f GB loaded in %.2f s, %.2f GB/s", (double)bytes / 1e9,
            seconds, s->load_bytes_per_s / 1e9);
    for (int i = 0; s->digests && i < s->names->n; i++) m->digest += s->digests[i];
    if (packed && !is_mapped) keep_packed(s, m, packed);
    return 0;
}

// The path within the device that --math asks for. CUDA's products are of bf16 in any case.
static int apply_math(const struct engine_flags *f, const struct backend_ops *ops,
                      const char **path, struct error *err) {
    bool is_bf16 = strcmp(f->math, "bf16") == 0;
    if (!is_bf16 && strcmp(f->math, "exact") != 0)
        return error_set(err, ERROR_USAGE, "--math '%s' is not known; expected exact or bf16.",
                         f->math);
    if (!is_bf16 || strcmp(ops->name, "cpu") != 0) return 0;
    if (*path)
        return error_set(err, ERROR_USAGE,
                         "--math bf16 chooses the path itself; expected --device cpu, not '%s'.",
                         f->device);
    *path = "bf16";
    return 0;
}

enum { DEVICE_NAME_BYTES = 256 };

// The device's name with the word that stands for --gemm.
static int name_device(const struct engine_flags *f, char name[DEVICE_NAME_BYTES],
                       struct error *err) {
    bool is_cublas = strcmp(f->gemm, "cublas") == 0;
    if (!is_cublas && strcmp(f->gemm, "own") != 0)
        return error_set(err, ERROR_USAGE, "--gemm is '%s'; expected own or cublas.", f->gemm);
    if (is_cublas && strncmp(f->device, "cpu", 3) == 0)
        return error_set(err, ERROR_USAGE,
                         "--gemm cublas is for device cuda; device '%s' multiplies by itself.",
                         f->device);
    const char *word = !is_cublas ? "" : strchr(f->device, '/') ? ",cublas" : "/cublas";
    if (snprintf(name, DEVICE_NAME_BYTES, "%s%s", f->device, word) < DEVICE_NAME_BYTES) return 0;
    return error_set(err, ERROR_USAGE, "Device '%s' has too long a name.", f->device);
}

// A backend with its weights, as planned.
static int open_model(struct setup *s, const struct engine_flags *f, struct plan_memory *plan,
                      bool want_digests, struct model *m, struct error *err) {
    int device;
    const char *path;
    char name[DEVICE_NAME_BYTES], line[DEVICE_LINE_BYTES];
    if (name_device(f, name, err)) return -1;
    m->ops = kernels_find(name, &device, &path, err);
    if (!m->ops || apply_math(f, m->ops, &path, err)) return -1;
    if (check_packed(s, m->ops, f->packed, err) || check_second_copy(s, f, m->ops, err)) return -1;
    if (m->ops->describe(device, path, &s->device, err)) return -1;
    kernels_device_line(&s->device, line);
    log_say(&s->log, LOG_INFO, "device: %s", line);
    uint8_t *exists = existing_ids(s->tokenizer, m->shape.vocab);
    struct backend_options options = plan_options(plan, s->names, s->dtypes, f);
    options.id_exists = exists; // borrowed
    options.device = device;
    options.path = path;
    if (f->master) {
        options.master_dtypes = s->checkpoint->master_dtypes;
        options.staging_bytes = plan_staging(s->names, options.master_dtypes, f);
    }
    int failed = plan_backend(plan, m->ops, &options, s->names, err);
    if (!failed) {
        plan_log(plan, &s->log);
        s->staging_bytes = options.staging_bytes;
        memcpy(s->memory_bytes, plan->backend.bytes, sizeof s->memory_bytes);
        failed = m->ops->open(&options, &m->backend, err);
    }
    free(exists);
    return failed ? -1 : load_weights(s, m, f->packed, want_digests, err);
}

static void fill_requests(struct setup *s, const struct engine_flags *f) {
    const struct engine *e = &s->engine;
    s->requests = (struct request_context){.tokenizer = s->tokenizer,
                                           .chat = s->chat,
                                           .vocab = e->model.shape.vocab,
                                           .max_context = e->options.max_context,
                                           .has_moe = e->vocabulary.n_route_values > 0,
                                           .n_route_values = e->vocabulary.n_route_values,
                                           .externals = s->externals,
                                           .n_externals = s->n_externals,
                                           .no_verify = f->no_verify,
                                           .defaults = sampling_defaults()};
}

// Backend, weights and engine for s->names and s->dtypes; values are the checkpoint's, or random
// where there is none.
static int open_engine(struct setup *s, const struct engine_flags *f, bool want_digests,
                       struct error *err) {
    struct model model = {.shape = s->names->shape};
    struct plan_memory plan;
    if (plan_engine(&plan, &model.shape, f, err)) return -1;
    struct vocabulary vocabulary = {.tokenizer = s->tokenizer};
    if (s->checkpoint) vocabulary.n_end_ids = collect_end_ids(s);
    vocabulary.end_ids = s->end_ids;
    vocabulary.n_route_values = shape_n_moe(&model.shape) * model.shape.n_experts_used;
    if (open_model(s, f, &plan, want_digests, &model, err)) return model_close(&model), -1;
    if (engine_open(&s->engine, &model, &plan.engine, &vocabulary, err)) return -1;
    fill_requests(s, f);
    log_say(&s->log, LOG_INFO, "engine ready: %s, %d rows, context %d",
            s->engine.model.ops->numerics(s->engine.model.backend), f->max_rows,
            plan.engine.max_context);
    return 0;
}

static int open_all(struct setup *s, const struct engine_flags *f, bool want_digests,
                    struct error *err) {
    int types;
    if (!f->model)
        return error_set(err, ERROR_USAGE,
                         "--model is missing; expected a checkpoint directory or GGUF file.");
    if (checkpoint_types_parse(f->weights, &types, err)) return -1;
    if (open_verifiers(s, f, err)) return -1;
    if (checkpoint_open(f->model, types, &s->checkpoint, err)) return -1;
    s->names = s->checkpoint->names;
    if (f->master && checkpoint_keep_master(s->checkpoint, err)) return -1;
    s->dtypes = s->checkpoint->dtypes;
    s->update_dtypes = f->master ? s->checkpoint->master_dtypes : s->dtypes;
    if (open_tokenizer(s, err)) return -1;
    s->fingerprint = fingerprint(s->checkpoint);
    return open_engine(s, f, want_digests, err);
}

int setup_open(struct setup *s, const struct engine_flags *f, bool want_digests,
               struct error *err) {
    *s = (struct setup){0};
    if (log_parse(&s->log, f->log_level, f->log_format, err)) return -1;
    if (!open_all(s, f, want_digests, err)) return 0;
    setup_close(s);
    return -1;
}

int setup_open_synthetic(struct setup *s, const struct engine_flags *f, const char *name,
                         struct error *err) {
    *s = (struct setup){0};
    struct model_config config;
    int types;
    if (log_parse(&s->log, f->log_level, f->log_format, err)) return -1;
    if (config_synthetic(name, &config, err)) return -1;
    if (checkpoint_types_parse(f->weights, &types, err)) return -1;
    s->names = names_new(&config.shape);
    s->dtypes = memory_new((size_t)s->names->n, sizeof *s->dtypes);
    checkpoint_synthetic_dtypes(s->names, types, s->dtypes);
    s->update_dtypes = s->dtypes;
    if (!verify_open(&s->verify, NULL, err) && !open_engine(s, f, false, err)) return 0;
    setup_close(s);
    return -1;
}

void setup_close(struct setup *s) {
    engine_close(&s->engine);
    verify_close(&s->verify);
    chat_free(&s->chat);
    tokenizer_free(&s->tokenizer);
    if (!s->checkpoint) {
        names_free(&s->names);
        free(s->dtypes);
    }
    checkpoint_close(&s->checkpoint);
    for (int i = 0; i < s->n_externals; i++) verifier_command_clear(&s->externals[i]);
    free(s->externals);
    free(s->end_ids);
    free(s->digests);
    *s = (struct setup){0};
}

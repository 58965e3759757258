// stampede inspect: what a checkpoint is, what it holds and what it needs.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/types/types.h"
#include "protocol/base/buffer.h"
#include "protocol/base/json.h"
#include "protocol/base/json_member.h"
#include "worker/commands/commands.h"
#include "worker/commands/device_facts.h"
#include "worker/commands/flags.h"
#include "worker/commands/setup.h"
#include "worker/load/checkpoint.h"
#include "worker/load/file.h"
#include "worker/log.h"

enum { N_FLAGS = 6 };

static const char usage[] =
    "Usage: stampede inspect --model DIR|FILE.gguf [--weights TYPE] [--device NAME] [--json]\n"
    "       stampede inspect --device NAME [--json]\n"
    "\n"
    "Prints what a checkpoint is: family, shape, parameters, tensors by type, memory plan, "
    "digest.\n"
    "A directory with config.json but no weights is inspected too; its digest is absent.\n"
    "With --device it prints what the device is too: name, compute capability, clocks, memory, "
    "path.\n"
    "Exit status: 0 done, 2 bad usage, 74 I/O error, 78 bad configuration or checkpoint.\n";

struct options {
    const char *model, *device, *weights, *log_level, *log_format;
    int types;
    bool json, help;
};

// What is reported; sums over all tensors as the files store them.
struct report {
    const struct options *options;
    struct device_facts device;
    struct model_config config;
    bool has_weights;
    int n_tensors; // weights of the shape, one an expert
    int64_t n_parameters, n_active;
    int n_of_type[N_DTYPES];
    int64_t parameters_of_type[N_DTYPES];
    int64_t resident_bytes;
    char digest_dtype[CHECKPOINT_TYPES_BYTES];
    uint64_t digest;
};

static void make_flags(struct options *o, struct flag flags[N_FLAGS]) {
    const struct flag table[N_FLAGS] = {
        {FLAG_TEXT, "--model", "DIR|FILE", "checkpoint directory or GGUF file (LFM2, LFM2-MoE)",
         &o->model, 0, 0},
        {FLAG_TEXT, "--weights", "TYPE",
         "resident type for memory and digest, as of generate (default as-is)", &o->weights, 0, 0},
        {FLAG_TEXT, "--device", "NAME", "cpu, cuda or cuda:INDEX", &o->device, 0, 0},
        {FLAG_SWITCH, "--json", NULL, "one JSON object instead of text", &o->json, 0, 0},
        {FLAG_TEXT, "--log-level", "L", "error, warn, info or debug (default info)", &o->log_level,
         0, 0},
        {FLAG_TEXT, "--log-format", "F", "text or json, on stderr (default text)", &o->log_format,
         0, 0},
    };
    memcpy(flags, table, sizeof table);
}

static int parse_options(int argc, char **argv, struct options *o, struct error *err) {
    struct flag flags[N_FLAGS];
    struct log log = {LOG_INFO, false};
    make_flags(o, flags);
    if (flags_parse(flags, N_FLAGS, argc, argv, NULL, &o->help, err)) return -1;
    if (o->help) return 0;
    if (log_parse(&log, o->log_level, o->log_format, err)) return -1;
    if (checkpoint_types_parse(o->weights, &o->types, err)) return error_prefix(err, "--weights");
    if (o->model || o->device) return 0;
    return error_set(err, ERROR_USAGE, "Expected --model, a checkpoint's directory, or --device.");
}

static void count_resident(struct report *r, const struct names *names, const enum dtype *dtypes) {
    r->n_tensors = names->n;
    for (int i = 0; i < names->n; i++)
        r->resident_bytes += (int64_t)type_size(dtypes[i], weight_n(&names->weights[i]));
    checkpoint_dtype_name(names, dtypes, r->digest_dtype);
}

static int examine_weights(struct report *r, struct error *err) {
    struct checkpoint *c;
    if (checkpoint_open(r->options->model, r->options->types, &c, err)) return -1;
    r->config = c->config;
    for (int i = 0; i < c->names->n; i++) {
        r->n_of_type[c->tensors[i].dtype]++;
        r->parameters_of_type[c->tensors[i].dtype] += tensor_n(&c->tensors[i]);
    }
    count_resident(r, c->names, c->dtypes);
    int rc = checkpoint_digest(c, &r->digest, err);
    checkpoint_close(&c);
    return rc;
}

// Without weights the plan is for those which the configuration announces.
static void plan_weights(struct report *r) {
    int types = r->options->types;
    if (types == CHECKPOINT_AS_IS) types = (int)r->config.dtype;
    struct names *names = names_new(&r->config.shape);
    enum dtype *dtypes = memory_new((size_t)names->n, sizeof *dtypes);
    checkpoint_synthetic_dtypes(names, types, dtypes);
    count_resident(r, names, dtypes);
    free(dtypes);
    names_free(&names);
}

static int examine_device(struct report *r, struct error *err) {
    int index;
    const char *path;
    const struct backend_ops *ops = kernels_find(r->options->device, &index, &path, err);
    return ops ? ops->describe(index, path, &r->device, err) : -1;
}

static int examine(struct report *r, struct error *err) {
    if (r->options->device && examine_device(r, err)) return -1;
    if (!r->options->model) return 0;
    r->has_weights = file_exists(r->options->model) || safetensors_present(r->options->model);
    int failed =
        r->has_weights ? examine_weights(r, err) : config_load(r->options->model, &r->config, err);
    if (failed) return -1;
    r->n_parameters = config_n_parameters(&r->config.shape);
    r->n_active = config_n_active(&r->config.shape);
    if (!r->has_weights) plan_weights(r);
    return 0;
}

// ------------------------------------------------------------------ as JSON

static void add_shape(struct buffer *b, const struct model_config *c) {
    const struct model_shape *s = &c->shape;
    buffer_add_text(b, "\"shape\":{");
    json_member_int(b, "layers", s->n_layers);
    json_member_int(b, "hidden", s->hidden);
    json_member_int(b, "vocab", s->vocab);
    json_member_int(b, "heads", s->n_heads);
    json_member_int(b, "kv_heads", s->n_kv_heads);
    json_member_int(b, "head_dim", s->head_dim);
    json_member_int(b, "conv_width", s->conv_width);
    json_member_int(b, "dense_layers", s->n_dense_layers);
    json_member_int(b, "dense_width", s->ff_dense);
    json_member_int(b, "experts", s->n_experts);
    json_member_int(b, "experts_per_token", s->n_experts_used);
    json_member_int(b, "expert_width", s->ff_expert);
    json_member_int(b, "max_positions", s->max_positions);
    json_member_float(b, "norm_eps", s->norm_eps);
    json_member_float(b, "rope_theta", s->rope_theta);
    json_member_float(b, "routed_scale", s->routed_scale);
    json_member_bool(b, "norm_topk", s->norm_topk);
    json_member_bool(b, "expert_bias", s->use_expert_bias);
    json_member_bool(b, "conv_bias", s->conv_bias);
    json_member_bool(b, "tied_head", s->tied_head);
    buffer_add_text(b, "\"attention_layers\":[");
    const char *comma = "";
    for (int i = 0; i < s->n_layers; i++) {
        if (!s->is_attention[i]) continue;
        buffer_printf(b, "%s%d", comma, i);
        comma = ",";
    }
    buffer_add_text(b, "],\"end_ids\":[");
    for (int i = 0; i < c->n_end_ids; i++) buffer_printf(b, "%s%d", i ? "," : "", c->end_ids[i]);
    buffer_add_text(b, "]},");
}

static void add_types(struct buffer *b, const struct report *r) {
    buffer_add_text(b, "\"tensors\":{");
    json_member_int(b, "count", r->n_tensors);
    buffer_add_text(b, "\"by_type\":");
    if (!r->has_weights) {
        buffer_add_text(b, "null},");
        return;
    }
    buffer_add_text(b, "{");
    for (int t = 0; t < N_DTYPES; t++) {
        if (!r->n_of_type[t]) continue;
        buffer_printf(b, "\"%s\":{", dtype_name((enum dtype)t));
        json_member_int(b, "tensors", r->n_of_type[t]);
        json_member_int(b, "parameters", r->parameters_of_type[t]);
        json_member_int(b, "bytes", (int64_t)type_size((enum dtype)t, r->parameters_of_type[t]));
        json_close(b, '}');
        buffer_add_text(b, ",");
    }
    json_close(b, '}');
    buffer_add_text(b, "},");
}

static void add_memory(struct buffer *b, const struct report *r) {
    const struct model_shape *s = &r->config.shape;
    buffer_add_text(b, "\"memory\":{");
    json_member_int(b, "weights_bytes", r->resident_bytes);
    buffer_printf(b, "\"weights_dtype\":\"%s\",", r->digest_dtype);
    buffer_printf(b, "\"kv_bytes_per_token\":{\"bf16\":%zu,\"f32\":%zu},",
                  kernels_page_bytes(s, DTYPE_BF16, 1), kernels_page_bytes(s, DTYPE_F32, 1));
    buffer_printf(b, "\"conv_bytes_per_sequence\":{\"bf16\":%zu,\"f32\":%zu}},",
                  kernels_conv_bytes(s, DTYPE_BF16, 0), kernels_conv_bytes(s, DTYPE_F32, 0));
}

static void write_json(struct buffer *b, const struct report *r) {
    buffer_add_text(b, "{");
    if (r->options->device) {
        buffer_add_text(b, "\"device\":");
        device_facts_add_json(b, &r->device);
        buffer_add_text(b, r->options->model ? "," : "}\n");
    }
    if (!r->options->model) return;
    buffer_add_text(b, "\"model\":");
    json_add_string(b, slice_of(r->options->model));
    buffer_printf(b, ",\"family\":\"%s\",", r->config.family);
    add_shape(b, &r->config);
    buffer_printf(b, "\"parameters\":{\"total\":%" PRId64 ",\"active\":%" PRId64 "},",
                  r->n_parameters, r->n_active);
    json_member_bool(b, "weights", r->has_weights);
    add_types(b, r);
    add_memory(b, r);
    if (r->has_weights)
        buffer_printf(b, "\"digest\":\"%016" PRIx64 "\",\"digest_dtype\":\"%s\"}\n", r->digest,
                      r->digest_dtype);
    else
        buffer_add_text(b, "\"digest\":null,\"digest_dtype\":null}\n");
}

// ------------------------------------------------------------------ as text

// 23843661440 as "23,843,661,440".
static void add_count(struct buffer *b, int64_t n) {
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) buffer_add_text(b, ",");
        buffer_add(b, digits + i, 1);
    }
}

static void line_count(struct buffer *b, const char *label, int64_t n, const char *unit) {
    buffer_printf(b, "%-22s ", label);
    add_count(b, n);
    buffer_printf(b, "%s\n", unit);
}

static void write_shape(struct buffer *b, const struct model_shape *s) {
    buffer_printf(b, "%-22s %d (attention:", "layers", s->n_layers);
    for (int i = 0; i < s->n_layers; i++)
        if (s->is_attention[i]) buffer_printf(b, " %d", i);
    buffer_printf(b, "; convolution: the others)\n%-22s %d\n", "hidden size", s->hidden);
    buffer_printf(b, "%-22s %d%s\n", "vocabulary", s->vocab,
                  s->tied_head ? ", tied head" : ", head of its own");
    buffer_printf(b, "%-22s %d, of keys and values %d, of dimension %d, theta %g\n", "heads",
                  s->n_heads, s->n_kv_heads, s->head_dim, (double)s->rope_theta);
    buffer_printf(b, "%-22s width %d%s\n", "convolution", s->conv_width,
                  s->conv_bias ? ", with bias" : "");
    if (s->n_dense_layers)
        buffer_printf(b, "%-22s width %d in %d layers\n", "dense feed-forward", s->ff_dense,
                      s->n_dense_layers);
    if (shape_n_moe(s))
        buffer_printf(b, "%-22s %d of %d a token, width %d, in %d layers%s%s, scale %g\n",
                      "experts", s->n_experts_used, s->n_experts, s->ff_expert, shape_n_moe(s),
                      s->use_expert_bias ? ", bias" : "", s->norm_topk ? ", normalised" : "",
                      (double)s->routed_scale);
    buffer_printf(b, "%-22s %d\n", "positions", s->max_positions);
}

static void write_memory(struct buffer *b, const struct report *r) {
    const struct model_shape *s = &r->config.shape;
    buffer_printf(b, "%-22s ", "resident weights");
    add_count(b, r->resident_bytes);
    buffer_printf(b, " bytes (%s)\n", r->digest_dtype);
    line_count(b, "KV per token, bf16", (int64_t)kernels_page_bytes(s, DTYPE_BF16, 1), " bytes");
    line_count(b, "KV per token, f32", (int64_t)kernels_page_bytes(s, DTYPE_F32, 1), " bytes");
    line_count(b, "conv state, bf16", (int64_t)kernels_conv_bytes(s, DTYPE_BF16, 0),
               " bytes a sequence");
    line_count(b, "conv state, f32", (int64_t)kernels_conv_bytes(s, DTYPE_F32, 0),
               " bytes a sequence");
}

static void write_device(struct buffer *b, const struct device_facts *d) {
    buffer_printf(b, "%-22s %s\n", "device", d->name);
    if (d->major) buffer_printf(b, "%-22s %d.%d\n", "compute capability", d->major, d->minor);
    buffer_printf(b, "%-22s %d", d->major ? "multiprocessors" : "cores", d->n_units);
    if (d->n_nodes > 1) buffer_printf(b, " on %d NUMA nodes", d->n_nodes);
    if (d->clock_mhz) buffer_printf(b, ", at most %d MHz", d->clock_mhz);
    buffer_printf(b, "\n%-22s ", d->major ? "memory" : "memory to be had");
    add_count(b, (int64_t)d->memory_bytes);
    buffer_add_text(b, " bytes");
    if (d->major) {
        buffer_add_text(b, ", ");
        add_count(b, (int64_t)d->free_bytes);
        buffer_printf(b, " of them free, at most %d MHz", d->memory_clock_mhz);
    }
    buffer_printf(b, "\n%-22s %s\n", "path", d->path);
}

static void write_text(struct buffer *b, const struct report *r) {
    if (r->options->device) write_device(b, &r->device);
    if (!r->options->model) return;
    buffer_printf(b, "%-22s %s\n", "family", r->config.family);
    write_shape(b, &r->config.shape);
    line_count(b, "parameters", r->n_parameters, "");
    line_count(b, "active per token", r->n_active, "");
    line_count(b, "tensors", r->n_tensors, r->has_weights ? "" : " expected; weights are absent");
    for (int t = 0; t < N_DTYPES; t++) {
        if (!r->n_of_type[t]) continue;
        buffer_printf(b, "  %-20s %d tensors, ", dtype_name((enum dtype)t), r->n_of_type[t]);
        add_count(b, r->parameters_of_type[t]);
        buffer_add_text(b, " parameters, ");
        add_count(b, (int64_t)type_size((enum dtype)t, r->parameters_of_type[t]));
        buffer_add_text(b, " bytes\n");
    }
    write_memory(b, r);
    if (r->has_weights)
        buffer_printf(b, "%-22s %016" PRIx64 " (%s)\n", "digest", r->digest, r->digest_dtype);
    else
        buffer_printf(b, "%-22s none: weights are absent\n", "digest");
}

static int refuse(const struct error *err) {
    fprintf(stderr, "stampede inspect: %s\n", err->text);
    return exit_status(err);
}

static int print_help(struct options *o) {
    struct flag flags[N_FLAGS];
    make_flags(o, flags);
    flags_print_help(stdout, usage, flags, N_FLAGS);
    return 0;
}

int command_inspect(int argc, char **argv) {
    struct options o = {.weights = "as-is"};
    struct report r = {.options = &o};
    struct error err = {0};
    if (parse_options(argc, argv, &o, &err)) return refuse(&err);
    if (o.help) return print_help(&o);
    if (examine(&r, &err)) return refuse(&err);
    struct buffer out = {0};
    if (o.json)
        write_json(&out, &r);
    else
        write_text(&out, &r);
    bool written = fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    buffer_free(&out);
    if (written) return 0;
    error_set(&err, ERROR_IO, "Standard output cannot be written.");
    return refuse(&err);
}

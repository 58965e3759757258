// stampede quantize: a checkpoint directory as one GGUF file.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/types/types.h"
#include "protocol/base/clock.h"
#include "protocol/base/machine.h"
#include "worker/commands/commands.h"
#include "worker/commands/setup.h"
#include "worker/load/chat.h"
#include "worker/load/gguf_write.h"

static const char usage[] =
    "Usage: stampede quantize --model DIR --type TYPE --output FILE.gguf\n"
    "\n"
    "Writes a checkpoint directory as a GGUF file that llama.cpp reads too. Matrices get the "
    "type;\n"
    "norms, router, taps and biases stay F32. The embedding (and the head) is Q6_K where TYPE is\n"
    "q4_0, q4_k or q5_k; rows that are no whole blocks become q8_0 or f16.\n"
    "Exit status: 0 done, 2 bad usage, 74 I/O error, 78 bad configuration or checkpoint.\n";

struct flags {
    const char *model, *type, *output, *log_level, *log_format;
    int n_threads;
};

// The file while it is written. Threads take pieces of WEIGHT_CHUNK elements.
struct writing {
    const struct checkpoint *c;
    int fd;
    uint64_t start, *offsets; // of the data; of weights in it
    int64_t *first_piece;     // (weights + 1)
    _Atomic int64_t next;
    pthread_mutex_t lock; // for what follows
    bool has_failed;
    struct error failure;
};

// llama.cpp's numbers for mixes of types; K types are the small mix, all matrices alike.
static int file_type(enum dtype t) {
    static const uint8_t numbers[N_DTYPES] = {
        [DTYPE_F32] = 0,  [DTYPE_F16] = 1,   [DTYPE_BF16] = 32, [DTYPE_Q8_0] = 7,
        [DTYPE_Q4_0] = 2, [DTYPE_Q4_K] = 14, [DTYPE_Q5_K] = 16, [DTYPE_Q6_K] = 18};
    return numbers[t];
}

static int write_all(int fd, uint64_t at, const void *bytes, size_t n, struct error *err) {
    const char *from = bytes;
    while (n > 0) {
        ssize_t k = pwrite(fd, from, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0)
            return error_set(err, ERROR_IO, "The output cannot be written: %s.",
                             k < 0 ? strerror(errno) : "nothing was taken");
        from += k;
        at += (uint64_t)k;
        n -= (size_t)k;
    }
    return 0;
}

static int write_piece(struct writing *w, int64_t piece, void *room, struct error *err) {
    int low = 0, high = w->c->names->n; // first_piece[low] <= piece < first_piece[high]
    while (high - low > 1) {
        int middle = (low + high) / 2;
        *(w->first_piece[middle] <= piece ? &low : &high) = middle;
    }
    enum dtype t = w->c->dtypes[low];
    int64_t first = (piece - w->first_piece[low]) * WEIGHT_CHUNK;
    int64_t left = weight_n(&w->c->names->weights[low]) - first;
    int64_t n = left < WEIGHT_CHUNK ? left : WEIGHT_CHUNK;
    const struct weight_source source = checkpoint_source(w->c);
    const void *values = source.read(source.self, low, first, n, room, err);
    if (!values) return -1;
    uint64_t at = w->start + w->offsets[low] + type_size(t, first);
    return write_all(w->fd, at, values, type_size(t, n), err);
}

static void *write_pieces(void *arg) {
    struct writing *w = arg;
    void *room = memory_take(WEIGHT_CHUNK, sizeof(float));
    int64_t n = w->first_piece[w->c->names->n], piece;
    while ((piece = atomic_fetch_add(&w->next, 1)) < n) {
        struct error err;
        if (write_piece(w, piece, room, &err) == 0) continue;
        pthread_mutex_lock(&w->lock);
        if (!w->has_failed) w->failure = err;
        w->has_failed = true;
        pthread_mutex_unlock(&w->lock);
        atomic_store(&w->next, n);
    }
    free(room);
    return NULL;
}

// The calling thread works too, so that none at all need to start.
static int write_data(struct writing *w, int n_threads, struct error *err) {
    pthread_t threads[64];
    int n_weights = w->c->names->n, started = 0;
    w->first_piece = memory_new((size_t)n_weights + 1, sizeof *w->first_piece);
    for (int i = 0; i < n_weights; i++)
        w->first_piece[i + 1] =
            w->first_piece[i] +
            (weight_n(&w->c->names->weights[i]) + WEIGHT_CHUNK - 1) / WEIGHT_CHUNK;
    pthread_mutex_init(&w->lock, NULL);
    while (started < n_threads - 1 && started < 64 &&
           pthread_create(&threads[started], NULL, write_pieces, w) == 0)
        started++;
    write_pieces(w);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&w->lock);
    free(w->first_piece);
    if (w->has_failed) *err = w->failure;
    return w->has_failed ? -1 : 0;
}

// ------------------------------------------------------------------ the file

static int write_file(const struct flags *f, const struct checkpoint *c, const struct buffer *head,
                      uint64_t *n_bytes, struct error *err) {
    size_t len = strlen(f->output);
    char *part = memory_new(len + 6, 1);
    snprintf(part, len + 6, "%s.part", f->output);
    struct writing w = {.c = c, .start = head->len};
    w.offsets = memory_new((size_t)c->names->n, sizeof *w.offsets);
    *n_bytes = head->len + gguf_write_places(c, w.offsets);
    w.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int failed = 0;
    if (w.fd < 0)
        failed = error_set(err, ERROR_IO, "%s cannot be opened: %s.", part, strerror(errno));
    if (!failed && ftruncate(w.fd, (off_t)*n_bytes))
        failed = error_set(err, ERROR_IO, "%s cannot be made %llu bytes long: %s.", part,
                           (unsigned long long)*n_bytes, strerror(errno));
    if (!failed) failed = write_all(w.fd, 0, head->ptr, head->len, err);
    if (!failed) failed = write_data(&w, f->n_threads ? f->n_threads : machine_n_cores(), err);
    if (w.fd >= 0 && close(w.fd) && !failed)
        failed = error_set(err, ERROR_IO, "%s cannot be closed: %s.", part, strerror(errno));
    if (!failed && rename(part, f->output))
        failed = error_set(err, ERROR_IO, "%s cannot be renamed: %s.", part, strerror(errno));
    if (failed && w.fd >= 0) unlink(part);
    free(w.offsets);
    free(part);
    return failed;
}

static void choose_types(struct checkpoint *c, enum dtype t) {
    for (int i = 0; i < c->names->n; i++) {
        const struct weight *w = &c->names->weights[i];
        bool is_matrix = w->n_dims == 2 && w->kind != WEIGHT_ROUTER;
        c->dtypes[i] = is_matrix ? t : DTYPE_F32;
    }
    if (dtype_is_block(t)) checkpoint_resident_all(c->names, (int)t, c->dtypes);
}

static int write_checkpoint(const struct flags *f, struct checkpoint *c, enum dtype t,
                            struct error *err) {
    struct log log;
    struct tokenizer *tokenizer = NULL;
    struct buffer head = {0}, template = {0};
    uint64_t n_bytes = 0;
    int failed = log_parse(&log, f->log_level, f->log_format, err);
    if (!failed && tokenizer_is_present(f->model)) {
        tokenizer = tokenizer_load(f->model, err);
        failed = tokenizer ? chat_template_text(f->model, &template, err) : -1;
    }
    choose_types(c, t);
    if (!failed)
        failed = gguf_write_head(c, (uint32_t)file_type(t), tokenizer, buffer_slice(&template),
                                 &head, err);
    int64_t started_us = clock_us();
    if (!failed) failed = write_file(f, c, &head, &n_bytes, err);
    double seconds = (double)(clock_us() - started_us + 1) / 1e6;
    if (!failed)
        log_say(&log, LOG_INFO, "%s: %.3f GB written in %.2f s, %.2f GB/s", f->output,
                (double)n_bytes / 1e9, seconds, (double)n_bytes / 1e9 / seconds);
    tokenizer_free(&tokenizer);
    buffer_free(&template);
    buffer_free(&head);
    return failed;
}

static int run(void *flags, int *status, struct error *err) {
    const struct flags *f = flags;
    enum dtype t = DTYPE_F32;
    struct checkpoint *c;
    (void)status;
    if (!f->model || !f->type || !f->output)
        return error_set(err, ERROR_USAGE, "--model, --type and --output were expected.");
    if (type_parse(f->type, &t))
        return error_set(err, ERROR_USAGE,
                         "--type is '%s'; expected f32, f16, bf16, q8_0, q4_0, q4_k, q5_k or q6_k.",
                         f->type);
    if (checkpoint_open(f->model, CHECKPOINT_AS_IS, &c, err)) return -1;
    int failed = 0;
    if (c->gguf)
        failed = error_set(err, ERROR_USAGE, "%s is a file; a checkpoint directory was expected.",
                           f->model);
    if (!failed) failed = write_checkpoint(f, c, t, err);
    checkpoint_close(&c);
    return failed;
}

int command_quantize(int argc, char **argv) {
    struct flags f = {0};
    struct flag table[] = {
        {FLAG_TEXT, "--model", "DIR", "checkpoint directory (config.json, *.safetensors)", &f.model,
         0, 0},
        {FLAG_TEXT, "--type", "TYPE", "f32, f16, bf16, q8_0, q4_0, q4_k, q5_k or q6_k", &f.type, 0,
         0},
        {FLAG_TEXT, "--output", "FILE", "the GGUF file; it has its name once it is whole",
         &f.output, 0, 0},
        {FLAG_INT, "--threads", "N", "threads (default 0: one a core)", &f.n_threads, 0, 64},
        {FLAG_TEXT, "--log-level", "LEVEL", "error, warn, info or debug (default info)",
         &f.log_level, 0, 0},
        {FLAG_TEXT, "--log-format", "FORMAT", "text or json, to stderr (default text)",
         &f.log_format, 0, 0},
    };
    const struct command command = {.name = "quantize",
                                    .usage = usage,
                                    .table = table,
                                    .n_flags = sizeof table / sizeof *table,
                                    .run = run,
                                    .flags = &f};
    return command_run(&command, argc, argv);
}

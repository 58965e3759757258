#include "verifiers/score/score_golds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/hash.h"
#include "verifiers/score/score_source.h"

struct slot {
    uint64_t hash, offset;
    uint32_t len, line; // len 0: free
};

struct building {
    struct score_golds *golds;
    struct slot *slots; // (n_slots)
    uint64_t n_slots, n_keys;
    uint64_t n_bytes; // of rows that were stored
};

static int write_all(int fd, const void *bytes, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)bytes + done, len - done);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) done += (size_t)n;
    }
    return 0;
}

static struct slot *free_slot(struct slot *slots, uint64_t n_slots, uint64_t hash) {
    uint64_t i = hash & (n_slots - 1);
    while (slots[i].len) i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static void grow(struct building *b) {
    uint64_t n = b->n_slots ? 2 * b->n_slots : 1024;
    struct slot *slots = memory_new(n, sizeof *slots);
    for (uint64_t i = 0; i < b->n_slots; i++)
        if (b->slots[i].len) *free_slot(slots, n, b->slots[i].hash) = b->slots[i];
    free(b->slots);
    b->slots = slots;
    b->n_slots = n;
}

static const struct json *row_key(const struct json *row) {
    const struct json *key = json_get(row, "id");
    if (!key || key->type == JSON_NULL) key = json_get(row, "custom_id");
    return key && key->type != JSON_NULL ? key : NULL;
}

static const struct json *read_row(const struct score_golds *golds, const struct slot *slot,
                                   struct arena *arena) {
    char *text = arena_take(arena, slot->len, 1);
    if (pread(golds->rows_fd, text, slot->len, (off_t)slot->offset) != (ssize_t)slot->len)
        return NULL;
    return json_parse_python_shallow((struct slice){text, slot->len}, arena, NULL);
}

// The slot of a key, or NULL. Equal hashes are told apart by the keys themselves.
static const struct slot *find(const struct score_golds *golds, const struct slot *slots,
                               uint64_t n_slots, struct slice key, struct arena *arena,
                               const struct json **row) {
    uint64_t hash = hash_bytes(key.ptr, key.len);
    for (uint64_t i = hash & (n_slots - 1); n_slots && slots[i].len; i = (i + 1) & (n_slots - 1)) {
        if (slots[i].hash != hash) continue;
        *row = read_row(golds, &slots[i], arena);
        const struct json *found = row_key(*row);
        if (found && slice_equal(score_key(found, arena), key)) return &slots[i];
    }
    return NULL;
}

static int add_row(struct building *b, const struct score_line *line, struct arena *arena,
                   struct error *err) {
    const struct json *row = json_parse_python_shallow(line->text, arena, err), *other;
    if (!row) return -1;
    const struct json *key = row_key(row);
    if (!key) return error_set(err, ERROR_IO, "A key \"id\" or \"custom_id\" was expected.");
    if (!json_get(row, "gold") && !json_get(row, "reward"))
        return error_set(err, ERROR_IO, "A key \"gold\" or \"reward\" was expected.");
    struct slice text = score_key(key, arena);
    const struct slot *twin = find(b->golds, b->slots, b->n_slots, text, arena, &other);
    if (twin)
        return error_set(err, ERROR_IO, "The id %.*s stands in line %u already.",
                         SLICE_ARG(key->text), twin->line);
    if (3 * (b->n_keys + 1) > 2 * b->n_slots) grow(b);
    uint64_t hash = hash_bytes(text.ptr, text.len);
    *free_slot(b->slots, b->n_slots, hash) =
        (struct slot){hash, b->n_bytes, (uint32_t)line->text.len, (uint32_t)line->line};
    b->n_keys++;
    if (write_all(b->golds->rows_fd, line->text.ptr, line->text.len))
        return error_set(err, ERROR_IO, "It could not be stored: %s.", strerror(errno));
    b->n_bytes += line->text.len;
    return 0;
}

static int read_rows(struct building *b, struct score_source *source, struct error *err) {
    struct score_line line;
    struct arena arena = {0};
    int failed = 0;
    while (!failed) {
        if (score_source_line(source, &line)) {
            failed = line.too_long ? error_set(err, ERROR_IO, "It is too long.")
                                   : add_row(b, &line, &arena, err);
            if (failed)
                error_prefix(err, "Line %llu of %s", (unsigned long long)line.line, line.file);
            arena_reset(&arena);
        } else if (score_source_ended(source)) {
            break;
        } else {
            failed = score_source_read(source, err);
        }
    }
    arena_clear(&arena);
    return failed;
}

// An unnamed file on disk: rows may be many.
static int open_spool(struct error *err) {
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/stampede-golds-XXXXXX", folder && *folder ? folder : P_tmpdir);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_set(err, ERROR_IO, "A temporary file %s cannot be made: %s.", path,
                         strerror(errno));
    unlink(path);
    return fd;
}

static int store_index(struct building *b, struct error *err) {
    b->golds->index_fd = memfd_create("stampede-golds", MFD_CLOEXEC);
    if (b->golds->index_fd < 0 ||
        write_all(b->golds->index_fd, b->slots, b->n_slots * sizeof *b->slots))
        return error_set(err, ERROR_MEMORY, "The index of --golds cannot be made: %s.",
                         strerror(errno));
    return 0;
}

int score_golds_open(const char *path, struct score_golds *out, struct error *err) {
    struct building b = {.golds = out};
    *out = (struct score_golds){.index_fd = -1, .rows_fd = -1};
    struct score_source *source = score_source_open(&path, 1, err);
    if (!source) return -1;
    out->rows_fd = open_spool(err);
    int failed = out->rows_fd < 0 ? -1 : read_rows(&b, source, err);
    out->identity = score_source_identity(source);
    out->n_keys = b.n_keys;
    if (!failed && b.n_slots == 0)
        failed = error_set(err, ERROR_IO, "The file of --golds, %s, has no rows.", path);
    if (!failed) failed = store_index(&b, err);
    score_source_free(&source);
    free(b.slots);
    if (failed && err) err->code = ERROR_IO;
    if (failed) score_golds_close(out);
    return failed;
}

int score_golds_attach(int index_fd, int rows_fd, struct score_golds *out, struct error *err) {
    struct stat st;
    *out = (struct score_golds){.index_fd = index_fd, .rows_fd = rows_fd};
    if (fstat(index_fd, &st) == 0) {
        out->n_slots = (uint64_t)st.st_size / sizeof(struct slot);
        out->index = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, index_fd, 0);
        if (out->index != MAP_FAILED) return 0;
    }
    out->index = NULL;
    return error_set(err, ERROR_INTERNAL, "The index of --golds cannot be mapped: %s.",
                     strerror(errno));
}

void score_golds_close(struct score_golds *golds) {
    if (golds->index) munmap(golds->index, golds->n_slots * sizeof(struct slot));
    if (golds->index_fd >= 0) close(golds->index_fd);
    if (golds->rows_fd >= 0) close(golds->rows_fd);
    *golds = (struct score_golds){.index_fd = -1, .rows_fd = -1};
}

bool score_golds_find(const struct score_golds *golds, struct slice key, struct arena *arena,
                      const struct json **gold, const struct json **reward) {
    const struct json *row;
    *gold = *reward = NULL;
    if (!find(golds, golds->index, golds->n_slots, key, arena, &row)) return false;
    *gold = json_get(row, "gold");
    *reward = json_get(row, "reward");
    return true;
}

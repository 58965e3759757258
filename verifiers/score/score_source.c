#include "verifiers/score/score_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "protocol/base/buffer.h"
#include "protocol/base/hash.h"
#include "protocol/base/json.h"
#include "verifiers/score.h"

enum { READ_BYTES = 256 << 10, UNPACK_BYTES = 512 << 10, END_BYTES = 64 << 10, MAGIC_BYTES = 6 };

enum packing { PLAIN, GZIP, ZSTD };

struct score_source {
    const char *const *paths; // (n_paths), borrowed
    int n_paths, next_path;
    const char *path; // the open one
    int fd;           // -1: none
    bool fresh;       // what it is packed by is not known yet: raw_len bytes of it are there
    bool ended;       // of the file that was open last: its last line may lack the newline
    bool failed;
    enum packing packing;
    z_stream gzip;
    bool mid_member; // of a compressed file: inside a member or frame
    ZSTD_DStream *zstd;
    char *raw; // (READ_BYTES), of which raw_done of raw_len are unpacked
    size_t raw_len, raw_done;
    bool more;          // unpacking can go on without further input
    struct buffer text; // unpacked, not handed out before `at`
    size_t at, scanned; // no newline in at..scanned
    bool too_long;      // the line at `at` is being dropped
    bool opens;         // the file's first record opens a bracket that it does not close
    bool spread;        // and goes on in the second one: it is no file of lines
    uint64_t n_of_file; // records that were handed out of this file
    uint64_t n_read, n_total, n_records, n_lines, identity;
};

// Sizes and both ends of a regular file go into the identity; 0 for what cannot be told.
static int look_at(struct score_source *s, const char *path, struct error *err) {
    struct stat st;
    if (strcmp(path, "-") == 0) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        error_set(err, ERROR_IO, "The input %s cannot be opened: %s.", path, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    if (S_ISDIR(st.st_mode)) {
        close(fd);
        return error_set(err, ERROR_IO, "The input %s is a directory; a file was expected.", path);
    }
    if (S_ISREG(st.st_mode)) {
        uint64_t parts[3] = {s->identity, (uint64_t)st.st_size, 0};
        off_t tail = st.st_size > END_BYTES ? st.st_size - END_BYTES : 0;
        for (int i = 0; i < 2; i++) {
            ssize_t n = pread(fd, s->raw, END_BYTES, i ? tail : 0);
            parts[2] = parts[2] * 31 + hash_bytes(s->raw, n > 0 ? (size_t)n : 0);
        }
        s->identity = hash_bytes(parts, sizeof parts);
        s->n_total += (uint64_t)st.st_size;
    }
    close(fd);
    return 0;
}

struct score_source *score_source_open(const char *const *paths, int n, struct error *err) {
    struct score_source *s = memory_new(1, sizeof *s);
    s->paths = paths;
    s->n_paths = n;
    s->fd = -1;
    s->raw = memory_new(READ_BYTES, 1);
    bool streams = false;
    for (int i = 0; i < n; i++) {
        streams = streams || strcmp(paths[i], "-") == 0;
        if (look_at(s, paths[i], err)) {
            score_source_free(&s);
            return NULL;
        }
    }
    if (streams) s->n_total = 0;
    return s;
}

static void close_file(struct score_source *s) {
    if (s->fd > STDIN_FILENO) close(s->fd);
    s->fd = -1;
    if (s->packing == GZIP) inflateEnd(&s->gzip);
    s->packing = PLAIN;
}

void score_source_free(struct score_source **source) {
    struct score_source *s = *source;
    *source = NULL;
    if (!s) return;
    close_file(s);
    ZSTD_freeDStream(s->zstd);
    buffer_free(&s->text);
    free(s->raw);
    free(s);
}

static int fail(struct score_source *s, struct error *err, const char *what) {
    s->failed = true;
    return error_set(err, ERROR_IO, "The input %s cannot be read on: %s.", s->path, what);
}

static int open_next(struct score_source *s, struct error *err) {
    s->path = s->paths[s->next_path++];
    s->fd = strcmp(s->path, "-") == 0 ? STDIN_FILENO : open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) return fail(s, err, strerror(errno));
    s->fresh = true;
    s->ended = s->mid_member = s->opens = false;
    s->n_lines = s->n_of_file = 0;
    s->raw_len = s->raw_done = 0;
    return 0;
}

bool score_source_ended(const struct score_source *s) {
    if (s->spread && !s->failed) return false; // a read says why
    return s->failed || (s->fd < 0 && s->next_path == s->n_paths);
}

int score_source_fd(const struct score_source *s) {
    if (s->more || (!s->fresh && s->raw_done < s->raw_len)) return -1;
    bool next_is_stdin =
        s->fd < 0 && s->next_path < s->n_paths && strcmp(s->paths[s->next_path], "-") == 0;
    return s->fd == STDIN_FILENO || next_is_stdin ? STDIN_FILENO : -1;
}

// Files that people have instead of lines.
static int refuse_others(struct score_source *s, struct slice start, struct error *err) {
    static const struct {
        const char *bytes;
        size_t len;
        const char *what;
    } OTHERS[] = {
        {"PAR1", 4, "is Parquet, of which examples/score_parquet.py makes lines"},
        {"ARROW1", 6, "is Arrow"},
        {"BZh", 3, "is packed by bzip2"},
        {"\xFD"
         "7zXZ",
         5, "is packed by xz"},
        {"PK\x03\x04", 4, "is a zip archive"},
        {"\xFF\xFE", 2, "is UTF-16"},
        {"\xFE\xFF", 2, "is UTF-16"},
    };
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        if (start.len < OTHERS[i].len || memcmp(start.ptr, OTHERS[i].bytes, OTHERS[i].len) != 0)
            continue;
        s->failed = true;
        return error_set(err, ERROR_IO,
                         "The input %s %s; lines of JSON were expected, in UTF-8, plain, .gz or "
                         ".zst.",
                         s->path, OTHERS[i].what);
    }
    return 0;
}

static int start_packing(struct score_source *s, struct error *err) {
    const unsigned char *b = (const unsigned char *)s->raw;
    const size_t n = s->raw_len;
    s->fresh = false;
    s->packing = PLAIN;
    if (n >= 2 && b[0] == 0x1f && b[1] == 0x8b) {
        s->gzip = (z_stream){0};
        if (inflateInit2(&s->gzip, 15 + 16) != Z_OK) return fail(s, err, "zlib does not start");
        s->packing = GZIP;
    } else if (n >= 4 && b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd) {
        if (!s->zstd) s->zstd = ZSTD_createDStream();
        if (!s->zstd) return fail(s, err, "zstd does not start");
        ZSTD_initDStream(s->zstd);
        s->packing = ZSTD;
    }
    return refuse_others(s, (struct slice){s->raw, n}, err);
}

static int unpack_gzip(struct score_source *s, char *to, size_t *made, struct error *err) {
    s->gzip.next_in = (unsigned char *)s->raw + s->raw_done;
    s->gzip.avail_in = (unsigned)(s->raw_len - s->raw_done);
    s->gzip.next_out = (unsigned char *)to;
    s->gzip.avail_out = UNPACK_BYTES;
    int code = inflate(&s->gzip, Z_NO_FLUSH);
    *made = UNPACK_BYTES - s->gzip.avail_out;
    s->raw_done = s->raw_len - s->gzip.avail_in;
    s->mid_member = code != Z_STREAM_END;
    if (code == Z_STREAM_END) inflateReset(&s->gzip); // files may be joined
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return 0;
    return fail(s, err, "its gzip data are damaged");
}

static int unpack_zstd(struct score_source *s, char *to, size_t *made, struct error *err) {
    ZSTD_inBuffer in = {s->raw, s->raw_len, s->raw_done};
    ZSTD_outBuffer out = {to, UNPACK_BYTES, 0};
    size_t code = ZSTD_decompressStream(s->zstd, &out, &in);
    *made = out.pos;
    s->raw_done = in.pos;
    if (ZSTD_isError(code)) return fail(s, err, "its zstd data are damaged");
    s->mid_member = code != 0;
    return 0;
}

// One stretch: what a small file unpacks to can be large.
static int unpack(struct score_source *s, struct error *err) {
    char *to = buffer_extend(&s->text, UNPACK_BYTES);
    size_t made = 0;
    int failed =
        s->packing == GZIP ? unpack_gzip(s, to, &made, err) : unpack_zstd(s, to, &made, err);
    s->text.len -= UNPACK_BYTES - made;
    s->more = !failed && made == UNPACK_BYTES;
    return failed;
}

static void drop_taken(struct score_source *s) {
    if (s->at == 0) return;
    s->text.len -= s->at;
    memmove(s->text.ptr, s->text.ptr + s->at, s->text.len);
    s->scanned -= s->at;
    s->at = 0;
}

int score_source_read(struct score_source *s, struct error *err) {
    if (s->spread) {
        s->failed = true;
        return error_set(err, ERROR_IO,
                         "The input %s is one JSON value over many lines; one object a line was "
                         "expected, as jq -c '.[]' makes of a list.",
                         s->path);
    }
    if (s->fd < 0 && open_next(s, err)) return -1;
    drop_taken(s);
    if (s->more || (!s->fresh && s->raw_done < s->raw_len)) return unpack(s, err);
    const size_t held = s->fresh ? s->raw_len : 0; // a pipe may give the first bytes one by one
    ssize_t n;
    do {
        n = read(s->fd, s->raw + held, READ_BYTES - held);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return fail(s, err, strerror(errno));
    s->n_read += (uint64_t)n;
    s->raw_len = held + (size_t)n;
    s->raw_done = 0;
    if (s->fresh && n > 0 && s->raw_len < MAGIC_BYTES) return 0;
    if (s->fresh && start_packing(s, err)) return -1;
    if (s->packing != PLAIN && s->raw_len > 0) return unpack(s, err);
    buffer_add(&s->text, s->raw, s->raw_len);
    s->raw_done = s->raw_len;
    if (n > 0) return 0;
    if (s->mid_member) return fail(s, err, "it ends in the middle of its compressed data");
    s->ended = true;
    close_file(s);
    return 0;
}

static bool is_blank(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r') return false;
    return true;
}

static struct slice without_mark(struct slice s) {
    static const char MARK[] = "\xEF\xBB\xBF"; // a byte order mark, also where files were joined
    const bool has = s.len >= 3 && memcmp(s.ptr, MARK, 3) == 0;
    return has ? (struct slice){s.ptr + 3, s.len - 3} : s;
}

// Whether a line opens a list or an object that it does not close.
static bool opens_only(struct slice s) {
    int depth = 0;
    bool in_string = false;
    size_t i = 0;
    while (i < s.len && (s.ptr[i] == ' ' || s.ptr[i] == '\t')) i++;
    if (i == s.len || (s.ptr[i] != '[' && s.ptr[i] != '{')) return false;
    for (; i < s.len; i++) {
        const char c = s.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string)
            depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    }
    return depth > 0 && !in_string;
}

static bool is_whole(struct slice s) {
    struct arena arena = {0};
    const bool whole = json_parse_python_shallow(s, &arena, NULL) != NULL;
    arena_clear(&arena);
    return whole;
}

// An indented list or object looks like one bad record a line. Told by the first two records: a
// torn first line has a whole one behind it.
static bool is_spread(struct score_source *s, struct slice text) {
    if (s->n_of_file == 0) s->opens = opens_only(text);
    const bool list = s->n_of_file == 0 && s->opens && text.ptr[0] == '[' && text.len <= 2;
    return list || (s->n_of_file == 1 && s->opens && !is_whole(text));
}

// The rest of an over-long line is dropped as it comes, so that it takes no memory.
static void shorten(struct score_source *s) {
    if (s->text.len - s->at <= SCORE_MAX_LINE_BYTES && !s->too_long) return;
    s->too_long = true;
    s->text.len = s->at;
    s->scanned = s->at;
}

bool score_source_line(struct score_source *s, struct score_line *out) {
    while (!s->spread && (s->at < s->text.len || (s->too_long && s->ended))) {
        const char *from = s->text.ptr + s->scanned;
        const char *end = memchr(from, '\n', s->text.len - s->scanned);
        size_t stop = end ? (size_t)(end - s->text.ptr) : s->text.len;
        if (!end && !s->ended) {
            s->scanned = s->text.len;
            shorten(s);
            return false;
        }
        struct slice text = {s->text.ptr + s->at, stop - s->at};
        bool too_long = s->too_long || text.len > SCORE_MAX_LINE_BYTES;
        s->at = s->scanned = end ? stop + 1 : stop;
        s->too_long = false;
        s->n_lines++;
        text = without_mark(text);
        if (!too_long && is_blank(text)) continue;
        if (too_long) text.len = 0;
        if (!too_long && is_spread(s, text)) {
            s->spread = true;
            return false;
        }
        s->n_of_file++;
        *out = (struct score_line){text, s->n_records++, s->n_lines, s->path, too_long};
        return true;
    }
    return false;
}

uint64_t score_source_bytes_read(const struct score_source *s) {
    return s->n_read;
}

uint64_t score_source_bytes_total(const struct score_source *s) {
    return s->n_total;
}

uint64_t score_source_n_records(const struct score_source *s) {
    return s->n_records;
}

uint64_t score_source_identity(const struct score_source *s) {
    return s->identity;
}

#include "kernels/cpu/delta_run.h"

#include <assert.h>

#include "kernels/digest.h"

// ------------------------------------------------------------------ codes to places

static int fail(struct error *err, int64_t block, const char *what) {
    return error_set(err, ERROR_INPUT, "Its positions are wrong: block %lld %s.", (long long)block,
                     what);
}

int delta_begin(struct delta_walk *w, const struct weight_slot *slot,
                const struct weight_change *change, char *staging, int64_t block,
                struct error *err) {
    const struct delta_anchor *anchors = (const void *)(staging + change->anchors);
    int64_t left = change->n_codes - block * DELTA_BLOCK;
    bool is_last = left <= DELTA_BLOCK;
    *w = (struct delta_walk){.slot = slot,
                             .codes = staging + change->codes,
                             .code_bytes = change->code_bytes,
                             .next = block * DELTA_BLOCK,
                             .n_values = anchors[block].n_values,
                             .end_cursor = is_last ? 0 : anchors[block + 1].cursor,
                             .end_n_values =
                                 is_last ? (uint64_t)change->n_values : anchors[block + 1].n_values,
                             .is_last = is_last,
                             .all_values = staging + change->values};
    uint64_t cursor = anchors[block].cursor, size = (uint64_t)slot->rows * (uint64_t)slot->columns;
    w->end = w->next + (is_last ? left : DELTA_BLOCK);
    if (block == 0 && (cursor || w->n_values)) return fail(err, block, "does not begin at 0");
    // The block reads at most as many values as it has codes, and no more than there are.
    if (cursor > size || w->n_values > w->end_n_values ||
        w->end_n_values > (uint64_t)change->n_values ||
        w->end_n_values - w->n_values > (uint64_t)(w->end - w->next))
        return fail(err, block, "begins or ends beyond the tensor");
    w->row = (int64_t)cursor / slot->columns;
    w->column = (int64_t)cursor % slot->columns;
    return 0;
}

static size_t held_bytes(const struct weight_slot *s) {
    return s->layout == WEIGHT_VECTOR ? sizeof(float) : dtype_bytes(s->dtype);
}

// Where element (row, column) lies is begin_of(row) + column_of(column).
static inline size_t begin_of(const struct weight_slot *s, int64_t row) {
    const struct matrix m = {s->dtype, s->rows, s->columns, s->data, TYPE_PORTABLE};
    if (s->layout == WEIGHT_PACKED) return matmul_at(&m, (int)row, 0);
    return (size_t)row * (s->layout == WEIGHT_PLAIN ? (size_t)s->columns : 1);
}
static inline size_t column_of(const struct weight_slot *s, int64_t column) {
    if (s->layout == WEIGHT_PACKED) return matmul_column(s->dtype, (int)column);
    return (size_t)column * (s->layout == WEIGHT_PLAIN ? 1 : (size_t)matmul_pad(s->rows));
}

// How columns lie, so that the compiler knows it.
enum columns { COLUMNS_BF16, COLUMNS_PLAIN, COLUMNS_OTHER };

static enum columns columns_of(const struct weight_slot *s) {
    if (s->layout == WEIGHT_PLAIN) return COLUMNS_PLAIN;
    bool is_bf16 = s->layout == WEIGHT_PACKED && s->dtype == DTYPE_BF16;
    return is_bf16 ? COLUMNS_BF16 : COLUMNS_OTHER;
}

static inline size_t place_of(const struct weight_slot *s, int64_t column, enum columns how) {
    if (how == COLUMNS_PLAIN) return (size_t)column;
    return how == COLUMNS_BF16 ? matmul_column(DTYPE_BF16, (int)column) : column_of(s, column);
}

// Reads codes until the run is full or the block ends. False where a position lies beyond the
// weight, or a value beyond those that the block has.
static inline bool fill(struct delta_walk *w, struct delta_run *run, int code_bytes,
                        enum columns how) {
    const uint32_t skip = delta_skip(code_bytes);
    const struct weight_slot *s = w->slot;
    const int64_t columns = s->columns, left = (int64_t)(w->end_n_values - w->n_values);
    const size_t held = held_bytes(s);
    const int most = left < DELTA_RUN ? (int)left : DELTA_RUN;
    const char *data = s->data;
    int64_t row = w->row, column = w->column, next = w->next;
    size_t begin = begin_of(s, row);
    int n = 0;
    bool is_good = true;
    for (; next < w->end && n < DELTA_RUN; next++) {
        uint32_t code = delta_code(w->codes, code_bytes, next);
        column += code;
        if (column >= columns) {
            row += column / columns;
            column %= columns;
            begin = begin_of(s, row);
            is_good = row < s->rows || (row == s->rows && column == 0 && code == skip);
            if (!is_good) break;
        }
        if (code == skip) continue;
        is_good = row < s->rows && n < most;
        if (!is_good) break;
        size_t at = begin + place_of(s, column, how);
        __builtin_prefetch(data + at * held, 1, 2);
        run->position[n] = (uint32_t)(row * columns + column);
        run->at[n++] = at;
        column++; // may be the row's end: the next code goes on to the next row
    }
    run->n = n;
    w->row = row;
    w->column = column;
    w->next = next;
    return is_good;
}

static inline bool fill_width(struct delta_walk *w, struct delta_run *run, enum columns how) {
    return w->code_bytes == 1   ? fill(w, run, 1, how)
           : w->code_bytes == 2 ? fill(w, run, 2, how)
                                : fill(w, run, 4, how);
}

static bool fill_any(struct delta_walk *w, struct delta_run *run) {
    switch (columns_of(w->slot)) {
    case COLUMNS_BF16:
        return fill_width(w, run, COLUMNS_BF16);
    case COLUMNS_PLAIN:
        return fill_width(w, run, COLUMNS_PLAIN);
    default:
        return fill_width(w, run, COLUMNS_OTHER);
    }
}

bool delta_next(struct delta_walk *w, struct delta_run *run) {
    w->values = w->all_values + w->n_values * dtype_bytes(w->slot->dtype);
    w->failed = !fill_any(w, run) || w->failed;
    w->n_values += (uint64_t)run->n;
    return run->n > 0 && !w->failed;
}

int delta_end(const struct delta_walk *w, struct error *err) {
    int64_t block = (w->end - 1) / DELTA_BLOCK; // next may still be the block's first code
    if (w->failed) return fail(err, block, "goes beyond the tensor or its values");
    uint64_t cursor = (uint64_t)(w->row * w->slot->columns + w->column);
    if (w->n_values != w->end_n_values || (!w->is_last && cursor != w->end_cursor))
        return fail(err, block, "does not end where the next one begins");
    return 0;
}

// ------------------------------------------------------------------ values

// What a run's elements hold, in the type of the weight. Vectors lie as float32, which holds a
// value of their type exactly.
static void read_held(const struct weight_slot *s, const struct delta_run *run, uint32_t *values) {
    if (s->layout == WEIGHT_VECTOR)
        for (int i = 0; i < run->n; i++)
            dtype_put(s->dtype, values, i, ((const float *)s->data)[run->at[i]]);
    else if (dtype_bytes(s->dtype) == 2)
        for (int i = 0; i < run->n; i++)
            ((uint16_t *)values)[i] = ((const uint16_t *)s->data)[run->at[i]];
    else
        for (int i = 0; i < run->n; i++) values[i] = ((const uint32_t *)s->data)[run->at[i]];
}

void delta_sum(const struct weight_slot *s, uint64_t name_hash, const struct delta_run *run,
               const void *values, struct change_sums *sums) {
    uint32_t held[DELTA_RUN];
    read_held(s, run, held);
    sums->staged += digest_positions(name_hash, run->position, run->n, s->dtype, values);
    sums->resident += digest_positions(name_hash, run->position, run->n, s->dtype, held);
}

void delta_put(const struct weight_slot *s, const struct delta_run *run, const void *values) {
    if (s->layout == WEIGHT_VECTOR)
        for (int i = 0; i < run->n; i++)
            ((float *)s->data)[run->at[i]] = dtype_get(s->dtype, values, i);
    else if (dtype_bytes(s->dtype) == 2)
        for (int i = 0; i < run->n; i++)
            ((uint16_t *)s->data)[run->at[i]] = ((const uint16_t *)values)[i];
    else
        for (int i = 0; i < run->n; i++)
            ((uint32_t *)s->data)[run->at[i]] = ((const uint32_t *)values)[i];
}

static inline void exchange_vector(const struct weight_slot *s, size_t at, void *values,
                                   int64_t i) {
    float *held = (float *)s->data + at, was = *held;
    *held = dtype_get(s->dtype, values, i);
    dtype_put(s->dtype, values, i, was);
}

static inline void exchange_16(uint16_t *a, uint16_t *b) {
    uint16_t was = *a;
    *a = *b;
    *b = was;
}
static inline void exchange_32(uint32_t *a, uint32_t *b) {
    uint32_t was = *a;
    *a = *b;
    *b = was;
}

void delta_exchange(const struct weight_slot *s, const struct delta_run *run, void *values) {
    if (s->layout == WEIGHT_VECTOR)
        for (int i = 0; i < run->n; i++) exchange_vector(s, run->at[i], values, i);
    else if (dtype_bytes(s->dtype) == 2)
        for (int i = 0; i < run->n; i++)
            exchange_16((uint16_t *)s->data + run->at[i], (uint16_t *)values + i);
    else
        for (int i = 0; i < run->n; i++)
            exchange_32((uint32_t *)s->data + run->at[i], (uint32_t *)values + i);
}

// Four words, of any address.
typedef uint32_t words __attribute__((vector_size(16), aligned(4), may_alias));

#if defined(__has_builtin) && __has_builtin(__builtin_shufflevector)
#define MIX(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define MIX(a, b, i, j, k, l) __builtin_shuffle(a, b, (words){i, j, k, l})
#endif

static inline void transpose(words *a, words *b, words *c, words *d) {
    const words low_ab = MIX(*a, *b, 0, 4, 1, 5), high_ab = MIX(*a, *b, 2, 6, 3, 7);
    const words low_cd = MIX(*c, *d, 0, 4, 1, 5), high_cd = MIX(*c, *d, 2, 6, 3, 7);
    *a = MIX(low_ab, low_cd, 0, 1, 4, 5);
    *b = MIX(low_ab, low_cd, 2, 3, 6, 7);
    *c = MIX(high_ab, high_cd, 0, 1, 4, 5);
    *d = MIX(high_ab, high_cd, 2, 3, 6, 7);
}

// Columns of 4 by 4 words with rows of `stride` words.
static inline void exchange_4x4(uint32_t *columns, uint32_t *rows, size_t stride) {
    words a[4], b[4];
    for (int i = 0; i < 4; i++) {
        a[i] = *(const words *)(columns + i * MATMUL_ROWS);
        b[i] = *(const words *)(rows + (size_t)i * stride);
    }
    transpose(&a[0], &a[1], &a[2], &a[3]);
    transpose(&b[0], &b[1], &b[2], &b[3]);
    for (int i = 0; i < 4; i++) {
        *(words *)(columns + i * MATMUL_ROWS) = b[i];
        *(words *)(rows + (size_t)i * stride) = a[i];
    }
}

// A block of a matrix whose rows are all there: its n columns of words with rows of n words. Whole
// cache lines of few rows at a time: rows of 4 KiB fall into one set of the first cache. Lines are
// asked for two ahead: the processor follows fewer streams than these 16 rows.
static void exchange_words(uint32_t *packed, uint32_t *plain, int n) {
    enum { LINE = 16, AHEAD = 2 * LINE };
    for (int line = 0; line < n; line += LINE) {
        const int end = line + LINE < n ? line + LINE : n;
        const int ahead = line + AHEAD < n ? line + AHEAD : line;
        for (int i = 0; i < MATMUL_ROWS; i += 4) {
            uint32_t *rows = plain + (size_t)i * (size_t)n, *columns = packed + i;
            int k = line;
            for (int j = 0; j < 4; j++) {
                const int column = ahead + i + j < n ? ahead + i + j : line;
                __builtin_prefetch(rows + (size_t)j * (size_t)n + ahead, 1, 3);
                __builtin_prefetch(packed + column * MATMUL_ROWS, 1, 3);
            }
            for (; k + 4 <= end; k += 4)
                exchange_4x4(columns + k * MATMUL_ROWS, rows + k, (size_t)n);
            for (; k < end; k++)
                for (int j = 0; j < 4; j++)
                    exchange_32(columns + k * MATMUL_ROWS + j, rows + (size_t)j * (size_t)n + k);
        }
    }
}

// One element after the other; plain: of the block's first row.
static void exchange_some_16(const struct weight_slot *s, uint16_t *packed, int n_rows,
                             uint16_t *plain) {
    const int step = s->dtype == DTYPE_BF16 ? 2 : 1; // from one row to the next
    for (int c = 0; c < s->columns; c++)
        for (int i = 0; i < n_rows; i++)
            exchange_16(packed + matmul_column(s->dtype, c) + i * step,
                        plain + (size_t)i * (size_t)s->columns + c);
}
static void exchange_some_32(const struct weight_slot *s, uint32_t *packed, int n_rows,
                             uint32_t *plain) {
    for (int c = 0; c < s->columns; c++)
        for (int i = 0; i < n_rows; i++)
            exchange_32(packed + matmul_column(s->dtype, c) + i,
                        plain + (size_t)i * (size_t)s->columns + c);
}

// The block of `row`, of which n_rows are there.
static void exchange_block(const struct weight_slot *s, int row, int n_rows, char *plain) {
    char *packed = (char *)s->data + begin_of(s, row) * dtype_bytes(s->dtype);
    const bool is_whole = n_rows == MATMUL_ROWS;
    if (is_whole && dtype_bytes(s->dtype) == 4)
        exchange_words((uint32_t *)packed, (uint32_t *)plain, s->columns);
    else if (is_whole && s->dtype == DTYPE_BF16 && s->columns % 2 == 0)
        exchange_words((uint32_t *)packed, (uint32_t *)plain, s->columns / 2);
    else if (dtype_bytes(s->dtype) == 4)
        exchange_some_32(s, (uint32_t *)packed, n_rows, (uint32_t *)plain);
    else
        exchange_some_16(s, (uint16_t *)packed, n_rows, (uint16_t *)plain);
}

static void exchange_plain(const struct weight_slot *s, int64_t first, int64_t n,
                           void *all_values) {
    int64_t end = first + n;
    if (dtype_bytes(s->dtype) == 2)
        for (int64_t i = first; i < end; i++)
            exchange_16((uint16_t *)s->data + i, (uint16_t *)all_values + i);
    else
        for (int64_t i = first; i < end; i++)
            exchange_32((uint32_t *)s->data + i, (uint32_t *)all_values + i);
}

void delta_exchange_rows(const struct weight_slot *s, int64_t first, int64_t n, void *all_values) {
    assert(first % ((int64_t)MATMUL_ROWS * s->columns) == 0 && n % s->columns == 0);
    if (s->layout == WEIGHT_PLAIN) {
        exchange_plain(s, first, n, all_values);
        return;
    }
    int row = (int)(first / s->columns), end = row + (int)(n / s->columns);
    for (; row < end; row += MATMUL_ROWS) {
        int n_rows = end - row < MATMUL_ROWS ? end - row : MATMUL_ROWS;
        size_t at = (size_t)row * (size_t)s->columns;
        if (s->layout == WEIGHT_VECTOR)
            for (int64_t i = 0; i < (int64_t)n_rows * s->columns; i++)
                exchange_vector(s, begin_of(s, row + i / s->columns) + column_of(s, i % s->columns),
                                all_values, (int64_t)at + i);
        else
            exchange_block(s, row, n_rows, (char *)all_values + at * dtype_bytes(s->dtype));
    }
}

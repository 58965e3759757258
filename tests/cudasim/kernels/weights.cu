// Weights to their places and back, digests, moves of state.
#include "kernels/digest.h"
#include "tests/cudasim/kernels/check.h"

static struct tile_map plain_map(int rows, int columns) {
    struct tile_map m = {};
    m.rows = rows, m.columns = columns, m.fold = rows, m.n_parts = 1;
    m.head = m.head_rows = m.column_head = m.column_head_rows = 1;
    return m;
}

// The digest where they lie: of a part that begins anywhere, and with any bit of an element
// flipped.
static void check_resident_digest(checker &c, struct weight_move a, size_t data_bytes,
                                  const std::vector<char> &plain) {
    size_t size = dtype_bytes(a.dtype), n = (size_t)a.map.rows * a.map.columns, n_wrong = 0;
    a.first = (int64_t)(n / 3), a.n = (int64_t)(n - n / 3);
    uint64_t want = digest_range(77, a.first, a.n, a.dtype, &plain[n / 3 * size]);
    for (int flip = -1; flip < 16; flip++) {
        std::vector<char> data = c.get((char *)a.data, data_bytes);
        size_t at = 0; // the last element's place, by what a write of it alone changes
        if (flip >= 0) {
            struct weight_move one = a;
            one.data = c.put(std::vector<char>(data_bytes, 0));
            one.first = (int64_t)n - 1, one.n = 1;
            one.plain = c.put(std::vector<char>(size, 0x11));
            c.done(weight_write_launch(&c.queue, &one), "weight_write");
            std::vector<char> alone = c.get((char *)one.data, data_bytes);
            while (alone[at] == 0) at++;
            if (flip >= 8 && a.kind == PLACE_VECTOR && size == 2) at -= 2; // bits that bf16 lacks
            data[at] = (char)(data[at] ^ 1 << flip % 8);
        }
        struct weight_move b = a;
        b.data = c.put(data);
        uint64_t *sum = c.zeros<uint64_t>(1);
        c.done(resident_digest_launch(&c.queue, &b, 77, sum), "resident_digest");
        n_wrong += (c.get(sum, 1)[0] == want) != (flip < 0);
    }
    c.equal("resident digest", text("%d x %d", a.map.rows, a.map.columns), n_wrong);
}

// Written in pieces, in any order; then it lies where `place` says and reads back the same.
static void check_move(checker &c, const char *what, struct weight_move a, size_t data_bytes,
                       const std::function<size_t(int, int)> &place) {
    size_t size = dtype_bytes(a.dtype), n = (size_t)a.map.rows * a.map.columns;
    size_t kept = a.kind == PLACE_VECTOR ? 4 : size;
    std::vector<char> values(n * size), back(n * size);
    for (char &x : values) x = (char)c.below(120); // no NaN
    a.data = c.zeros<char>(data_bytes);
    std::vector<size_t> begins;
    for (size_t first = 0; first < n; first += 1 + c.below(900)) begins.push_back(first);
    std::vector<size_t> ends(begins.begin() + 1, begins.end());
    ends.push_back(n);
    for (size_t left = begins.size(); left > 0; left--) {
        size_t i = (size_t)c.below((int)left), first = begins[i], many = ends[i] - first;
        std::swap(begins[i], begins[left - 1]);
        std::swap(ends[i], ends[left - 1]);
        a.first = (int64_t)first, a.n = (int64_t)many;
        a.plain =
            c.put(std::vector<char>(&values[first * size], &values[first * size] + many * size));
        c.done(weight_write_launch(&c.queue, &a), "weight_write");
    }
    std::vector<char> data = c.get((char *)a.data, data_bytes);
    size_t n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = place((int)(i / a.map.columns), (int)(i % a.map.columns));
        float wide = dtype_get(a.dtype, values.data(), (int64_t)i);
        const void *want = a.kind == PLACE_VECTOR ? (const char *)&wide : &values[i * size];
        n_wrong += memcmp(&data[at], want, kept) != 0;
        memset(&data[at], 0, kept);
    }
    for (char x : data) n_wrong += x != 0; // nothing else was written
    a.first = 0, a.n = (int64_t)n, a.plain = c.room<char>(n * size);
    c.done(weight_read_launch(&c.queue, &a), "weight_read");
    back = c.get((char *)a.plain, n * size);
    c.equal("weights", text("%s, %d x %d", what, a.map.rows, a.map.columns),
            n_wrong + (back != values));

    uint64_t *sum = c.zeros<uint64_t>(1),
             want = digest_range(77, 5, (int64_t)n, a.dtype, back.data());
    c.done(digest_launch(&c.queue, a.plain, a.dtype, 77, 5, (int64_t)n, sum), "digest");
    c.equal("digest", text("%s, %d x %d", what, a.map.rows, a.map.columns),
            c.get(sum, 1)[0] != want);
    check_resident_digest(c, a, data_bytes, back);
    c.release();
}

static void check_tiles(checker &c, const char *what, const struct tile_map &m, int n_rows,
                        int n_columns) {
    struct weight_move a = {};
    a.kind = PLACE_TILES, a.dtype = DTYPE_BF16, a.map = m;
    a.n_tile_columns = pad_to(n_columns, 64) / 64;
    int tiles = a.n_tile_columns;
    check_move(c, what, a, (size_t)n_rows * tiles * 128, [=](int r, int k) {
        return (size_t)tile_offset(tile_map_row(&m, r), tile_map_column(&m, k), tiles);
    });
}

static void check_moves(checker &c) {
    check_tiles(c, "tiles", plain_map(70, 136), 96, 136);
    check_tiles(c, "tiles", plain_map(40, 50), 64, 50);
    struct tile_map up = plain_map(90, 72);
    up.part = 1, up.n_parts = 2;
    check_tiles(c, "w3", up, 192, 72);
    struct tile_map conv = plain_map(3 * 80, 80);
    conv.fold = 80, conv.n_parts = 3;
    check_tiles(c, "conv in", conv, 288, 80);
    struct tile_map k = plain_map(48, 64);
    k.head = 24, k.head_rows = 32, k.first_row = 64;
    check_tiles(c, "k", k, 128, 64);
    struct tile_map out = plain_map(33, 72);
    out.column_head = 24, out.column_head_rows = 32;
    check_tiles(c, "attention out", out, 64, 96);

    struct weight_move a = {};
    a.kind = PLACE_ROWS, a.map = plain_map(7, 50), a.stride = 64;
    for (enum dtype t : {DTYPE_F32, DTYPE_BF16}) {
        a.dtype = t;
        size_t size = dtype_bytes(t);
        check_move(c, "rows", a, 7 * 64 * size,
                   [=](int r, int i) { return ((size_t)r * 64 + i) * size; });
    }
    a.kind = PLACE_VECTOR, a.map = plain_map(50, 3), a.stride = 52;
    for (enum dtype t : {DTYPE_F32, DTYPE_BF16}) {
        a.dtype = t;
        check_move(c, "vector", a, 3 * 52 * 4,
                   [](int r, int i) { return ((size_t)i * 52 + r) * 4; });
    }
}

static void check_state(checker &c) {
    const size_t bytes[] = {16, 4096, 40000};
    std::vector<std::vector<char>> values;
    std::vector<struct state_copy> copies;
    for (int i = 0; i < 9; i++) {
        values.push_back(std::vector<char>(bytes[i % 3]));
        for (char &x : values.back()) x = (char)c.below(256);
        copies.push_back({c.put(values.back()), c.room<char>(bytes[i % 3]), (int64_t)bytes[i % 3]});
    }
    c.done(state_launch(&c.queue, c.put(copies), (int)copies.size()), "state");
    size_t n_wrong = 0;
    for (int i = 0; i < 9; i++)
        n_wrong += c.get((char *)copies[i].to, values[i].size()) != values[i];
    c.equal("state", "9 copies", n_wrong);
    c.release();
}

// More than a launch has blocks for.
static void check_many_copies(checker &c) {
    const int n = 1040;
    std::vector<char> values(n * 16);
    for (char &x : values) x = (char)c.below(256);
    char *from = c.put(values), *to = c.room<char>(values.size());
    std::vector<struct state_copy> copies;
    for (int i = 0; i < n; i++) copies.push_back({from + i * 16, to + i * 16, 16});
    c.done(state_launch(&c.queue, c.put(copies), n), "state");
    c.equal("state", text("%d copies", n), c.get(to, values.size()) != values);
    c.release();
}

void check_weights(checker &c) {
    if (!c.is_first_family) return;
    check_moves(c);
    check_state(c);
    if (!c.is_small) check_many_copies(c);
}

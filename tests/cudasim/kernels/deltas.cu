// Weight updates: changes of every kind of place in one launch, proved and exchanged.
#include "tests/cudasim/kernels/check.h"
#ifdef CUDASIM
#include "tests/cudasim/cudasim.h"
#endif

extern "C" {
#include "kernels/digest.h"
}

// One weight with its change, on the host.
struct changed {
    struct weight_move place = {};
    size_t data_bytes = 0;
    std::vector<uint32_t> held, positions, values; // bits
    std::vector<char> codes;
    std::vector<delta_anchor> anchors;
    int code_bytes = 0;
    struct delta_target target = {};
};

static uint32_t finite_bits(checker &c, enum dtype t) {
    uint32_t bits = (uint32_t)c.below(1 << 16) << 16 | (uint32_t)c.below(1 << 16);
    return t == DTYPE_F32 ? bits & 0xbfffffffu : bits & 0xbfffu; // no exponent of all ones
}

static std::vector<char> packed(const std::vector<uint32_t> &bits, enum dtype t) {
    size_t size = dtype_bytes(t);
    std::vector<char> out(bits.size() * size);
    for (size_t i = 0; i < bits.size(); i++) memcpy(&out[i * size], &bits[i], size);
    return out;
}
static std::vector<uint32_t> unpacked(const std::vector<char> &bytes, enum dtype t) {
    size_t size = dtype_bytes(t);
    std::vector<uint32_t> out(bytes.size() / size);
    for (size_t i = 0; i < out.size(); i++) memcpy(&out[i], &bytes[i * size], size);
    return out;
}

static void put_code(changed &w, uint64_t code, delta_anchor *at) {
    bool is_skip = code == delta_skip(w.code_bytes);
    if (w.codes.size() % ((size_t)DELTA_BLOCK * w.code_bytes) == 0) w.anchors.push_back(*at);
    w.codes.insert(w.codes.end(), (char *)&code, (char *)&code + w.code_bytes);
    at->cursor += code + !is_skip;
    at->n_values += !is_skip;
}

// code_bytes 0: dense. rare: of so many elements one changes.
static changed make(checker &c, struct weight_move place, size_t data_bytes, int code_bytes,
                    int rare) {
    changed w;
    size_t n = (size_t)place.map.rows * place.map.columns;
    w.place = place, w.data_bytes = data_bytes, w.code_bytes = code_bytes;
    for (size_t i = 0; i < n; i++) {
        w.held.push_back(finite_bits(c, place.dtype));
        if (code_bytes && c.below(rare)) continue;
        w.positions.push_back((uint32_t)i);
        w.values.push_back(finite_bits(c, place.dtype));
    }
    delta_anchor at = {0, 0};
    for (uint32_t p : w.positions) {
        if (!code_bytes) break;
        while (p - at.cursor >= delta_skip(code_bytes)) put_code(w, delta_skip(code_bytes), &at);
        put_code(w, p - at.cursor, &at);
    }
    return w;
}

// To the device: the weight by the launcher that loads it.
static void put(checker &c, changed &w, int index) {
    struct weight_move m = w.place;
    m.data = w.place.data = c.zeros<char>(w.data_bytes);
    m.first = 0, m.n = (int64_t)w.held.size(), m.plain = c.put(packed(w.held, m.dtype));
    c.done(weight_write_launch(&c.queue, &m), "weight_write");
    w.target.place = w.place;
    w.target.n_elements = w.held.size();
    w.target.name_hash = 1000 + (uint64_t)index;
    w.target.code_bytes = w.code_bytes;
    w.target.n_values = (int64_t)w.values.size();
    w.target.n_codes = w.code_bytes ? (int64_t)w.codes.size() / w.code_bytes : 0;
    w.target.codes = c.put(w.codes);
    w.target.anchors = c.put(w.anchors);
    w.target.values = c.put(packed(w.values, w.place.dtype));
}

static struct weight_move tiles_of(int rows, int columns, int fold, int n_parts, int part) {
    struct weight_move a = {};
    a.kind = PLACE_TILES, a.dtype = DTYPE_BF16;
    a.map.rows = rows, a.map.columns = columns, a.map.fold = fold;
    a.map.n_parts = n_parts, a.map.part = part;
    a.map.head = a.map.head_rows = 1, a.map.column_head = a.map.column_head_rows = 8;
    a.n_tile_columns = pad_to(columns, 64) / 64;
    return a;
}
static struct weight_move lines_of(enum place_kind kind, enum dtype t, int rows, int columns,
                                   int stride) {
    struct weight_move a = {};
    a.kind = kind, a.dtype = t, a.stride = stride;
    a.map.rows = rows, a.map.columns = columns;
    return a;
}

static std::vector<changed> every_kind(checker &c) {
    std::vector<changed> all;
    struct weight_move up = tiles_of(90, 72, 90, 2, 1), conv = tiles_of(240, 80, 80, 3, 0);
    struct weight_move plain = tiles_of(140, 136, 140, 1, 0), odd = tiles_of(50, 90, 50, 1, 0);
    all.push_back(make(c, plain, 160 * 192 * 2, 0, 1));
    all.push_back(make(c, up, 192 * 128 * 2, 1, 9));
    all.push_back(make(c, conv, 288 * 128 * 2, 1, 2)); // blocks enough for several anchors
    all.push_back(make(c, odd, 64 * 128 * 2, 0, 1));   // rows that are no whole chunks
    all.push_back(make(c, plain, 160 * 192 * 2, 1, 2000));
    all.push_back(make(c, conv, 288 * 128 * 2, 2, 700));
    // As many codes as a block takes: no anchor follows.
    all.push_back(make(c, tiles_of(64, 64, 64, 1, 0), 64 * 64 * 2, 1, 1));
    for (enum dtype t : {DTYPE_F32, DTYPE_BF16})
        for (int code_bytes : {0, 4})
            all.push_back(make(c, lines_of(PLACE_ROWS, t, 7, 50, 64), 7 * 64 * 4, code_bytes, 3));
    for (enum dtype t : {DTYPE_F32, DTYPE_BF16, DTYPE_F16})
        for (int code_bytes : {0, 2})
            all.push_back(make(c, lines_of(PLACE_VECTOR, t, 50, 3, 52), 3 * 52 * 4, code_bytes, 4));
    for (size_t i = 0; i < all.size(); i++) put(c, all[i], (int)i);
    return all;
}

static struct delta_batch batch_of(checker &c, const std::vector<changed> &all) {
    std::vector<delta_target> targets;
    std::vector<uint32_t> first_block = {0};
    for (const changed &w : all) {
        targets.push_back(w.target);
        first_block.push_back(first_block.back() + (uint32_t)delta_n_thread_blocks(&w.target));
    }
    struct delta_batch b = {};
    b.n = (int)all.size(), b.n_blocks = first_block.back();
    b.targets = c.put(targets);
    b.first_block = c.put(first_block);
    b.sums = c.zeros<unsigned long long>(2 * all.size());
    b.fault = c.put(std::vector<unsigned long long>(1, ~0ull));
    return b;
}

static void check_sums(checker &c, const std::vector<changed> &all) {
    struct delta_batch b = batch_of(c, all);
    c.done(delta_check_launch(&c.queue, &b), "delta_check");
    std::vector<unsigned long long> sums = c.get(b.sums, 2 * all.size());
    size_t n_wrong = c.get(b.fault, 1)[0] != ~0ull;
    for (size_t i = 0; i < all.size(); i++) {
        const changed &w = all[i];
        uint64_t staged = 0, resident = 0, h = w.target.name_hash;
        for (size_t k = 0; k < w.positions.size(); k++) {
            staged += digest_mix(h, w.positions[k], w.values[k]);
            if (w.code_bytes) resident += digest_mix(h, w.positions[k], w.held[w.positions[k]]);
        }
        n_wrong += sums[2 * i] != staged || sums[2 * i + 1] != resident;
    }
    c.equal("delta_check", text("%zu changes", all.size()), n_wrong);
}

static void check_exchange(checker &c, std::vector<changed> &all) {
    struct delta_batch b = batch_of(c, all);
    size_t n_wrong = 0;
    c.done(delta_exchange_launch(&c.queue, &b), "delta_exchange");
    for (changed &w : all) {
        for (size_t k = 0; k < w.positions.size(); k++)
            std::swap(w.held[w.positions[k]], w.values[k]);
        struct weight_move m = w.place;
        size_t size = dtype_bytes(m.dtype);
        m.first = 0, m.n = (int64_t)w.held.size(), m.plain = c.room<char>(w.held.size() * size);
        c.done(weight_read_launch(&c.queue, &m), "weight_read");
        n_wrong += unpacked(c.get((char *)m.plain, w.held.size() * size), m.dtype) != w.held;
        n_wrong +=
            unpacked(c.get((char *)w.target.values, w.values.size() * size), m.dtype) != w.values;
    }
    c.equal("delta_exchange", text("%zu changes", all.size()), n_wrong);
}

// What the kernels touch: of the weight the elements that change, of the values each once.
static void check_bytes(checker &c) {
#ifdef __SANITIZE_THREAD__ // the race build, which sees ordinary accesses
    std::vector<changed> one;
    one.push_back(make(c, tiles_of(240, 160, 240, 1, 0), 256 * 192 * 2, 1, 20));
    put(c, one[0], 0);
    struct delta_batch b = batch_of(c, one);
    uint64_t n = one[0].positions.size(), n_wrong = 0;
    cudasim_clear_counts();
    cudasim_count_requests(1);
    c.done(delta_check_launch(&c.queue, &b), "delta_check");
    c.done(delta_exchange_launch(&c.queue, &b), "delta_exchange");
    struct cudasim_counts weight, values, codes;
    cudasim_buffer_counts("check_changes", one[0].place.data, &weight);
    cudasim_buffer_counts("check_changes", one[0].target.values, &values);
    cudasim_buffer_counts("check_changes", one[0].target.codes, &codes);
    n_wrong += weight.bytes_read != 2 * n || weight.bytes_written || values.bytes_written;
    n_wrong +=
        values.bytes_read != 2 * n || 10 * values.sector_bytes_used < 9 * 32 * values.sectors;
    n_wrong +=
        codes.bytes_read != 2 * (uint64_t)one[0].target.n_codes; // once to sum, once to place
    cudasim_buffer_counts("exchange_changes", one[0].place.data, &weight);
    cudasim_buffer_counts("exchange_changes", one[0].target.values, &values);
    n_wrong += weight.bytes_read != 2 * n || weight.bytes_written != 2 * n;
    n_wrong += values.bytes_read != 2 * n || values.bytes_written != 2 * n;
    n_wrong += 10 * values.sector_bytes_used < 9 * 32 * values.sectors;
    cudasim_count_requests(0);
    c.equal("delta bytes", text("%llu of %zu elements", (unsigned long long)n, one[0].held.size()),
            n_wrong);
#else
    (void)c;
#endif
}

// Each fault by itself, and that the least change and block are told.
static void check_faults(checker &c) {
    size_t n_wrong = 0;
    struct fault_case {
        enum delta_fault_kind kind;
        int change, block;
    };
    const fault_case cases[] = {
        {DELTA_BEGIN, 2, 1}, {DELTA_BEYOND, 1, 0}, {DELTA_END, 2, 0}, {DELTA_NOT_FINITE, 3, 0}};
    for (const fault_case &k : cases) {
        std::vector<changed> all;
        for (int i = 0; i < 4; i++)
            all.push_back(make(c, tiles_of(140, 136, 140, 1, 0), 160 * 192 * 2, 1, 2));
        for (int later = 0; later < 2; later++) { // the same in a later change too
            changed &w = all[(size_t)std::min(3, k.change + later)];
            if (k.kind == DELTA_BEGIN) w.anchors[1].cursor = 1ull << 40;
            if (k.kind == DELTA_BEGIN) w.anchors[1].n_values = ~0ull; // block 0 ends wrong too
            if (k.kind == DELTA_BEYOND) w.values.pop_back(), w.positions.pop_back();
            if (k.kind == DELTA_END) w.anchors[1].cursor++;
            if (k.kind == DELTA_NOT_FINITE) w.values[5] = 0xff80;
        }
        for (int i = 0; i < 4; i++) put(c, all[(size_t)i], i);
        struct delta_batch b = batch_of(c, all);
        c.done(delta_check_launch(&c.queue, &b), "delta_check");
        uint64_t fault = c.get(b.fault, 1)[0];
        n_wrong += delta_fault_change(fault) != k.change;
        n_wrong += k.kind != DELTA_BEGIN && delta_fault_kind(fault) != k.kind;
        n_wrong += k.kind == DELTA_END && delta_fault_block(fault) != 0;
        c.release();
    }
    c.equal("delta faults", text("%zu kinds", sizeof cases / sizeof *cases), n_wrong);
}

// A last code that goes on beyond the tensor, to no value.
static void check_trailing(checker &c) {
    changed w = make(c, lines_of(PLACE_ROWS, DTYPE_BF16, 7, 50, 64), 7 * 64 * 4, 1, 3);
    w.codes.push_back((char)delta_skip(1));
    put(c, w, 0);
    struct delta_batch b = batch_of(c, {w});
    c.done(delta_check_launch(&c.queue, &b), "delta_check");
    c.equal("delta faults", "a trailing code",
            delta_fault_kind(c.get(b.fault, 1)[0]) != DELTA_BEYOND);
    c.release();
}

// Values that are not finite, in each of their types.
static void check_finite(checker &c) {
    size_t n_wrong = 0;
    for (enum dtype t : {DTYPE_F32, DTYPE_BF16, DTYPE_F16})
        for (int code_bytes : {0, 1}) {
            changed w = make(c, lines_of(PLACE_VECTOR, t, 50, 3, 52), 3 * 52 * 4, code_bytes, 2);
            w.values.back() = t == DTYPE_F32 ? 0x7f800000u : t == DTYPE_BF16 ? 0x7f80u : 0x7c00u;
            put(c, w, 0);
            struct delta_batch b = batch_of(c, {w});
            c.done(delta_check_launch(&c.queue, &b), "delta_check");
            n_wrong += delta_fault_kind(c.get(b.fault, 1)[0]) != DELTA_NOT_FINITE;
            c.release();
        }
    c.equal("delta faults", "infinities", n_wrong);
}

void check_deltas(checker &c) {
    if (!c.is_first_family) return;
    std::vector<changed> all = every_kind(c);
    check_sums(c, all);
    check_exchange(c, all);
    check_sums(c, all); // of what was resident
    check_exchange(c, all);
    check_bytes(c);
    c.release();
    check_faults(c);
    check_trailing(c);
    check_finite(c);
}

// wgmma: matrix products of four warps. A product is computed once all 128 threads have issued it:
// at once, or when a thread waits for it (as late as is legal). Until then its accumulators hold
// NaN.
#include <memory>

#include "tests/cudasim/device/operand.h"

#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/product.h"

namespace cudasim {

enum { GROUP = 4 * WARP, MAX_N = 256 };

// What all threads of the warpgroup must say alike.
struct Shape {
    int n, trans_a, trans_b;
    bool accumulate, from_registers;
    uint64_t a, b; // descriptors
    const void *caller;
    bool same(const Shape &o) const {
        return n == o.n && trans_a == o.trans_a && trans_b == o.trans_b && a == o.a && b == o.b &&
               accumulate == o.accumulate && from_registers == o.from_registers;
    }
};

struct Product : Shape {
    unsigned n_issued; // threads
    float *d[GROUP];
    const uint32_t *a_registers[GROUP];
    uint32_t a_copy[GROUP][4];
    bool follows[GROUP]; // an earlier product in flight writes the same accumulator
    std::vector<float> before; // (128, n / 2) accumulators as they were issued
    race::Token token;
};

static unsigned slot_of(const Block *b, const Warpgroup *g) {
    return b->n_threads + race::MBARRIER_SLOTS + (unsigned)(g - b->warpgroups);
}

static Warpgroup *group_of(Thread *t, const char *what, const void *caller) {
    if (settings.device.major != 9)
        fail(caller, "%s needs sm_90a, the device is %s", what, settings.device.full_name);
    if (t->number / GROUP * GROUP + GROUP > t->owner->n_threads)
        fail(caller, "%s in a warp that is not one of four of a warpgroup", what);
    return &t->owner->warpgroups[t->number / GROUP];
}

void products_reset(Block *b) {
    for (Warpgroup &g : b->warpgroups) {
        g.products.clear();
        g.n_computed = 0;
        g.max_registers = 0;
        for (int i = 0; i < GROUP; i++) {
            g.fenced[i] = false;
            g.written[i].clear();
        }
        race::clear(g.sync);
    }
}

void products_check_end(Block *b) {
    for (Warpgroup &g : b->warpgroups)
        if (!g.products.empty())
            fail(g.products[0]->caller, "the block ended with %zu wgmma that nobody waited for",
                 g.products.size());
}

// ---------------------------------------------------------------- what threads may do to registers

__attribute__((no_sanitize("address"))) static uint64_t hash(const float *d, int n) {
    uint64_t h = 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        __builtin_memcpy(&bits, &d[i], 4);
        h = (h ^ bits) * 0x2545f4914f6cdd1dull;
        h ^= h >> 29;
    }
    return h;
}

static Accumulator *find_accumulator(Warpgroup *g, unsigned i, const float *d) {
    for (Accumulator &w : g->written[i])
        if (w.d == d) return &w;
    return nullptr;
}

static void remember(Warpgroup *g, unsigned i, const float *d, int n) {
    Accumulator *w = find_accumulator(g, i, d);
    if (!w) {
        g->written[i].push_back({d, n, 0});
        w = &g->written[i].back();
    }
    w->n = n;
    w->hash = hash(d, n);
}

void wgmma_fence() {
    Thread *t = current_thread("wgmma.fence");
    Warpgroup *g = group_of(t, "wgmma.fence", CALLER);
    unsigned i = t->number % GROUP;
    g->fenced[i] = true;
    for (Accumulator &w : g->written[i]) w.hash = hash(w.d, w.n);
}

// The accumulator of a product that no product in flight writes: is it fenced?
static void check_fence(Warpgroup *g, unsigned i, const float *d, int n, bool accumulate,
                        bool from_registers, const void *caller) {
    Accumulator *w = find_accumulator(g, i, d);
    bool known = w && w->n == n, same = known && w->hash == hash(d, n);
    if (g->fenced[i] && (!known || same || !accumulate)) return;
    if (same && !from_registers) return;
    fail(caller, "wgmma without a wgmma.fence since its %s were written by other instructions",
         from_registers && same ? "registers of A" : "accumulators");
}

// ---------------------------------------------------------------- issue

static Product *product_at(Warpgroup *g, uint64_t index, const Shape &shape) {
    size_t i = (size_t)(index - g->n_computed);
    if (i == g->products.size()) {
        if (g->spare.empty()) g->spare.push_back(std::make_shared<Product>());
        g->products.push_back(g->spare.back());
        g->spare.pop_back();
        static_cast<Shape &>(*g->products[i]) = shape;
        g->products[i]->n_issued = 0;
        for (float *&d : g->products[i]->d) d = nullptr;
    }
    Product *p = g->products[i].get();
    if (!p->same(shape))
        fail(shape.caller, "the threads of a warpgroup issue different wgmma: shapes n %d and %d, "
             "descriptors %#llx and %#llx, %#llx and %#llx, accumulate %d and %d", shape.n, p->n,
             (unsigned long long)shape.a, (unsigned long long)p->a, (unsigned long long)shape.b,
             (unsigned long long)p->b, shape.accumulate, p->accumulate);
    return p;
}

// The accumulator becomes the product's: its value is kept aside, NaN stands in its place.
static void take_accumulator(Warpgroup *g, Product *p, unsigned i, size_t n_ahead) {
    int n = p->n / 2;
    float *d = p->d[i];
    p->follows[i] = false;
    for (size_t k = 0; k < n_ahead; k++) {
        if (g->products[k]->d[i] != d) continue;
        if (g->products[k]->n != p->n)
            fail(p->caller, "wgmma of n %d on an accumulator that one of n %d still writes", p->n,
                 g->products[k]->n);
        p->follows[i] = true;
    }
    if (p->follows[i]) return;
    check_fence(g, i, d, n, p->accumulate, p->from_registers, p->caller);
    if (p->accumulate) {
        p->before.resize((size_t)GROUP * (size_t)n);
        __builtin_memcpy(&p->before[i * (size_t)n], d, (size_t)n * 4);
    }
    __builtin_memset(d, 0xff, (size_t)n * 4);
}

static void compute_until(Block *b, Warpgroup *g, uint64_t end);

void wgmma_bf16(int n, int trans_a, int trans_b, float *d, const uint32_t *a_registers, uint64_t a,
                uint64_t b, int accumulate) {
    Thread *t = current_thread("wgmma");
    Warpgroup *g = group_of(t, "wgmma", CALLER);
    unsigned i = t->number % GROUP;
    Shape shape = {n, trans_a, trans_b, accumulate != 0, a_registers != nullptr, a, b, CALLER};
    uint64_t index = t->n_products++;
    Product *p = product_at(g, index, shape);
    p->d[i] = d;
    p->a_registers[i] = a_registers;
    if (a_registers) __builtin_memcpy(p->a_copy[i], a_registers, 16);
    take_accumulator(g, p, i, (size_t)(index - g->n_computed));
    // Each warp must itself have seen what it reads.
    bool last = ++p->n_issued == GROUP;
    if (last || (race::IS_ON && t->lane == 0)) {
        race::Token token = race::begins("wgmma", true, CALLER);
        if (!a_registers) operand_will_read(token, t->owner, a, 64, trans_a, "A", CALLER);
        operand_will_read(token, t->owner, b, n, trans_b, "B", CALLER);
        if (last)
            p->token = token;
        else
            race::drops(token);
    }
    if (!last) return;
    t->owner->grid->counts->wgmma_flops += 2ull * 64 * 16 * (unsigned)n;
    bool now = settings.copies == When::early ||
               (settings.copies == When::random && t->owner->machine->one_in(2));
    if (now) compute_until(t->owner, g, index + 1);
    wake_all(t->owner, g);
}

void wgmma_commit() {
    Thread *t = current_thread("wgmma.commit_group");
    group_of(t, "wgmma.commit_group", CALLER);
    t->product_groups.push_back(t->n_products);
}

void wgmma_wait(int n_pending) {
    Thread *t = current_thread("wgmma.wait_group");
    Warpgroup *g = group_of(t, "wgmma.wait_group", CALLER);
    size_t n_groups = t->product_groups.size();
    if (n_groups <= (size_t)n_pending) return;
    uint64_t end = t->product_groups[n_groups - 1 - (size_t)n_pending];
    while (g->n_computed < end) {
        if (g->products[(size_t)(end - 1 - g->n_computed)]->n_issued == GROUP)
            compute_until(t->owner, g, end);
        else
            suspend("at wgmma.wait_group for warps that have not issued the product", g, CALLER);
    }
    t->product_groups.erase(t->product_groups.begin(),
                            t->product_groups.end() - (long)n_pending);
    if (t->n_products == end) g->fenced[t->number % GROUP] = false;
    race::acquire(t, g->sync);
}

void set_max_registers(int n, bool increase) {
    Thread *t = current_thread("setmaxnreg");
    Warpgroup *g = group_of(t, "setmaxnreg", CALLER);
    Block *b = t->owner;
    if (n < 24 || n > 256 || n % 8)
        fail(CALLER, "setmaxnreg of %d registers; 24 to 256 by 8 are expected", n);
    if (t->number % GROUP) return;
    if (g->max_registers && (increase ? n < g->max_registers : n > g->max_registers))
        fail(CALLER, "setmaxnreg.%s to %d registers from %d", increase ? "inc" : "dec", n,
             g->max_registers);
    g->max_registers = n;
    int sum = 0;
    for (unsigned i = 0; i < b->n_threads / GROUP; i++) sum += b->warpgroups[i].max_registers;
    if (sum * GROUP > 65536)
        fail(CALLER, "setmaxnreg: the warpgroups ask for %d registers together; an SM has 65536",
             sum * GROUP);
}

// ---------------------------------------------------------------- the product

// The 64 x n accumulator of the products that follow one another on the same registers.
struct Tile {
    alignas(32) float c[64][MAX_N];
};

// element(i, j) of thread i: row and column in the tile.
static inline int row_of(int i, int j) { return 16 * (i / 32) + i % 32 / 4 + 8 * (j / 2 % 2); }
static inline int column_of(int i, int j) { return 8 * (j / 4) + 2 * (i % 4) + j % 2; }

static void load_tile(Tile *tile, const Product &p) {
    int n = p.n / 2;
    for (int i = 0; i < GROUP; i++)
        for (int j = 0; j < n; j++) {
            float c = !p.accumulate  ? 0
                      : p.follows[i] ? p.d[i][j]
                                     : p.before[(size_t)i * (size_t)n + (size_t)j];
            tile->c[row_of(i, j)][column_of(i, j)] = c;
        }
}

static void store_tile(const Tile &tile, Warpgroup *g, const Product &p) {
    int n = p.n / 2;
    for (int i = 0; i < GROUP; i++) {
        for (int j = 0; j < n; j++) p.d[i][j] = tile.c[row_of(i, j)][column_of(i, j)];
        remember(g, (unsigned)i, p.d[i], n);
    }
}

// Both operands of one product with their exponents.
struct Operands {
    alignas(32) float a[64][16], b[16][MAX_N];
    alignas(32) int32_t a_exponents[64][16], b_exponents[16][MAX_N];
};

static void multiply(Tile *tile, Operands *o, int n) {
    product_exponents(o->a[0], o->a_exponents[0], 64 * 16);
    for (int k = 0; k < 16; k++) product_exponents(o->b[k], o->b_exponents[k], n);
    product_add(tile->c[0], MAX_N, o->a, o->a_exponents, 64,
                {o->b[0], o->b_exponents[0], MAX_N, n});
}

static void gather_a_registers(const Product &p, float (*a)[16]) {
    for (int i = 0; i < GROUP; i++) {
        if (__builtin_memcmp(p.a_copy[i], p.a_registers[i], 16) != 0)
            fail(p.caller, "the registers of A of a wgmma were written before wgmma.wait_group");
        int row = 16 * (i / 32) + i % 32 / 4, k = 2 * (i % 4);
        for (int h = 0; h < 2; h++) {
            a[row][k + h] = bf16_half(p.a_copy[i][0], h);
            a[row + 8][k + h] = bf16_half(p.a_copy[i][1], h);
            a[row][k + 8 + h] = bf16_half(p.a_copy[i][2], h);
            a[row + 8][k + 8 + h] = bf16_half(p.a_copy[i][3], h);
        }
    }
}

static bool same_accumulators(const Product &p, const Product &q) {
    for (int i = 0; i < GROUP; i++)
        if (p.d[i] != q.d[i]) return false;
    return p.n == q.n;
}

// Accumulators that products still in flight go on with hold NaN again.
static void take_back(Warpgroup *g) {
    for (size_t k = 0; k < g->products.size(); k++) {
        Product *p = g->products[k].get();
        for (unsigned i = 0; i < GROUP; i++) {
            if (!p->d[i] || !p->follows[i]) continue;
            bool first = true;
            for (size_t ahead = 0; ahead < k; ahead++)
                first = first && g->products[ahead]->d[i] != p->d[i];
            if (!first) continue;
            size_t n = (size_t)p->n / 2;
            p->before.resize(GROUP * n);
            __builtin_memcpy(&p->before[i * n], p->d[i], n * 4);
            __builtin_memset(p->d[i], 0xff, n * 4);
            p->follows[i] = false;
        }
    }
}

static void compute_until(Block *b, Warpgroup *g, uint64_t end) {
    // On the heap: an object that is opened late finds little room for variables of threads.
    static thread_local std::unique_ptr<Tile> tile_room(new Tile);
    static thread_local std::unique_ptr<Operands> operands_room(new Operands);
    Tile &tile = *tile_room;
    Operands &operands = *operands_room;
    size_t n = (size_t)(end - g->n_computed);
    for (size_t k = 0; k < n; k++) {
        const Product &p = *g->products[k];
        bool follows = k > 0 && same_accumulators(*g->products[k - 1], p);
        if (k > 0 && !follows) store_tile(tile, g, *g->products[k - 1]);
        if (!follows || !p.accumulate) load_tile(&tile, p);
        if (p.from_registers)
            gather_a_registers(p, operands.a);
        else
            operand_gather_rows(b, p.a, 64, p.trans_a, operands.a);
        operand_gather_columns(b, p.b, p.n, p.trans_b, operands.b);
        multiply(&tile, &operands, p.n);
        race::ends(p.token, b, slot_of(b, g), (uint32_t)(g->n_computed + k + 1));
    }
    store_tile(tile, g, *g->products[n - 1]);
    g->spare.insert(g->spare.end(), g->products.begin(), g->products.begin() + (long)n);
    g->products.erase(g->products.begin(), g->products.begin() + (long)n);
    g->n_computed = end;
    take_back(g);
    race::slot_reaches(b, slot_of(b, g), (uint32_t)end, g->sync);
    b->machine->progress++;
}

} // namespace cudasim

// Determinants and inverses of matrices of rational numbers.
#include <flint/fmpq_mat.h>

#include "verifiers/math/exact/exact_library.h"

enum { MAX_SIZE = 16 };

// Fills `out`, (n, n). False where a cell is no rational number, or the work too much.
static bool read_cells(fmpq_mat_t out, const struct math_node *const *cells, int n,
                       struct calc *c) {
    if (!calc_spend(c, (int64_t)n * n * n / 4)) return false;
    for (int i = 0; i < n * n; i++)
        if (!exact_rational(cells[i], fmpq_mat_entry(out, i / n, i % n), c)) return false;
    for (int i = 0; i < n * n; i++) {
        const fmpq *cell = fmpq_mat_entry(out, i / n, i % n);
        if (fmpz_bits(fmpq_numref(cell)) > 512 || fmpz_bits(fmpq_denref(cell)) > 512) return false;
    }
    return true;
}

const struct math_node *exact_determinant(const struct math_node *const *cells, int n,
                                          struct math_budget *budget, struct arena *arena) {
    struct calc c = {.budget = budget};
    fmpq_mat_t m;
    fmpq_t value;
    const struct math_node *out = NULL;
    if (n > MAX_SIZE) return NULL;
    fmpq_mat_init(m, n, n);
    fmpq_init(value);
    if (read_cells(m, cells, n, &c)) {
        fmpq_mat_det(value, m);
        out = exact_rational_node(value, arena);
    }
    fmpq_clear(value);
    fmpq_mat_clear(m);
    return out;
}

bool exact_inverse(const struct math_node *const *cells, int n, struct math_budget *budget,
                   struct arena *arena, const struct math_node **out) {
    struct calc c = {.budget = budget};
    fmpq_mat_t m;
    if (n > MAX_SIZE) return false;
    fmpq_mat_init(m, n, n);
    const bool good = read_cells(m, cells, n, &c) && fmpq_mat_inv(m, m);
    for (int i = 0; i < n * n && good; i++)
        out[i] = exact_rational_node(fmpq_mat_entry(m, i / n, i % n), arena);
    fmpq_mat_clear(m);
    return good;
}

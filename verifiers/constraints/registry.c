// The list of all constraints.
#include "verifiers/constraints/constraints.h"

extern const struct constraint_table ifeval_words_table, ifeval_length_table, ifeval_format_table,
    ifeval_content_table, ifbench_count_table, ifbench_ratio_table, ifbench_words_table,
    ifbench_position_table, ifbench_format_table, ifbench_nesting_table, ifbench_custom_table,
    ifbench_csv_table, ifrlvr_copy_table, ifrlvr_words_table;

static const struct constraint_table *const TABLES[] = {
    &ifeval_words_table,   &ifeval_length_table,   &ifeval_format_table,  &ifeval_content_table,
    &ifbench_count_table,  &ifbench_ratio_table,   &ifbench_words_table,  &ifbench_position_table,
    &ifbench_format_table, &ifbench_nesting_table, &ifbench_custom_table, &ifbench_csv_table,
    &ifrlvr_copy_table,    &ifrlvr_words_table,
};

enum { N_TABLES = sizeof TABLES / sizeof *TABLES };

const struct constraint *constraint_at(int i) {
    for (int t = 0; t < N_TABLES; t++) {
        if (i < TABLES[t]->n_rows) return &TABLES[t]->rows[i];
        i -= TABLES[t]->n_rows;
    }
    return NULL;
}

const struct constraint *constraint_find(struct slice id) {
    for (int t = 0; t < N_TABLES; t++)
        for (int i = 0; i < TABLES[t]->n_rows; i++)
            if (slice_is(id, TABLES[t]->rows[i].id)) return &TABLES[t]->rows[i];
    return NULL;
}

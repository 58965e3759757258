#include "tests/verifiers/constraints/pieces.h"

#include <stdlib.h>

char *pieces_join_runs(const struct runs *list, const char *between) {
    struct slices flat = {.items = memory_new(list->n + 1, sizeof *flat.items), .n = list->n};
    for (size_t i = 0; i < list->n; i++) flat.items[i] = runs_at(list, i);
    char *text = pieces_join(&flat, between);
    free(flat.items);
    return text;
}

char *pieces_join(const struct slices *list, const char *between) {
    struct buffer out = {0};
    buffer_add_text(&out, "");
    for (size_t i = 0; i < list->n; i++) {
        if (i) buffer_add_text(&out, between);
        buffer_add_slice(&out, list->items[i]);
    }
    char *text = memory_copy(out.ptr, out.len);
    buffer_free(&out);
    return text;
}

#include "tests/verifiers/constraints/slowly.h"

#include <assert.h>

#include "protocol/base/buffer.h"
#include "verifiers/constraints/chars.h"

bool slowly_follows_variant(const struct constraint_list *list, int i, struct slice variant) {
    struct arena arena = {0};
    struct constraint_text text;
    if (slice_is_blank(variant)) return false;
    // A copy of its own, so that nothing is known of what stands beside it.
    const char *copy = arena_copy(&arena, variant.ptr, variant.len);
    text_open(&text, (struct slice){copy, variant.len}, &arena);
    const bool follows = constraint_list_follows(list, i, &text);
    assert(!text.over);
    arena_clear(&arena);
    return follows;
}

static bool follows_either(const struct constraint_list *list, int i, struct slice s) {
    struct buffer starless = {0};
    buffer_add_text(&starless, "");
    for (size_t k = 0; k < s.len; k++)
        if (s.ptr[k] != '*') buffer_add(&starless, &s.ptr[k], 1);
    const bool follows = slowly_follows_variant(list, i, s) ||
                         slowly_follows_variant(list, i, buffer_slice(&starless));
    buffer_free(&starless);
    return follows;
}

bool slowly_follows(const struct constraint_list *list, int i, struct slice s) {
    const ptrdiff_t first = slice_find(s, slice_of("\n"), 0);
    ptrdiff_t last = -1;
    for (ptrdiff_t at = first; at >= 0; at = slice_find(s, slice_of("\n"), (size_t)at + 1))
        last = at;
    if (follows_either(list, i, s)) return true;
    if (first < 0) return false;
    const struct slice behind = slice_from(s, (size_t)first + 1);
    const struct slice before = slice_part(s, 0, (size_t)last);
    const struct slice between =
        first < last ? slice_part(s, (size_t)first + 1, (size_t)last) : (struct slice){"", 0};
    return follows_either(list, i, slice_strip(behind, CHAR_SPACE)) ||
           follows_either(list, i, slice_strip(before, CHAR_SPACE)) ||
           follows_either(list, i, slice_strip(between, CHAR_SPACE));
}

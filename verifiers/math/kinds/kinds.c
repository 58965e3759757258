// The kinds of answers, and how two of them are compared.
#include "verifiers/math/kinds/kinds.h"

#include <assert.h>

enum { MAX_DEPTH = 24 };

// In the order in which they are read: those with a level from the loosest on.
static const struct reader *const READERS[] = {
    &time_kind.reader,     &letter_kind.reader,   &text_kind.reader,     &list_kind.reader,
    &relation_kind.reader, &interval_kind.reader, &ratio_kind.reader,    &tuple_kind.reader,
    &matrix_kind.reader,   &big_kind.reader,      &quantity_kind.reader,
};

// In the order in which they are asked, first for normal forms, then for a verdict.
static const struct kind *const KINDS[] = {
    &named_kind,  &letter_kind,   &text_kind,     &dots_kind,   &vector_kind,
    &big_kind,    &interval_kind, &relation_kind, &matrix_kind, &quantity_kind,
    &number_kind, &time_kind,     &ratio_kind,    &tuple_kind,  &list_kind,
};

#define N(list) ((int)(sizeof(list) / sizeof *(list)))

enum math_read kinds_read(struct slice text, bool prose, struct arena *arena,
                          struct math_budget *budget, struct math_node **out, size_t *stopped) {
    return parse_span(text, prose, READERS, N(READERS), arena, budget, out, stopped);
}

static enum math_verdict compare(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    enum math_verdict verdict;
    for (int i = 0; i < N(KINDS); i++) {
        if (!KINDS[i]->normal) continue;
        gold = KINDS[i]->normal(c, gold);
        answer = KINDS[i]->normal(c, answer);
    }
    for (int i = 0; i < N(KINDS); i++)
        if (KINDS[i]->compare && KINDS[i]->compare(c, gold, answer, &verdict)) {
            assert(verdict <= MATH_LIMIT && c->rule); // who decides says by what
            return verdict;
        }
    return kind_said(c, "form", MATH_DIFFERENT);
}

enum math_verdict kinds_compare(struct comparison *c, const struct math_node *gold,
                                const struct math_node *answer) {
    if (tree_same(gold, answer)) return kind_said(c, "same", MATH_EQUAL);
    if (c->depth >= MAX_DEPTH || !math_step(c->budget, 1))
        return kind_said(c, "budget", MATH_LIMIT);
    c->depth++;
    const enum math_verdict verdict = compare(c, gold, answer);
    c->depth--;
    return verdict;
}

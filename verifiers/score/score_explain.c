// --explain: how a completion was read, and what each term said.
#include "verifiers/math/answer.h"
#include "verifiers/math/math.h"
#include "verifiers/score/score_grader.h"

static void add_line(struct buffer *out, const char *name, struct slice text) {
    buffer_printf(out, "    %-8s ", name);
    json_add_string(out, text);
    buffer_add_text(out, "\n");
}

// A text as the grader of mathematics reads it, on a line of its own.
static void add_tree(struct buffer *out, const char *name, struct slice text, bool prose) {
    struct arena arena = {0};
    struct math_budget budget = {0};
    struct math_node *tree;
    add_line(out, name, text);
    buffer_printf(out, "    %-8s ", "  read as");
    switch (math_parse(text, prose, &arena, &budget, &tree, NULL)) {
    case MATH_READ:
        buffer_add_text(out, math_show(tree, &arena));
        break;
    case MATH_EMPTY:
        buffer_add_text(out, "nothing");
        break;
    case MATH_UNREADABLE:
        buffer_add_text(out, "no form that is understood");
        break;
    case MATH_OVER:
        buffer_add_text(out, "too long or too deep");
        break;
    }
    buffer_add_text(out, "\n");
    arena_clear(&arena);
}

static void add_gold(struct buffer *out, const struct json *gold, struct arena *arena) {
    if (gold->type == JSON_STRING)
        add_tree(out, "gold", json_string(gold, arena), false);
    else if (gold->type == JSON_NUMBER)
        add_tree(out, "gold", gold->text, false);
}

static void explain_math(const struct reward_spec_term *spec, struct slice completion,
                         const struct verifier_outcome *o, struct buffer *out) {
    struct arena arena = {0};
    struct answer answer;
    const struct json *gold = json_get(json_parse(spec->json, &arena, NULL), "gold");
    if (gold && gold->type == JSON_ARRAY)
        for (const struct json *g = gold->first; g; g = g->next) add_gold(out, g, &arena);
    else if (gold)
        add_gold(out, gold, &arena);
    if (answer_select(completion, &answer)) {
        add_line(out, "found by", slice_of(answer.rule));
        for (int i = 0; i < answer.n_parts; i++)
            add_tree(out, "answer", answer.parts[i], answer.prose);
    }
    if (o->rule && o->rule[0]) {
        add_line(out, "rule", slice_of(o->rule));
        buffer_printf(out, "    %-8s %lld\n", "steps", (long long)o->steps);
    }
    arena_clear(&arena);
}

void score_explain(const struct score_row *row, const struct reward_spec *spec,
                   struct slice completion, const struct verifier_outcome *outcomes,
                   struct buffer *out) {
    buffer_printf(out, "record %llu", (unsigned long long)row->stat.index);
    if (row->sample >= 0) buffer_printf(out, ", sample %d", row->sample);
    if (row->id.ptr) {
        buffer_add_text(out, ", id ");
        buffer_add_slice(out, row->id);
    }
    if (!row->reward) {
        buffer_printf(out, ": %s\n", row->error ? row->error : "no reward");
        return;
    }
    buffer_printf(out, ": %s, value ", reward_status_name(row->reward->status));
    json_add_double(out, row->reward->value);
    buffer_add_text(out, "\n");
    for (int i = 0; i < row->reward->n_terms; i++) {
        const struct reward_term *t = &row->reward->terms[i];
        buffer_printf(out, "  %s: %s, value ", t->name, reward_status_name(t->status));
        json_add_double(out, t->value);
        buffer_add_text(out, "\n");
        add_line(out, "term", spec->terms[i].json);
        if (outcomes && strcmp(t->verifier, "math") == 0)
            explain_math(&spec->terms[i], completion, &outcomes[i], out);
        if (t->parts[0]) add_line(out, "followed", slice_of(t->parts));
        if (t->detail[0]) add_line(out, "because", slice_of(t->detail));
    }
}

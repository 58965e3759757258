// --explain: how a completion was read, and what each term said.
#include "verifiers/math/math.h"
#include "verifiers/score/score_row.h"

static void add_line(struct buffer *out, const char *name, struct slice text) {
    buffer_printf(out, "    %-9s ", name);
    json_add_string(out, text);
    buffer_add_text(out, "\n");
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
        if (spec->terms[i].builtin == &math_verifier)
            math_explain(spec->terms[i].state, completion, out);
        else if (outcomes && outcomes[i].rule && outcomes[i].rule[0])
            add_line(out, "rule", slice_of(outcomes[i].rule));
        if (t->parts[0]) add_line(out, "followed", slice_of(t->parts));
        if (t->detail[0]) add_line(out, "because", slice_of(t->detail));
    }
}

// --explain: how a completion was read, and what each term said.
#include "verifiers/math/answer.h"
#include "verifiers/score/score_grader.h"
#include "verifiers/verifier.h"

static void add_quoted(struct buffer *out, const char *name, struct slice text) {
    buffer_printf(out, "    %-9s ", name);
    json_add_string(out, text);
    buffer_add_text(out, "\n");
}

static void explain_term(const struct reward_term *t, const struct reward_spec_term *spec,
                         const struct verifier_sample *sample, struct buffer *out) {
    struct answer answer;
    buffer_printf(out, "  %s: %s, value ", t->name, reward_status_name(t->status));
    json_add_double(out, t->value);
    buffer_add_text(out, "\n");
    add_quoted(out, "term", spec->json);
    if (strcmp(t->verifier, "math") == 0 && answer_select(sample->completion, &answer))
        for (int k = 0; k < answer.n_parts; k++) add_quoted(out, answer.rule, answer.parts[k]);
    if (t->detail[0]) add_quoted(out, "because", slice_of(t->detail));
}

void score_explain(const struct score_row *row, const struct reward_spec *spec,
                   const struct verifier_sample *sample, struct buffer *out) {
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
    for (int i = 0; i < row->reward->n_terms; i++)
        explain_term(&row->reward->terms[i], &spec->terms[i], sample, out);
}

// The pipe contract: one JSON object a line, both ways. README.md is its description for users.
//
// Every program is asked {"id", "completion", "term", ...} and answers {"id", "value", ...}. This
// program's own children get the whole reward spec once ({"slot", "reward", "external"}, no reply),
// then samples that name the slot, and answer for all built-in terms at once.
#ifndef VERIFIERS_PROCESS_WIRE_H
#define VERIFIERS_PROCESS_WIRE_H

#include "verifiers/verifier.h"

enum {
    WIRE_MAX_REPLY_BYTES = 64 << 10,
    WIRE_N_SLOTS = 64, // specs that a child of ours keeps
};

// Requests; each appends one line.
void wire_add_term_request(struct buffer *out, uint64_t id, const struct reward_spec_term *term,
                           const struct verifier_sample *sample);
void wire_add_slot(struct buffer *out, int slot, const struct reward_spec *spec);
void wire_add_slot_request(struct buffer *out, uint64_t id, int slot,
                           const struct verifier_sample *sample);

// Replies. `line` is without its newline; the error says what was expected of the program.
int wire_read_term_reply(struct slice line, uint64_t id, struct verifier_outcome *out,
                         struct error *err);
void wire_add_slot_reply(struct buffer *out, uint64_t id, const struct reward_spec *spec,
                         const struct verifier_outcome *outcomes); // (n_terms)
// Fills the outcomes of the spec's built-in terms and leaves the others.
int wire_read_slot_reply(struct slice line, uint64_t id, const struct reward_spec *spec,
                         struct verifier_outcome *outcomes, struct error *err);

#endif

// One weight update as a transaction (D8): announced, pulled into staging while decoding
// goes on, verified, then applied between two steps. Until update_apply nothing of the resident
// weights is touched, so whatever fails before leaves the old version serving.
//
// A state machine without sockets, clocks or threads: the I/O thread drives it, and hands it to the
// engine's thread when it is to be applied. Values are absolute, so an apply could be repeated.
#ifndef WORKER_WEIGHTS_UPDATE_H
#define WORKER_WEIGHTS_UPDATE_H

#include "protocol/messages.h"
#include "worker/weights/resident.h"

enum {
    UPDATE_WINDOW = 8,             // chunks asked for and not here yet
    UPDATE_PULL_TIMEOUT_MS = 3000, // then a chunk is asked for again
};

struct update;

// What an offer is checked against.
struct update_target {
    const struct names *names;
    const enum dtype *dtypes; // (names->n)
    uint64_t version;         // served now; the offer's base must equal it
    bool is_inherited;        // no update of this epoch made it: a trainer that starts again from
                              // an older checkpoint may go back
    uint64_t staging_bytes;   // --staging-memory
};

// Checks an offer: base, names, types, shapes, sizes, room. -1 with a sentence, and the hub name of
// the tensor that is to blame in `tensor` (empty when none is).
int update_begin(const struct message_weights_begin *m, const struct update_target *target,
                 struct update **out, char tensor[NAMES_MAX_BYTES], struct error *err);
void update_free(struct update **u);

uint64_t update_id(const struct update *u);
uint64_t update_version(const struct update *u); // after the apply

// The next chunk to ask for: true with *pull filled when the window has room or a chunk is overdue.
bool update_next_pull(struct update *u, int64_t now_ms, struct message_weights_pull *pull);

// Takes a chunk. A tensor whose last byte came is verified: checksum, and every value finite.
// Chunks that were not asked for (late ones of a repeated pull) change nothing. -1: the update is
// lost; tensor and sentence as above.
int update_chunk(struct update *u, const struct message_weights_chunk *m,
                 char tensor[NAMES_MAX_BYTES], struct error *err);

bool update_is_staged(const struct update *u); // every tensor is here and verified

// Writes the staged values into the backend and makes the digest theirs. Between two steps, on the
// engine's thread. Cannot fail: all that can was done before.
void update_apply(const struct update *u, struct resident *r, struct backend *b);

#endif

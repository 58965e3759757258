// One weight update as a transaction (D8):
//
//   STAGING      offered and taken; its bytes are pulled into the staging memory while decoding
//                goes on, and every tensor that is whole is proved there
//   VERIFIED     all of it is here and proved: it waits for COMMIT
//   COMMITTED    exchanged with the resident weights, between two steps; the staging memory holds
//                the former values
//   ROLLED_BACK  exchanged again, or taken back before it was: the base is served, bit for bit
//   FAILED       before COMMIT: nothing of the resident weights was touched
//
// Three threads hold it, each by a reference. The I/O thread begins it, pulls and takes chunks; the
// thread of weights stages and proves (stager.h); the engine's applies and undoes. No sockets.
#ifndef WORKER_WEIGHTS_UPDATE_H
#define WORKER_WEIGHTS_UPDATE_H

#include "protocol/messages.h"
#include "worker/weights/resident.h"

enum {
    UPDATE_WINDOW = 8,             // chunks asked for, or here and not staged yet
    UPDATE_PULL_TIMEOUT_MS = 3000, // then a chunk is asked for again
};

enum update_state {
    UPDATE_STAGING,
    UPDATE_VERIFIED,
    UPDATE_COMMITTED,
    UPDATE_ROLLED_BACK,
    UPDATE_FAILED
};

struct update;

// What an offer is checked against.
struct update_target {
    const struct resident *resident;
    uint64_t version;       // served now; the offer's base must equal it
    bool is_inherited;      // no update of this epoch made it: a trainer that starts again from
                            // an older checkpoint may go back
    uint64_t staging_bytes; // the backend's
};

// Checks an offer that message_decode accepted: base, names, types, shapes, room. -1 with a
// sentence, and the hub name of the tensor that is to blame in `tensor` (empty when none is). No
// update may be applied or undone meanwhile. One reference is the caller's.
int update_begin(const struct message_weights_begin *m, const struct update_target *target,
                 struct update **out, char tensor[NAMES_MAX_BYTES], struct error *err);
struct update *update_hold(struct update *u); // another reference
void update_release(struct update **u);

uint64_t update_id(const struct update *u);
uint64_t update_base(const struct update *u);    // before the apply
uint64_t update_version(const struct update *u); // after it
enum update_state update_state(struct update *u);

// How its bytes come: only those of TRANSPORT_BULK are pulled.
enum message_transport update_transport(const struct update *u);
// TRANSPORT_NCCL: how many each broadcast has, and whether the communicator has been joined for it.
uint64_t update_bucket_bytes(const struct update *u);
bool update_is_receiving(struct update *u);

// What is to blame for UPDATE_FAILED: a sentence, and a tensor as in update_begin. True: what came
// is not what was announced.
bool update_failure(struct update *u, char tensor[NAMES_MAX_BYTES], struct error *err);

// What the apply adds to the digest; from UPDATE_VERIFIED on.
uint64_t update_digest_change(const struct update *u);
int64_t update_check_us(const struct update *u);  // time that proving took; likewise
int64_t update_remake_us(const struct update *u); // and that remaking took
int64_t update_pause_us(const struct update *u);  // that the last apply or undo took; behind it

// ---- the I/O thread

// The next bytes to ask for: true with *pull filled when the window has room or a chunk is overdue.
bool update_next_pull(struct update *u, int64_t now_ms, struct message_weights_pull *pull);

// Whether a chunk was asked for and is to be staged. Late ones of a repeated pull are not; one of
// another size than was asked for fails the update.
bool update_take(struct update *u, const struct message_weights_chunk *m);

// Nobody wants it any more: what is still queued is not staged.
void update_drop(struct update *u);

// ---- the thread of weights

// Stages a chunk that was taken, and proves the tensors that are whole now. Fails the update where
// they are wrong.
void update_stage(struct update *u, const struct message_weights_chunk *m, struct backend *b);

// For receiver.h and directory.h: bytes offset .. offset + n - 1 have arrived in the staging
// memory; a failure that is no tensor's; the communicator is there; whether bytes are still wanted.
void update_arrived(struct update *u, uint64_t offset, uint64_t n, struct backend *b);
void update_fail(struct update *u, const struct error *why);
void update_set_receiving(struct update *u);
bool update_is_wanted(struct update *u);
uint64_t update_total_bytes(const struct update *u);

// ---- the engine's thread, between two steps

// Exchanges a VERIFIED update with the resident weights; undo: a COMMITTED one, again. The digest
// follows. -1 only where the device failed: what it holds is then not known.
int update_apply(struct update *u, struct resident *r, struct backend *b, struct error *err);
int update_undo(struct update *u, struct resident *r, struct backend *b, struct error *err);
// A VERIFIED update is not to be applied after all: ROLLED_BACK, with nothing to exchange.
void update_forgo(struct update *u);

#endif

// Results on their way out: encoded once, sent, and kept until the trainer acknowledges them.
// Belongs to the I/O thread.
#ifndef WORKER_SESSION_OUTBOX_H
#define WORKER_SESSION_OUTBOX_H

#include "protocol/messages.h"
#include "protocol/socket.h"
#include "worker/session/output.h"
#include "worker/task.h"

struct result; // encoded, not acknowledged

// Results have numbers first .. next - 1; the one of number i, if it is still here, is
// results[i modulo room].
struct outbox {
    struct result **results; // (room), room a power of 2
    uint64_t room, first, next;
    uint64_t next_new;   // the first that was never sent in this session
    int64_t next_due_ms; // no result is sent again before
    struct output_shape shape;
    int n_unacked;              // results
    uint64_t n_unacked_samples; // of which an ACK gives credit
    uint64_t n_resent_samples;
    uint64_t n_bytes; // of all results that are here
};

void outbox_open(struct outbox *o, const struct output_shape *shape);
void outbox_clear(struct outbox *o); // drops everything; numbers go on
void outbox_close(struct outbox *o);

// Whose results these are: they are of no use to another run or epoch.
struct outbox_session {
    struct slice run;
    uint64_t epoch;
    bool is_over; // a session before the present one: its credit ended with it
};

// Encodes samples of a list (by `next`) as RESULTs and frees them. A sample that does not fit into
// a message (too many routed experts) is answered as an error instead.
void outbox_add(struct outbox *o, const struct outbox_session *session, struct sample *list);

// Answers a TASK that was refused: all its samples end with finish reason `error`.
void outbox_refuse(struct outbox *o, const struct outbox_session *session,
                   const struct message_task *m, const struct error *why);

// Sends what is new and, again, what has waited for an ACK since MESSAGE_RESEND_MS. Stops when the
// socket is full.
int outbox_send(struct outbox *o, struct socket *socket, int64_t now_ms, struct error *err);

// Adds the serial of each result that is here, as uint64.
void outbox_serials(const struct outbox *o, struct buffer *serials);

// Forgets the result. Returns the samples that credit may rise by: those it had, or 0 when it is
// not known (any more) or of a session that is over.
int outbox_ack(struct outbox *o, uint64_t result);

// A new session of the same run and epoch: everything is sent again. ACKs of results from number
// `after` on give no credit: they came after HELLO had said how much there is.
void outbox_resend_all(struct outbox *o, uint64_t after);

#endif

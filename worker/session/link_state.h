// The insides of a link, shared by the files that make it: link.c (the thread and its timers),
// link_receive.c (what each message does), link_weights.c (updates), link_port.c (engine's side).
#ifndef WORKER_SESSION_LINK_STATE_H
#define WORKER_SESSION_LINK_STATE_H

#include "worker/session/link.h"
#include "worker/session/progress.h"
#include "worker/weights/look.h"
#include "worker/weights/scrub.h"
#include "worker/weights/stager.h"

struct link {
    struct link_options options;
    struct socket *socket;
    pthread_t thread;
    bool started;
    struct inbox inbox;
    atomic_int n_signals;

    // The engine's thread's own.
    struct port port;
    struct resident *resident;
    struct scrub *scrub; // NULL: it is off
    struct progress progress;
    int64_t looked_ms;   // at the progress of tasks
    struct update *held; // to be applied when no row is in flight, or at held_until_ms
    int64_t held_until_ms;

    // Shared with the engine's thread, under `lock`.
    pthread_mutex_t lock;
    struct sample *given, **last_given; // samples to be sent
    bool is_over;                       // the loop has ended, however it ended
    struct buffer moved;                // uint64 serials of tasks that go on
    bool has_looked;                    // they are news
    struct scrub_damage damage;         // its tensor is empty: none was found

    // The I/O thread's own.
    struct outbox outbox;
    uint64_t incarnation;
    struct outgoing *outgoing, **last_outgoing; // messages that must arrive, not sent yet
    int n_outgoing;
    bool joined, asked_to_drain, draining, preempted, done;
    uint64_t session;       // counts HELLOs that were answered
    uint64_t first_session; // the first one of this run and epoch
    uint64_t n_put, n_back; // samples handed to the engine, and given back by it
    enum link_end end;
    char run[MESSAGE_MAX_RUN + 1];
    uint64_t epoch;
    uint64_t credit;                    // samples that may have been sent since WELCOME
    uint64_t n_received;                // that were sent since then
    int64_t n_left;                     // that were acknowledged since then, less those owed before
    uint64_t hello_slots, hello_result; // credit that the last HELLO gave; the next result then
    int heartbeat_ms, lost_ms;
    int64_t hello_ms, heard_ms, beat_ms, trainer_ms, drain_ms; // when these happened last
    bool hurried; // a refusal has made the next HELLO come earlier
    int64_t connect_ms;
    uint64_t sent_credit;
    struct stager *stager;
    struct receiver_join join; // of the last NCCL_JOIN
    bool has_join;             // that no offer has used yet
    bool told_receiving;       // of `update`
    struct look *look;         // at --weights-dir's id, begun at look_ms; NULL: none
    int64_t look_ms;
    char directory[DIRECTORY_ID_CHARS + 1]; // that id, "": it has none
    bool told_directory;                    // that its id cannot be read
    struct message *offer;    // a WEIGHTS_BEGIN that waits until the engine has its update
    struct update *update;    // being staged, or waiting for COMMIT
    struct update *applied;   // handed to the engine last: may be taken back, until a new offer
    bool is_undoing;          // `applied`
    enum update_state told;   // of `update` or `applied`, what the trainer was told
    uint64_t n_handed;        // applies and undoes that were handed to the engine
    uint64_t version_session; // session in which the served version was committed, 0: none
    uint64_t n_foreign;       // messages of another run or epoch
    bool key_refused;         // and said so
    uint64_t refusals_said;   // of those and malformed ones, in the log

    // For the status board.
    struct status_link seen;
    uint64_t wanted_version;       // of WELCOME; 0: the trainer has pushed nothing
    int64_t offered_us, commit_us; // when the update that is under way was offered; committed
};

// link_status.c: what others are told. At the end of each turn; when an update is offered or is to
// be committed; when a status of it is said.
void link_publish(struct link *l);
void link_note_update(struct link *l, const struct message *m);

// Sends a message of the session; one that cannot be sent now is lost. For those that come again by
// themselves.
int link_send(struct link *l, struct message *m, struct error *err);

// Puts a message of the session in line: it is sent, in order, as soon as there is room, or goes
// with the session.
void link_say(struct link *l, struct message *m);
int link_send_outgoing(struct link *l, struct error *err);
void link_drop_outgoing(struct link *l);

// n samples have left the worker's hands: others may come.
void link_grant(struct link *l, int n);

// Ends the session and begins another.
void link_join_again(struct link *l, const char *why);
void link_finish(struct link *l, enum link_end end, const char *why);

// link_directory.c: whether HELLO can go, with `directory` as it is: false while a look at it is
// under way, for some seconds at most.
bool link_directory_is_known(struct link *l, int64_t now_ms);

// One message; set to NULL where it is kept.
int link_handle(struct link *l, struct message **m, struct error *err);
// Logs how many messages were refused and why: when their number has doubled, or at the end.
void link_say_refusals(struct link *l, bool at_end);

// Updates. begin and chunk keep the message.
void link_weights_begin(struct link *l, struct message **m);
void link_weights_chunk(struct link *l, struct message **m);
void link_weights_join(struct link *l, const struct message_nccl_join *m);
void link_weights_commit(struct link *l, const struct message_weights_commit *m);
void link_weights_abort(struct link *l, uint64_t update);
void link_weights_drop(struct link *l); // the session is over: what is not committed is dropped
int link_weights_pump(struct link *l, int64_t now_ms, struct error *err); // pulls and statuses
bool link_is_applying(struct link *l); // the engine has not done yet what was handed to it

#endif

// What a socket knows without asking libzmq: its options and counters, and who is heard: sequence
// numbers, the one trainer of a bound worker, whose keys are allowed.
#include <assert.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/hash.h"
#include "protocol/socket_state.h"

enum { KEYS_MS = 2000 };

int socket_check_options(const struct socket_options *o, char url[ADDRESS_MAX], struct error *err) {
    bool some = o->key || o->allow_keys || o->server_key;
    bool all =
        o->key && (o->bind ? o->allow_keys && !o->server_key : o->server_key && !o->allow_keys);
    if (some && !all)
        return error_set(err, ERROR_USAGE,
                         o->bind ? "With --bind, keys are --key FILE and --allow-keys DIR."
                                 : "With --connect, keys are --key FILE and --server-key FILE.");
    if (some && o->insecure)
        return error_set(err, ERROR_USAGE, "--insecure is for a wire without keys; drop one.");
    return address_check(o->url, o->bind, o->insecure || some, url, err);
}

int socket_check_folder(const struct socket_options *o, struct error *err) {
    struct keys_set allowed = {0};
    int failed = keys_read_folder(o->allow_keys, false, &allowed, err);
    keys_set_free(&allowed);
    return failed;
}

int socket_check(const struct socket_options *o, struct error *err) {
    char url[ADDRESS_MAX], key[KEYS_TEXT];
    struct keys_set servers = {0};
    if (socket_check_options(o, url, err)) return -1;
    if (!o->key) return 0;
    int failed = keys_read_secret(o->key, key, err);
    explicit_bzero(key, sizeof key);
    if (!failed && o->bind) return socket_check_folder(o, err);
    if (!failed) failed = keys_read_public(o->server_key, &servers, err);
    keys_set_free(&servers);
    return failed;
}

const char *socket_url(const struct socket *s) {
    return s->control.url;
}

const char *socket_bulk_url(const struct socket *s) {
    return s->bulk.url;
}

const char *socket_bulk_id(const struct socket *s) {
    return s->bulk_id;
}

void socket_counters(const struct socket *s, struct socket_counters *out) {
    *out = (struct socket_counters){
        .n_sent = s->n_sent,
        .n_received = s->n_received,
        .bytes_sent = s->bytes_sent,
        .bytes_received = s->bytes_received,
        .n_unsent = s->n_unsent,
        .n_gaps = s->n_gaps,
        .n_full = s->n_full,
        .n_unauthenticated = s->n_unauthenticated,
    };
    for (int i = 0; i < MESSAGE_N_REASONS; i++) out->refused[i] = s->refused[i];
}

const char *socket_last_refusal(const struct socket *s) {
    return s->last_refusal.text;
}

bool socket_key_is_refused(const struct socket *s) {
    return s->key_refused;
}

void socket_refresh_keys(struct socket *s) {
    int64_t now = clock_ms();
    if (!s->options.allow_keys || (s->allowed_ms && now - s->allowed_ms < KEYS_MS)) return;
    struct keys_set fresh = {0};
    struct error err = {0};
    // One bad file must not shut out everybody: whose it is, is. Strangers' connections can use up
    // all descriptors, and must not throw out who is here.
    bool failed = keys_read_folder(s->options.allow_keys, true, &fresh, &err) != 0;
    if (err.text[0]) s->last_refusal = err;
    s->allowed_ms = now;
    if (failed) keys_set_free(&fresh);
    if (failed && err.code == ERROR_IO) return;
    keys_set_free(&s->allowed);
    s->allowed = fresh;
}

bool socket_is_allowed(struct socket *s, const struct peer *from) {
    if (!s->options.allow_keys) return true;
    socket_refresh_keys(s);
    if (from->user[0] && keys_has_name(&s->allowed, from->user)) return true;
    error_set(&s->last_refusal, ERROR_INPUT, "A message came without a key that is allowed.");
    socket_count(&s->n_unauthenticated, 1);
    // A trainer whose key was taken away is not spoken to either.
    if (from->len == s->peer.len && memcmp(from->id, s->peer.id, from->len) == 0) {
        s->peer = (struct peer){.len = 0};
        s->peer_lost = true;
    }
    return false;
}

static uint64_t session_of(const struct message *m) {
    return hash_bytes(m->run.ptr, m->run.len) ^ hash_bytes(&m->epoch, sizeof m->epoch);
}

// Follows the trainer's numbers. Returns false for a message of a session that has ended. Those of
// another run or epoch are numbered by somebody else; refusing them is the caller's business.
static bool check_seq(struct socket *s, struct message *m) {
    if (m->seq == 0) return true;
    if (m->type == MESSAGE_WELCOME) {
        s->awaits_welcome = false;
        s->session = session_of(m);
        s->expected_seq = 1;
    }
    if (s->awaits_welcome) return false;
    assert(s->expected_seq > 0); // WELCOME has set it
    if (session_of(m) != s->session) return true;
    m->lost_before = m->seq != s->expected_seq;
    if (m->lost_before) socket_count(&s->n_gaps, 1);
    s->expected_seq = m->seq + 1;
    return true;
}

// Whether a bound worker listens to this connection: to one trainer at a time, and to another one
// when there is no session or the trainer of the session cannot be reached.
static bool is_heard(struct socket *s, const struct peer *from) {
    bool same = from->len == s->peer.len && memcmp(from->id, s->peer.id, from->len) == 0 &&
                strcmp(from->user, s->peer.user) == 0;
    if (!same && !s->awaits_welcome && !s->peer_lost) return false;
    if (!same) s->peer = *from;
    s->peer_lost = false;
    return true;
}

static bool is_trainer(struct socket *s, const struct end *end, const struct peer *from) {
    if (end == &s->control) return is_heard(s, from);
    return from->len == strlen(s->bulk_id) && memcmp(from->id, s->bulk_id, from->len) == 0 &&
           strcmp(from->user, s->peer.user) == 0;
}

bool socket_is_wanted(struct socket *s, const struct end *end, const struct peer *from,
                      struct message *m) {
    if ((end == &s->bulk) != message_is_bulk(m->type)) {
        error_set(&s->last_refusal, ERROR_INPUT, "%s came on the wrong socket.",
                  message_type_name(m->type));
        socket_count(&s->refused[REASON_TYPE], 1);
        return false;
    }
    if (end->router && !is_trainer(s, end, from)) {
        error_set(&s->last_refusal, ERROR_INPUT, "%s came from another peer than the trainer.",
                  message_type_name(m->type));
        socket_count(&s->refused[REASON_PEER], 1);
        return false;
    }
    return check_seq(s, m);
}

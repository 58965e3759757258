#include "worker/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "protocol/base/buffer.h"
#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "worker/http/address.h"
#include "worker/http/health.h"
#include "worker/http/metrics.h"
#include "worker/http/page.h"
#include "worker/http/status_json.h"

enum {
    MAX_CONNECTIONS = 64,
    CROWD = 48,          // from here on the oldest makes room for the newest
    MAX_LIFE_MS = 10000, // of a connection, whatever it does
    MAX_IDLE_S = 5,
    MAX_BYTES = 16 << 10, // of a connection: its request line and headers
    BACKLOG = 128,
};

// A connection that is open, by place.
struct visit {
    int fd; // -1: the place is free
    int64_t since_ms;
    bool is_cut; // shut down by us; it is closed soon
};

struct http {
    struct http_options options;
    bool is_loopback;
    char url[128];
    struct MHD_Daemon *daemon;
    int end; // eventfd by which http_close ends the thread
    pthread_t thread;
    bool started;
    struct visit visits[MAX_CONNECTIONS];
    int n_visits;
};

// ---- answers

struct answer {
    unsigned status;
    const char *type;
    struct buffer body;
};

static void say(struct answer *a, unsigned status, const char *text) {
    a->status = status;
    a->type = "text/plain; charset=utf-8";
    buffer_printf(&a->body, "%s\n", text);
}

static void answer_probe(struct answer *a, const char *why) {
    say(a, why ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, why ? why : "ok");
}

static void answer_path(struct http *h, const char *path, const char *phase, struct answer *a) {
    struct status_snapshot s;
    status_look(h->options.board, &s);
    a->status = MHD_HTTP_OK;
    if (strcmp(path, "/livez") == 0) {
        answer_probe(a, health_why_dead(&s, clock_ms()));
    } else if (strcmp(path, "/readyz") == 0 && phase && strcmp(phase, "loaded") != 0) {
        say(a, MHD_HTTP_BAD_REQUEST, "The phase that can be asked for is \"loaded\".");
    } else if (strcmp(path, "/readyz") == 0) {
        answer_probe(a, phase ? health_why_not_loaded(&s) : health_why_not_ready(&s));
    } else if (strcmp(path, "/metrics") == 0) {
        a->type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_write(&s, h->options.vllm, &a->body);
    } else if (strcmp(path, "/status") == 0) {
        a->type = "application/json";
        status_json_write(&s, h->is_loopback, &a->body);
    } else if (strcmp(path, "/") == 0) {
        a->type = "text/html; charset=utf-8";
        buffer_add_slice(&a->body, page_html());
    } else {
        say(a, MHD_HTTP_NOT_FOUND, "There are /, /livez, /readyz, /metrics and /status.");
    }
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *a) {
    static const char *const headers[][2] = {
        {"Connection", "close"},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
         "connect-src 'self'; base-uri 'none'; form-action 'none'"},
    };
    struct MHD_Response *r =
        MHD_create_response_from_buffer(a->body.len, a->body.ptr, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        buffer_free(&a->body);
        return MHD_NO;
    }
    MHD_add_response_header(r, "Content-Type", a->type);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(r, headers[i][0], headers[i][1]);
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(r, "Allow", "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(connection, a->status, r);
    MHD_destroy_response(r);
    return queued;
}

// A page of another site could have its name resolve to this machine and read what we answer; the
// browser then sends that name.
static bool is_own_name(const struct http *h, const char *host) {
    if (!h->is_loopback || !host) return true;
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    const struct slice name = {host, len <= strlen(host) ? len : strlen(host)};
    return slice_is(name, "localhost") || slice_is(name, "[::1]") ||
           (name.len > 4 && strncmp(host, "127.", 4) == 0 &&
            strspn(host, "0123456789.") == name.len);
}

static enum MHD_Result answer(void *self, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **state) {
    static char seen;
    struct http *h = self;
    struct answer a = {0};
    bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    (void)version, (void)upload;
    if (is_get && !*state) { // its headers are here, and it is answered at the next call
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_bytes) { // a GET with a body
        *upload_bytes = 0;
        return MHD_YES;
    }
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (!is_get)
        say(&a, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are answered.");
    else if (!is_own_name(h, host))
        say(&a, MHD_HTTP_FORBIDDEN, "The host's name is not one of this machine's.");
    else
        answer_path(h, path,
                    MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "phase"), &a);
    return send_answer(connection, &a);
}

// ---- connections

static void cut(struct visit *v) {
    shutdown(v->fd, SHUT_RDWR);
    v->is_cut = true;
}

static void cut_oldest(struct http *h) {
    struct visit *oldest = NULL;
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        struct visit *v = &h->visits[i];
        if (v->fd >= 0 && !v->is_cut && (!oldest || v->since_ms < oldest->since_ms)) oldest = v;
    }
    if (oldest) cut(oldest);
}

static void note_visit(void *self, struct MHD_Connection *connection, void **place,
                       enum MHD_ConnectionNotificationCode code) {
    struct http *h = self;
    struct visit *v = *place;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (v) *v = (struct visit){.fd = -1};
        h->n_visits -= v != NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (int i = 0; i < MAX_CONNECTIONS && info; i++) {
        if (h->visits[i].fd >= 0) continue;
        *place = &h->visits[i];
        h->visits[i] = (struct visit){.fd = info->connect_fd, .since_ms = clock_ms()};
        h->n_visits++;
        break;
    }
    if (h->n_visits > CROWD) cut_oldest(h);
}

static void sweep(struct http *h) {
    int64_t now = clock_ms();
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        struct visit *v = &h->visits[i];
        if (v->fd >= 0 && !v->is_cut && now - v->since_ms > MAX_LIFE_MS) cut(v);
    }
}

static void *run(void *self) {
    struct http *h = self;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd fds[2] = {{.fd = info->epoll_fd, .events = POLLIN},
                            {.fd = h->end, .events = POLLIN}};
    pthread_setname_np(pthread_self(), "http");
    while (!(fds[1].revents & POLLIN)) {
        MHD_UNSIGNED_LONG_LONG due_ms;
        int wait_ms = 1000;
        if (MHD_get_timeout(h->daemon, &due_ms) == MHD_YES && due_ms < 1000) wait_ms = (int)due_ms;
        poll(fds, 2, wait_ms);
        MHD_run(h->daemon);
        sweep(h);
    }
    return NULL;
}

// ---- opening

static int bind_socket(struct http *h, const struct http_address *a, struct error *err) {
    struct sockaddr_storage bound;
    char host[INET6_ADDRSTRLEN] = "";
    socklen_t len = sizeof bound;
    bool v6 = a->address.ss_family == AF_INET6;
    const void *at = &a->address;
    int one = 1;
    int fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, at, v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) ||
        listen(fd, BACKLOG) || getsockname(fd, (struct sockaddr *)(void *)&bound, &len)) {
        error_set(err, ERROR_IO, "--http %s could not be bound: %s.", h->options.address,
                  strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    const struct sockaddr_in *v4 = (const void *)&bound;
    const struct sockaddr_in6 *v6_at = (const void *)&bound;
    inet_ntop(bound.ss_family, v6 ? (const void *)&v6_at->sin6_addr : (const void *)&v4->sin_addr,
              host, sizeof host);
    snprintf(h->url, sizeof h->url, v6 ? "http://[%s]:%d" : "http://%s:%d", host,
             ntohs(v6 ? v6_at->sin6_port : v4->sin_port));
    return fd;
}

static int start(struct http *h, const struct http_address *a, struct error *err) {
    int fd = bind_socket(h, a, err);
    if (fd < 0) return -1;
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, h, MHD_OPTION_LISTEN_SOCKET,
                                 fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)MAX_IDLE_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MAX_BYTES,
                                 MHD_OPTION_NOTIFY_CONNECTION, note_visit, h, MHD_OPTION_END);
    if (!h->daemon) {
        close(fd);
        return error_set(err, ERROR_IO, "The HTTP server could not be started.");
    }
    h->end = eventfd(0, EFD_CLOEXEC);
    h->started = h->end >= 0 && pthread_create(&h->thread, NULL, run, h) == 0;
    if (h->started) return 0;
    return error_set(err, ERROR_IO, "The HTTP thread could not be started: %s.", strerror(errno));
}

struct http *http_open(const struct http_options *options, struct error *err) {
    struct http_address address;
    if (http_address_read(options->address, &address, err)) return NULL;
    struct http *h = memory_new(1, sizeof *h);
    h->options = *options;
    h->is_loopback = address.is_loopback;
    h->end = -1;
    for (int i = 0; i < MAX_CONNECTIONS; i++) h->visits[i].fd = -1;
    if (start(h, &address, err)) http_close(&h);
    return h;
}

void http_close(struct http **http) {
    struct http *h = *http;
    const uint64_t one = 1;
    *http = NULL;
    if (!h) return;
    if (h->started && write(h->end, &one, sizeof one) == sizeof one) pthread_join(h->thread, NULL);
    if (h->daemon) MHD_stop_daemon(h->daemon);
    if (h->end >= 0) close(h->end);
    free(h);
}

const char *http_url(const struct http *h) {
    return h->url;
}

// The worker's HTTP server: one thread that reads the status board and nothing else.
//
//   /         a status page (page.html, in the binary)     /status   the same as JSON
//   /livez    200, or 503 and why the process is to be killed (health.h)
//   /readyz   200, or 503 and why not; ?phase=loaded asks only whether the model is loaded
//   /metrics  Prometheus' text format
//
// It only answers GET and HEAD, one request a connection. What a client can do to it is bounded:
// connections (the oldest makes room), their bytes (16 KiB), their life (10 s).
#ifndef WORKER_HTTP_HTTP_H
#define WORKER_HTTP_HTTP_H

#include "protocol/base/error.h"
#include "worker/status.h"

struct http;

struct http_options {
    // HOST:PORT, with HOST an address of this machine ([...] around IPv6), localhost, or the name
    // of an interface; never a wildcard. PORT 0 picks one.
    const char *address;
    bool vllm; // /metrics has a dozen of vLLM's names besides
    struct status_board *board;
};

// ERROR_USAGE for an address that is none, ERROR_IO for one that cannot be had.
struct http *http_open(const struct http_options *options, struct error *err);
void http_close(struct http **http); // NULL inside: nothing
const char *http_url(const struct http *http);

#endif

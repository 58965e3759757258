// --http's HOST:PORT as an address to bind.
#ifndef WORKER_HTTP_ADDRESS_H
#define WORKER_HTTP_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "protocol/base/error.h"

struct http_address {
    struct sockaddr_storage address; // port included
    bool is_loopback;
};

// HOST is a numeric address, [IPv6], localhost, or an interface's name (its first IPv4 address,
// else its first IPv6 one). A wildcard is refused: whoever serves must say to whom.
int http_address_read(const char *text, struct http_address *out, struct error *err);

#endif

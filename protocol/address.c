#include "protocol/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/slice.h"

static int refuse(struct error *err, const char *url, const char *why) {
    return error_set(err, ERROR_USAGE, "Address \"%.200s\": %s.", url, why);
}

static int check_ipc(const char *url, char out[ADDRESS_MAX], struct error *err) {
    size_t len = strlen(url) - strlen("ipc://");
    // sockaddr_un holds 107 bytes, and the bulk socket's path has "-bulk" behind it.
    if (len == 0 || len > 100) return refuse(err, url, "expected ipc://PATH of 1 to 100 bytes");
    if (url[6] == '*' || url[6] == '@')
        return refuse(err, url, "expected the path of a socket file");
    snprintf(out, ADDRESS_MAX, "%s", url);
    return 0;
}

// A port in digits; "*" and "0" mean any free one, for binding only.
static int check_port(const char *url, struct slice port, bool binding, struct error *err) {
    unsigned number = 0;
    bool digits = port.len > 0 && port.len <= 5;
    for (size_t i = 0; i < port.len && digits; i++) {
        digits = port.ptr[i] >= '0' && port.ptr[i] <= '9';
        number = number * 10 + (unsigned)(port.ptr[i] - '0');
    }
    bool any = slice_is(port, "*") || (digits && number == 0);
    if (any && !binding) return refuse(err, url, "expected a port from 1 to 65535 to connect to");
    if (!any && (!digits || number > 65535)) return refuse(err, url, "expected a port to 65535");
    return 0;
}

static bool is_loopback(const char *host) {
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    struct in6_addr v6;
    if (inet_pton(AF_INET6, host, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(host, "localhost") == 0;
}

static bool is_wildcard(const char *host) {
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1) return v4.s_addr == 0;
    struct in6_addr v6;
    if (inet_pton(AF_INET6, host, &v6) == 1) return IN6_IS_ADDR_UNSPECIFIED(&v6);
    return strcmp(host, "*") == 0;
}

// A host name or address has no characters that mean more to libzmq (";" sets a source address).
static bool is_plain(const char *host) {
    return host[0] != 0 && strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789.-_:*%") == strlen(host);
}

static int check_tcp(const char *url, bool binding, bool anywhere, char out[ADDRESS_MAX],
                     struct error *err) {
    const char *start = url + strlen("tcp://"), *colon = strrchr(start, ':');
    if (!colon || colon == start) return refuse(err, url, "expected tcp://HOST:PORT");
    size_t len = (size_t)(colon - start);
    bool v6 = start[0] == '[' && start[len - 1] == ']';
    char host[ADDRESS_MAX];
    snprintf(host, sizeof host, "%.*s", (int)(v6 ? len - 2 : len), start + v6);
    if (!is_plain(host) || (!v6 && strchr(host, ':')))
        return refuse(err, url, "expected tcp://HOST:PORT, with an IPv6 host in brackets");
    if (check_port(url, slice_of(colon + 1), binding, err) != 0) return -1;
    if (is_wildcard(host))
        return refuse(err, url, "a wildcard host is never used: name the interface's address");
    if (!is_loopback(host) && !anywhere)
        return refuse(err, url,
                      "the host is not loopback, and without keys the wire is neither encrypted "
                      "nor authenticated: give --key with --server-key (--bind: --allow-keys), or "
                      "say --insecure");
    if (strcmp(host, "localhost") == 0) {
        snprintf(out, ADDRESS_MAX, "tcp://127.0.0.1%s", colon);
    } else {
        snprintf(out, ADDRESS_MAX, "%s", url);
    }
    return 0;
}

int address_check(const char *url, bool binding, bool anywhere, char out[ADDRESS_MAX],
                  struct error *err) {
    if (strlen(url) >= ADDRESS_MAX) return refuse(err, url, "it is longer than 255 bytes");
    if (strncmp(url, "ipc://", 6) == 0) return check_ipc(url, out, err);
    if (strncmp(url, "tcp://", 6) == 0) return check_tcp(url, binding, anywhere, out, err);
    return refuse(err, url, "expected tcp://HOST:PORT or ipc://PATH");
}

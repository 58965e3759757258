#include "worker/http/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct error *err, const char *text, const char *why) {
    return error_set(err, ERROR_USAGE, "--http %.200s: %s.", text, why);
}

static int read_port(const char *text, const char *digits, in_port_t *port, struct error *err) {
    size_t n = strlen(digits);
    long number = strtol(digits, NULL, 10);
    if (!n || n > 5 || strspn(digits, "0123456789") != n || number > 65535)
        return refuse(err, text, "expected a port from 0 to 65535 behind the last colon");
    *port = htons((uint16_t)number);
    return 0;
}

static bool set_v4(struct http_address *a, struct in_addr host, in_port_t port) {
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a->address;
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port, .sin_addr = host};
    a->is_loopback = ntohl(host.s_addr) >> 24 == 127;
    return true;
}

static bool set_v6(struct http_address *a, struct in6_addr host, uint32_t scope, in_port_t port) {
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&a->address;
    *in = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = host, .sin6_scope_id = scope};
    a->is_loopback = IN6_IS_ADDR_LOOPBACK(&host);
    return true;
}

static bool find_interface(const char *name, int family, in_port_t port, struct http_address *a) {
    struct ifaddrs *list = NULL;
    bool found = false;
    if (getifaddrs(&list)) return false;
    for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != family || strcmp(i->ifa_name, name) != 0)
            continue;
        const void *at = i->ifa_addr;
        const struct sockaddr_in *v4 = at;
        const struct sockaddr_in6 *v6 = at;
        found = family == AF_INET ? set_v4(a, v4->sin_addr, port)
                                  : set_v6(a, v6->sin6_addr, v6->sin6_scope_id, port);
    }
    freeifaddrs(list);
    return found;
}

int http_address_read(const char *text, struct http_address *out, struct error *err) {
    const char *colon = strrchr(text, ':');
    char host[128];
    in_port_t port = 0;
    struct in_addr v4;
    struct in6_addr v6;
    *out = (struct http_address){0};
    if (!colon || colon == text || (size_t)(colon - text) >= sizeof host)
        return refuse(err, text, "expected HOST:PORT");
    if (read_port(text, colon + 1, &port, err)) return -1;
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    size_t len = strlen(host);
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = 0;
        if (inet_pton(AF_INET6, host + 1, &v6) != 1)
            return refuse(err, text, "expected an IPv6 address in the brackets");
        if (IN6_IS_ADDR_UNSPECIFIED(&v6))
            return refuse(err, text, "a wildcard is never bound: name the interface");
        return set_v6(out, v6, 0, port) ? 0 : -1;
    }
    if (strcmp(host, "localhost") == 0) snprintf(host, sizeof host, "127.0.0.1");
    if (strcmp(host, "*") == 0 || (inet_pton(AF_INET, host, &v4) == 1 && v4.s_addr == 0))
        return refuse(err, text, "a wildcard is never bound: name the interface");
    if (inet_pton(AF_INET, host, &v4) == 1) return set_v4(out, v4, port) ? 0 : -1;
    if (find_interface(host, AF_INET, port, out) || find_interface(host, AF_INET6, port, out))
        return 0;
    return refuse(err, text, "the host is no address and no interface of this machine");
}

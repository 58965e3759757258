// A key file, and an address of --http, from an enemy: whatever is taken is a key, or is no
// wildcard.
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/keys.h"
#include "worker/http/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_keys(const uint8_t *data, size_t size) {
    static int fd = -1;
    char path[32], secret[KEYS_TEXT];
    struct keys_set set = {0};
    struct error err = {0};
    if (fd < 0) fd = memfd_create("keys", MFD_CLOEXEC);
    if (ftruncate(fd, 0) || fchmod(fd, 0400) || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int failed = keys_read_public(path, &set, &err);
    if (failed && err.code != ERROR_CONFIG) abort();
    if (!failed && set.n < 1) abort();
    for (int i = 0; i < set.n; i++)
        if (strlen(set.entries[i].key) != KEYS_TEXT - 1) abort();
    if (keys_read_secret(path, secret, &err) == 0 && (failed || set.n != 1)) abort();
    keys_set_free(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[300];
    struct http_address address;
    struct error err = {0};
    read_keys(data, size);
    size_t len = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, len);
    text[len] = 0;
    if (http_address_read(text, &address, &err)) return err.code == ERROR_USAGE ? 0 : (abort(), 0);
    const struct sockaddr_in *v4 = (const void *)&address.address;
    const struct sockaddr_in6 *v6 = (const void *)&address.address;
    if (v4->sin_family == AF_INET ? v4->sin_addr.s_addr == 0
                                  : IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
        abort();
    return 0;
}

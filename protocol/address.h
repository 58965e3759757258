// Which addresses may be used: loopback and ipc, and others only with keys, or where --insecure was
// spelled out.
#ifndef PROTOCOL_ADDRESS_H
#define PROTOCOL_ADDRESS_H

#include <stdbool.h>

#include "protocol/base/error.h"

enum { ADDRESS_MAX = 256 }; // bytes of a URL with its terminating 0

// Checks a URL and writes the form that libzmq takes ("localhost" becomes 127.0.0.1, port "*"
// stays). Allowed: ipc://PATH (PATH of 1 to 100 bytes) and tcp://HOST:PORT with HOST in
// 127.0.0.0/8, [::1] or localhost. Any other host needs `anywhere`. A wildcard host (*, 0.0.0.0,
// [::]) is never bound. PORT 0 or * is for binding only.
int address_check(const char *url, bool binding, bool anywhere, char out[ADDRESS_MAX],
                  struct error *err);

#endif

// Bounded msgpack: a pre-scan in front of msgpack-c, and a packer that writes to a buffer.
//
// msgpack-c allocates from what a frame claims: 5 bytes can make it reserve 4 GB. So a frame is
// scanned first, without any allocation, and reaches msgpack-c only when every count and length
// in it is covered by bytes that are there.
#ifndef PROTOCOL_MSGPACK_H
#define PROTOCOL_MSGPACK_H

#include <msgpack.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

struct msgpack_limits {
    size_t max_bytes;      // of the frame
    unsigned max_depth;    // of nested arrays and maps, at most MSGPACK_SCAN_DEPTH
    uint64_t max_elements; // values and keys in the whole frame
    size_t max_text;       // bytes of one str or bin
};
enum { MSGPACK_SCAN_DEPTH = 16 };

// The limits of every header frame of the wire.
extern const struct msgpack_limits msgpack_header_limits;

// Checks that `frame` is exactly one msgpack value within `limits` that holds no ext type. A pure
// function: reads each byte of the structure once, allocates nothing. The error names the offset.
int msgpack_scan(struct slice frame, const struct msgpack_limits *limits, struct error *err);

// Scans, then decodes with msgpack-c. str and bin values point into `frame`, which must outlive
// *out. On success the caller ends with msgpack_unpacked_destroy(out); on -1 nothing is held.
int msgpack_open(struct slice frame, const struct msgpack_limits *limits, msgpack_unpacked *out,
                 struct error *err);

// A packer that appends to `out`.
void msgpack_to_buffer(msgpack_packer *packer, struct buffer *out);

#endif

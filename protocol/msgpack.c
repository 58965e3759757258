#include "protocol/msgpack.h"

#include <assert.h>
#include <stdint.h>

const struct msgpack_limits msgpack_header_limits = {
    .max_bytes = 64 << 10, .max_depth = 4, .max_elements = 1024, .max_text = 16 << 10};

// What one value's first byte says: the bytes of its head (first byte and length field), the bytes
// of its body, and how many values follow inside it.
struct head {
    size_t head, body;
    uint64_t children;
    bool container;
};

static uint64_t big_endian(const uint8_t *p, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value = value << 8 | p[i];
    return value;
}

static bool is_fixed(uint8_t byte, struct head *h) {
    *h = (struct head){.head = 1};
    if (byte <= 0x7f || byte >= 0xe0) return true; // small integers
    if (byte <= 0x8f) {
        h->container = true;
        h->children = 2 * (uint64_t)(byte & 15);
    } else if (byte <= 0x9f) {
        h->container = true;
        h->children = byte & 15;
    } else if (byte <= 0xbf) {
        h->body = byte & 31;
    } else {
        return false;
    }
    return true;
}

// Reads the head of the value at p, of which `left` bytes (at least 1) are there. Returns NULL or
// what is wrong.
static const char *read_head(const uint8_t *p, size_t left, struct head *h) {
    if (is_fixed(p[0], h)) return NULL;
    size_t length_bytes = 0;
    switch (p[0]) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
        return NULL;
    case 0xcc:
    case 0xd0:
        h->body = 1;
        return NULL;
    case 0xcd:
    case 0xd1:
        h->body = 2;
        return NULL;
    case 0xca:
    case 0xce:
    case 0xd2:
        h->body = 4;
        return NULL;
    case 0xcb:
    case 0xcf:
    case 0xd3:
        h->body = 8;
        return NULL;
    case 0xc4:
    case 0xd9:
        length_bytes = 1;
        break;
    case 0xc5:
    case 0xda:
    case 0xdc:
    case 0xde:
        length_bytes = 2;
        break;
    case 0xc6:
    case 0xdb:
    case 0xdd:
    case 0xdf:
        length_bytes = 4;
        break;
    default:
        return "an ext type or an unused byte";
    }
    h->head = 1 + length_bytes;
    if (left < h->head) return "a length that is cut off";
    uint64_t length = big_endian(p + 1, length_bytes);
    h->container = p[0] >= 0xdc;
    if (h->container) {
        h->children = p[0] >= 0xde ? 2 * length : length;
    } else {
        h->body = (size_t)length;
    }
    return NULL;
}

static int refuse(struct error *err, size_t at, const char *what) {
    return error_set(err, ERROR_INPUT, "msgpack frame: %s at byte %zu.", what, at);
}

int msgpack_scan(struct slice frame, const struct msgpack_limits *limits, struct error *err) {
    if (frame.len > limits->max_bytes)
        return error_set(err, ERROR_INPUT, "msgpack frame: %zu bytes, at most %zu are allowed.",
                         frame.len, limits->max_bytes);
    assert(limits->max_depth <= MSGPACK_SCAN_DEPTH);
    const uint8_t *bytes = (const uint8_t *)frame.ptr;
    uint64_t left_in[MSGPACK_SCAN_DEPTH + 1] = {1}; // values still to come at each depth
    uint64_t n_elements = 0;                        // seen or claimed, the sum over all containers
    unsigned depth = 0;
    size_t at = 0;
    for (;;) {
        while (depth > 0 && left_in[depth] == 0) depth--;
        if (left_in[depth] == 0) break;
        left_in[depth]--;
        if (at == frame.len) return refuse(err, at, "a value is missing");
        struct head h;
        const char *wrong = read_head(bytes + at, frame.len - at, &h);
        if (wrong) return refuse(err, at, wrong);
        assert(at + h.head <= frame.len);
        size_t left = frame.len - at - h.head;
        if (h.body > left) return refuse(err, at, "a value that is cut off");
        if (h.body > limits->max_text) return refuse(err, at, "a text over the limit");
        // Every value takes at least a byte, so a claim beyond the bytes left is a lie.
        if (h.children > left) return refuse(err, at, "a count beyond the bytes left");
        n_elements += h.children;
        if (n_elements > limits->max_elements) return refuse(err, at, "too many elements");
        if (h.container) {
            if (depth == limits->max_depth) return refuse(err, at, "nesting over the limit");
            left_in[++depth] = h.children;
        }
        at += h.head + h.body;
    }
    if (at != frame.len) return refuse(err, at, "bytes behind the value");
    return 0;
}

int msgpack_open(struct slice frame, const struct msgpack_limits *limits, msgpack_unpacked *out,
                 struct error *err) {
    if (msgpack_scan(frame, limits, err) != 0) return -1;
    msgpack_unpacked_init(out);
    size_t at = 0;
    msgpack_unpack_return got = msgpack_unpack_next(out, frame.ptr, frame.len, &at);
    if (got == MSGPACK_UNPACK_SUCCESS && at == frame.len) return 0;
    msgpack_unpacked_destroy(out);
    return refuse(err, at, "a value that msgpack-c does not take");
}

static int append(void *data, const char *bytes, size_t len) {
    buffer_add((struct buffer *)data, bytes, len);
    return 0;
}

void msgpack_to_buffer(msgpack_packer *packer, struct buffer *out) {
    msgpack_packer_init(packer, out, append);
}

// xxh3-64 of a run of bytes (https://xxhash.com), the only hash of the tree.
#ifndef PROTOCOL_BASE_HASH_H
#define PROTOCOL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *bytes, size_t len);

// The seed of a group (D5): xxh3-64 of the request's seed as 8 little-endian bytes followed
// by the JSON text of the group's id (separators "," and ":", not ASCII-escaped, no spaces).
uint64_t hash_group_seed(uint64_t request_seed, const char *id_json, size_t len);

#endif

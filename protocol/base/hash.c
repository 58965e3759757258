#include "protocol/base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "protocol/base/memory.h"

uint64_t hash_bytes(const void *bytes, size_t len) {
    return XXH3_64bits(bytes, len);
}

uint64_t hash_group_seed(uint64_t request_seed, const char *id_json, size_t len) {
    unsigned char *text = memory_new(8 + len, 1);
    for (int i = 0; i < 8; i++) text[i] = (unsigned char)(request_seed >> (8 * i));
    if (len) memcpy(text + 8, id_json, len);
    uint64_t seed = hash_bytes(text, 8 + len);
    free(text);
    return seed;
}

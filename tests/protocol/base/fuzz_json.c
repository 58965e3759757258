// Any bytes: the parser neither crashes nor reads outside, and what it takes it can write again.
#include <assert.h>
#include <stdlib.h>

#include "protocol/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena = {0};
    struct buffer once = {0}, twice = {0};
    struct error err = {0};
    const struct json *value = json_parse((struct slice){(const char *)data, size}, &arena, &err);
    assert(value || err.text[0]);
    if (value) {
        double number;
        int64_t integer;
        json_double(value, &number);
        json_int64(value, &integer);
        json_get(value, "a");
        json_add_compact(&once, value);
        // What was written reads as the same, unless a number was too large for a double.
        const struct json *again = json_parse(buffer_slice(&once), &arena, &err);
        assert(again || strstr(once.ptr, "Infinity"));
        if (again) {
            json_add_compact(&twice, again);
            assert(slice_equal(buffer_slice(&once), buffer_slice(&twice)));
        }
    }
    buffer_free(&once);
    buffer_free(&twice);
    arena_clear(&arena);
    return 0;
}

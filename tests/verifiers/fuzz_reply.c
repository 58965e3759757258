// libFuzzer: any bytes as the reply of a verifier, and as a reward spec.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "verifiers/process/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(struct slice line) {
    static const char SPEC[] = "[{\"verifier\":\"exact\",\"gold\":\"a\"},"
                               "{\"verifier\":\"length\",\"max\":3}]";
    struct verifier_outcome outcomes[REWARD_MAX_TERMS] = {0};
    struct error err;
    struct reward_spec *spec = reward_spec_parse(slice_of(SPEC), NULL, 0, &err);
    if (wire_read_term_reply(line, 1, &outcomes[0], &err) == 0 && outcomes[0].status == REWARD_OK &&
        !isfinite(outcomes[0].value))
        abort();
    if (wire_read_slot_reply(line, 1, spec, outcomes, &err) == 0) {
        struct reward *reward = reward_compose(spec, outcomes);
        if (isnan(reward->value) == reward_status_has_value(reward->status)) abort();
        reward_free(&reward);
    }
    reward_spec_free(&spec);
}

// What is JSON is Python's JSON too, and what is Python's alone holds NaN or Infinity.
static void check_python(struct slice text) {
    struct arena arena = {0};
    struct buffer compact = {0};
    const struct json *strict = json_parse(text, &arena, NULL);
    const struct json *python = json_parse_python(text, &arena, NULL);
    if (strict && !python) abort();
    if (python && !json_parse_python_shallow(text, &arena, NULL)) abort();
    if (python && !strict && !memmem(text.ptr, text.len, "NaN", 3) &&
        !memmem(text.ptr, text.len, "Infinity", 8))
        abort();
    if (python) json_add_compact(&compact, python);
    if (python && !json_parse_python(buffer_slice(&compact), &arena, NULL)) abort();
    buffer_free(&compact);
    arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct slice text = {(const char *)data, size};
    struct verifier_command external = {.name = (char *)"other"};
    struct error err;
    check_python(text);
    check_reply(text);
    struct reward_spec *spec = reward_spec_parse(text, &external, 1, &err);
    if (!spec) return 0;
    const struct verifier_sample sample = {.completion = text, .n_tokens = (int64_t)size};
    struct reward *reward = reward_grade(spec, &sample);
    struct buffer out = {0};
    reward_to_json(reward, &out);
    buffer_free(&out);
    reward_free(&reward);
    reward_spec_free(&spec);
    return 0;
}

// Fuzzes a line of a prompt file: JSON, settings, prompt, reward spec.
#include <stddef.h>
#include <stdint.h>

#include "worker/session/request.h"

static const char tokenizer_json[] =
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]},"
    "\"added_tokens\":[],\"normalizer\":null,\"decoder\":{\"type\":\"ByteLevel\"}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = {0};
    struct tokenizer *t = tokenizer_parse(slice_of(tokenizer_json), (struct slice){0}, &err);
    struct chat *chat = t ? chat_parse((struct slice){0}) : NULL;
    const struct request_context c = {.tokenizer = t,
                                      .chat = chat,
                                      .vocab = 512,
                                      .max_context = 256,
                                      .has_moe = true,
                                      .defaults = sampling_defaults()};
    struct slice line = {(const char *)data, size};
    struct task *task = request_from_line(&c, line, 7, &err);
    if (!task && !err.text[0]) __builtin_trap(); // a refusal has a sentence
    if (task && (task->n_prompt < 1 || task->n_prompt > c.max_context)) __builtin_trap();
    task_free(&task);
    chat_free(&chat);
    tokenizer_free(&t);
    return 0;
}

// Which chat template of the LFM2 family a Jinja text is; worker/load/chat.h says by what features.
#ifndef WORKER_LOAD_CHAT_TEMPLATE_H
#define WORKER_LOAD_CHAT_TEMPLATE_H

#include <stdbool.h>

#include "protocol/base/error.h"
#include "protocol/base/slice.h"

struct chat_shape {
    bool drops_thinking;       // of past assistant turns, up to the last </think>
    bool wraps_tool_responses; // in <|tool_response_start|> and <|tool_response_end|>
    bool dumps_content;        // content that is no string is written as JSON
};

// ERROR_INPUT with what is not known or missing when the template is not one of the family's.
int chat_template_read(struct slice text, struct chat_shape *out, struct error *err);

#endif

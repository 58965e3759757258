// Chat messages to a prompt, as the chat templates of the LFM2 family write it.
//
// The templates are Jinja programs; what they compute is written here in C, and the checkpoint's
// own template only decides which of the family it is. It is read as a set of string literals and
// names (comments and all text layout are ignored):
//   - every string literal must be one that the family's templates use, and the literals
//     "<|im_start|>", "<|im_end|>\n", "role", "content" and "assistant" must be among them (the
//     tokens also inside longer ones such as "<|im_start|>assistant\n");
//   - with "</think>" and the name keep_past_thinking it is LFM2.5: of all assistant turns but the
//     last, everything up to the last "</think>" is dropped and the rest trimmed;
//   - with "<|tool_response_start|>" the content of role "tool" stands between
//     <|tool_response_start|> and <|tool_response_end|>;
//   - with the filter tojson, content that is no string (nor null) is written
//     as JSON, else it is refused.
// Any other template is refused when messages are encoded, with a sentence that quotes the first
// thing that is not known; prompts as text or ids still work with such a checkpoint.
#ifndef WORKER_LOAD_CHAT_H
#define WORKER_LOAD_CHAT_H

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/json.h"
#include "protocol/base/slice.h"
#include "worker/load/tokenizer.h"

struct chat;

// Reads the template of a checkpoint directory: chat_template.jinja, else `chat_template` of
// tokenizer_config.json (a string, or a list of named ones of which "default" counts), else LFM2's
// own. Returns NULL with ERROR_IO or ERROR_CONFIG only when a file cannot be read or is malformed;
// a template that is not known is an error of chat_encode.
struct chat *chat_load(const char *directory, struct error *err);

// The same from the template's text; an empty one means LFM2's own.
struct chat *chat_parse(struct slice template_text);
void chat_free(struct chat **chat);

// Appends the prompt of `messages` to `out` as text, the same as transformers'
// apply_chat_template(messages, add_generation_prompt=True, tokenize=False) gives: `bos` (BOS as
// it is written, may be empty), the first system message, the others, and the head of the
// assistant's turn. `messages` is a JSON array of at least one object with "role" (a string) and
// "content"; other members are ignored, but a member `tool_calls` or `thinking` that is not null
// is refused, since no template of the family that is supported here writes it. Errors:
// ERROR_INPUT, naming the message (from 0) and what was expected, or why the template is refused.
int chat_render(const struct chat *chat, const struct json *messages, struct slice bos,
                struct buffer *out, struct error *err);

// chat_render, then the ids of the text appended to `out`: special-token text inside a content
// becomes special tokens, as in transformers, and BOS comes once.
int chat_encode(const struct chat *chat, const struct tokenizer *t, const struct json *messages,
                struct token_list *out, struct error *err);

#endif

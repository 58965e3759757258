// Chat messages to a prompt, by the checkpoint's chat template.
//
// The template is a Jinja program; worker/load/jinja runs it as transformers' apply_chat_template
// does, and prints the same text or refuses. It gets `messages`, `tools` (none without them),
// `documents` (none), `add_generation_prompt` (true) and the special tokens of
// tokenizer_config.json (bos_token, eos_token, ...). Members of a message that are null are left
// out, and reasoning goes by each of its three names (reasoning_content, thinking, reasoning), both
// as in transformers 5. Settings that transformers' callers pass (enable_thinking,
// keep_past_thinking, ...) are undefined.
//
// A checkpoint can have several templates: "tool_use" is taken where tools are given, else
// "default". One whose template we cannot read still serves prompts as text or ids.
#ifndef WORKER_LOAD_CHAT_H
#define WORKER_LOAD_CHAT_H

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/json.h"
#include "protocol/base/slice.h"
#include "worker/load/tokenizer.h"

struct chat; // read-only once made: threads share it

// Reads the templates of a checkpoint directory as transformers does: chat_template.jinja and
// additional_chat_templates/NAME.jinja, else `chat_template` of tokenizer_config.json (a string, or
// a list of named ones), else LFM2's own. Returns NULL with ERROR_IO or ERROR_CONFIG when a file
// cannot be read or is malformed; a template that Jinja or we do not take is no such failure, but
// chat_warning's.
struct chat *chat_load(const char *directory, struct error *err);

// The same from one template's text, with the tokens <|startoftext|> and <|im_end|>; LFM2's own for
// a text whose ptr is NULL.
struct chat *chat_parse(struct slice template_text);
void chat_free(struct chat **chat);

// Why a template of this checkpoint is refused: the file, line and construct. NULL when none is.
const char *chat_warning(const struct chat *chat);

// Appends the prompt of `messages` to `out` as text, the same as transformers'
// apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=False) gives,
// with BOS where the template writes it. `messages` is a JSON array of at least one object with
// "role" (a string); `tools` an array of objects, or NULL or null for none. Errors: ERROR_INPUT,
// naming the message (from 0), or the line of the template and why it refuses.
int chat_render(const struct chat *chat, const struct json *messages, const struct json *tools,
                struct buffer *out, struct error *err);

// What chat_render gave, without BOS in front: the prompt as verifiers see it.
struct slice chat_without_bos(const struct chat *chat, struct slice prompt);

// chat_render, then the ids of the text appended to `out`: special-token text inside a content
// becomes special tokens, as in transformers, and BOS comes as often as the template writes it.
int chat_encode(const struct chat *chat, const struct tokenizer *t, const struct json *messages,
                const struct json *tools, struct token_list *out, struct error *err);

// Appends the text of a checkpoint's default template, nothing where it has none. -1 where a file
// cannot be read.
int chat_template_text(const char *directory, struct buffer *out, struct error *err);

#endif

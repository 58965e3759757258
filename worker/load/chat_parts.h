// What the chat's files share.
#ifndef WORKER_LOAD_CHAT_PARTS_H
#define WORKER_LOAD_CHAT_PARTS_H

#include "worker/load/chat.h"
#include "worker/load/jinja/jinja.h"

struct chat_template {
    const char *name;     // "default", "tool_use", ...
    struct jinja *jinja;  // NULL: refused
    struct error refusal; // the sentence, when it is
};

struct chat_token {
    const char *name; // "bos_token"
    struct slice text;
};

struct chat {
    struct arena arena;
    int n_templates, n_tokens;
    struct chat_template *templates; // (n_templates)
    struct chat_token *tokens;       // (n_tokens)
};

// Adds a template; `where` is what sentences call it. One of the same name is replaced.
void chat_add_template(struct chat *chat, const char *name, struct slice text, const char *where);
// Adds a variable for a special token. One of the same name is replaced.
void chat_add_token(struct chat *chat, struct slice name, struct slice text);
// LFM2's bos_token and eos_token.
void chat_add_usual_tokens(struct chat *chat);

// LFM2's template, for checkpoints without one; chat_default.c.
extern const char chat_default_template[];

#endif

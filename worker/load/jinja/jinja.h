// A small interpreter of Jinja, for chat templates.
//
// It knows the part of Jinja that published chat templates use, with the settings that
// transformers' apply_chat_template has: trim_blocks, lstrip_blocks, loop controls, the generation
// tag, its own tojson, raise_exception and strftime_now, and the immutable sandbox. What it prints
// is what Jinja prints. Everything else is refused, when the template is parsed where it can be
// seen there, else when it is rendered: tags (include, extends, block, ...), filters, tests,
// methods and functions that are not known, integers beyond 64 bits in arithmetic, floats that are
// not finite, letters and characters whose meaning depends on the version of Unicode.
//
// Steps, memory, printed bytes and depths are bounded (run.h, parser.h).
#ifndef WORKER_LOAD_JINJA_JINJA_H
#define WORKER_LOAD_JINJA_JINJA_H

#include "worker/load/jinja/value.h"

struct jinja;

// Parses a template. `name` is what sentences call it. NULL with ERROR_CONFIG: "NAME, line N: " and
// what is wrong. The result is read-only: threads share it.
struct jinja *jinja_parse(struct slice text, const char *name, struct error *err);
void jinja_free(struct jinja **jinja);

struct jinja_variable {
    const char *name;
    struct value value;
};

// A rendering: opened, given values that are made in its memory, run once, and closed.
void jinja_open(struct run *r, const struct jinja *jinja, struct error *err);
// Appends the text to `out`; ERROR_INPUT: "NAME, line N: " and why the template refuses it.
int jinja_render(struct run *r, const struct jinja *jinja, const struct jinja_variable *variables,
                 int n_variables, struct buffer *out);
void jinja_close(struct run *r);

#endif

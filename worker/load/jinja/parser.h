// Tokens to a tree, by Jinja's own grammar (jinja2/parser.py describes the same functions).
#ifndef WORKER_LOAD_JINJA_PARSER_H
#define WORKER_LOAD_JINJA_PARSER_H

#include "worker/load/jinja/lexer.h"
#include "worker/load/jinja/node.h"

// Depths at which a sentence is better than what Python makes of them: its own parser, compiler
// and stack give up a little further on.
enum {
    PARSER_MAX_NESTING = 32,    // brackets and the like inside each other
    PARSER_MAX_DEPTH = 90,      // of one expression's tree
    PARSER_MAX_STATEMENTS = 30, // blocks inside each other
    PARSER_MAX_LOOPS = 16,      // loops inside each other
};

struct parser {
    const struct token *at; // the current token
    struct arena *arena;
    const char *name; // of the template
    int nesting, n_statements, n_loops;
    struct error *err;
};

// The template's body; NULL with ERROR_CONFIG: "NAME, line N: " and what is wrong.
struct node *parser_read(struct parser *p);

// ---- shared by the parser's files; each returns NULL after a failure

struct node *parser_fail(struct parser *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct kids { // children that are still being read
    struct node **list;
    int n, capacity;
};
void parser_add_kid(struct parser *p, struct kids *kids, struct node *kid);
struct node *parser_node(struct parser *p, enum node_kind kind, int line, const struct kids *kids);

bool parser_is(const struct parser *p, enum token_type type);
bool parser_is_operator(const struct parser *p, const char *text);
bool parser_is_name(const struct parser *p, const char *text);
bool parser_skip_operator(struct parser *p, const char *text);
bool parser_skip_name(struct parser *p, const char *text);
int parser_expect_operator(struct parser *p, const char *text); // -1 after a failure
int parser_expect_name(struct parser *p, const char *text);
int parser_take_name(struct parser *p, struct slice *out); // any name
// What the current token is called in a sentence: "'endif'", "the end of the tag".
const char *parser_found(struct parser *p);

struct node *parser_node1(struct parser *p, enum node_kind kind, int line, struct node *kid);
struct node *parser_node2(struct parser *p, enum node_kind kind, int line, struct node *left,
                          struct node *right);

struct node *parser_expression(struct parser *p);
// A literal or name; `namespaces`: name.attribute is one too.
struct node *parser_primary(struct parser *p, bool namespaces);
struct node *parser_postfix(struct parser *p, struct node *n); // .a, [a] and (a) behind it
struct node *parser_filters_and_tests(struct parser *p, struct node *n);
// Expressions with commas between them. `condition`: "a if b else c" may stand there.
struct node *parser_tuple(struct parser *p, bool condition);
// What is assigned to: names with commas between them.
struct node *parser_target(struct parser *p, bool namespaces, enum node_context context);
// "| name(...)" as often as it stands there; the object may be NULL. `inside`: the first '|' is
// not there.
struct node *parser_filters(struct parser *p, struct node *object, bool inside);

#endif

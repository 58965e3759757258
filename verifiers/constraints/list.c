// Instruction lists: parsing with every check of the arguments, and verdicts.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/constraints.h"

struct instruction {
    const struct constraint *row;
    struct constraint_args args;
};

struct constraint_list {
    struct arena arena;
    int n;
    struct instruction items[CONSTRAINT_MAX_INSTRUCTIONS]; // (n)
};

// ---- Arguments ---------------------------------------------------------------------------------

static int bad(const struct json *value, const char *name, const char *expected,
               struct error *err) {
    return error_set(err, ERROR_INPUT, "\"%s\" is %.*s; %s was expected.", name,
                     SLICE_ARG(value->text), expected);
}

static int read_integer(const struct json *json, const struct constraint_param *param,
                        struct constraint_value *value, struct error *err) {
    double number;
    if (json->type != JSON_NUMBER) return bad(json, param->name, "an integer", err);
    if (json_int64(json, &value->integer) != 0) {
        if (json_double(json, &number) || number != floor(number) || fabs(number) > 1e15)
            return bad(json, param->name, "an integer", err);
        value->integer = (int64_t)number;
    }
    if (value->integer >= param->min && (param->max == 0 || value->integer <= param->max)) return 0;
    if (param->max == 0)
        return error_set(err, ERROR_INPUT, "\"%s\" is %.*s; at least %" PRId64 " was expected.",
                         param->name, SLICE_ARG(json->text), param->min);
    return error_set(err, ERROR_INPUT, "\"%s\" is %.*s; %" PRId64 " to %" PRId64 " was expected.",
                     param->name, SLICE_ARG(json->text), param->min, param->max);
}

static int read_real(const struct json *json, const struct constraint_param *param,
                     struct constraint_value *value, struct error *err) {
    if (json->type != JSON_NUMBER || json_double(json, &value->real) || !isfinite(value->real))
        return bad(json, param->name, "a number", err);
    if (value->real >= (double)param->min && (param->max == 0 || value->real <= (double)param->max))
        return 0;
    return error_set(err, ERROR_INPUT, "\"%s\" is %.*s; %" PRId64 " to %" PRId64 " was expected.",
                     param->name, SLICE_ARG(json->text), param->min, param->max);
}

static int read_string(const struct json *json, const struct constraint_param *param,
                       struct arena *arena, struct slice *out, struct error *err) {
    if (json->type != JSON_STRING) return bad(json, param->name, "a string", err);
    if (json->text.len > CONSTRAINT_MAX_ARG_BYTES)
        return error_set(err, ERROR_INPUT, "\"%s\" has %zu bytes; at most %d were expected.",
                         param->name, json->text.len, CONSTRAINT_MAX_ARG_BYTES);
    *out = json_string(json, arena);
    const size_t n = slice_n_chars(*out);
    if (n < (size_t)param->min || (param->max && n > (size_t)param->max))
        return error_set(err, ERROR_INPUT,
                         "\"%s\" has %zu characters; %" PRId64 " %s were expected.", param->name, n,
                         n < (size_t)param->min ? param->min : param->max,
                         n < (size_t)param->min ? "at least" : "at most");
    for (int i = 0; param->choices; i++) {
        if (!param->choices[i]) return bad(json, param->name, "one of the known values", err);
        if (slice_is(*out, param->choices[i])) break;
    }
    return 0;
}

static int read_strings(const struct json *json, const struct constraint_param *param,
                        struct arena *arena, struct constraint_value *value, struct error *err) {
    if (json->type != JSON_ARRAY) return bad(json, param->name, "a list of strings", err);
    if (json->n_children < 1 || json->n_children > CONSTRAINT_MAX_ITEMS)
        return error_set(err, ERROR_INPUT, "\"%s\" has %d entries; 1 to %d were expected.",
                         param->name, json->n_children, CONSTRAINT_MAX_ITEMS);
    struct slice *items = arena_take(arena, (size_t)json->n_children, sizeof *items);
    for (const struct json *j = json->first; j; j = j->next)
        if (read_string(j, param, arena, &items[value->n_items++], err)) return -1;
    value->items = items;
    return 0;
}

static int read_relation(const struct json *json, const struct constraint_param *param,
                         struct constraint_value *value, struct error *err) {
    value->at_least = slice_is(json->text, "\"at least\"");
    if (value->at_least || slice_is(json->text, "\"less than\"")) return 0;
    return bad(json, param->name, "\"at least\" or \"less than\"", err);
}

static int read_value(const struct json *json, const struct constraint_param *param,
                      struct arena *arena, struct constraint_value *value, struct error *err) {
    value->given = true;
    switch (param->type) {
    case CONSTRAINT_INTEGER:
        return read_integer(json, param, value, err);
    case CONSTRAINT_REAL:
        return read_real(json, param, value, err);
    case CONSTRAINT_STRING:
        if (param->or_list && json->type == JSON_ARRAY && json->first) json = json->first;
        return read_string(json, param, arena, &value->string, err);
    case CONSTRAINT_STRINGS:
        return read_strings(json, param, arena, value, err);
    case CONSTRAINT_RELATION:
        return read_relation(json, param, value, err);
    }
    return error_set(err, ERROR_INTERNAL, "\"%s\" has an unknown type.", param->name);
}

static int read_args(const struct json *kwargs, struct arena *arena, struct instruction *item,
                     struct error *err) {
    const struct constraint_param *params = item->row->params;
    const bool none = !kwargs || kwargs->type == JSON_NULL;
    if (!none && kwargs->type != JSON_OBJECT)
        return error_set(err, ERROR_INPUT, "Its kwargs are %s; an object was expected.",
                         json_type_name(kwargs));
    for (const struct json *m = none ? NULL : kwargs->first; m; m = m->next) {
        int i = 0;
        if (m->type == JSON_NULL) continue;
        while (params[i].name && !slice_is(m->key, params[i].name)) i++;
        if (!params[i].name)
            return error_set(err, ERROR_INPUT, "It has no argument \"%.*s\".", SLICE_ARG(m->key));
        if (read_value(m, &params[i], arena, &item->args.values[i], err)) return -1;
    }
    for (int i = 0; params[i].name; i++)
        if (!item->args.values[i].given && !params[i].optional)
            return error_set(err, ERROR_INPUT, "The argument \"%s\" is missing.", params[i].name);
    return item->row->prepare ? item->row->prepare(&item->args, arena, err) : 0;
}

static int parse(const struct json *ids, const struct json *kwargs, struct constraint_list *list,
                 struct error *err) {
    if (!ids || ids->type != JSON_ARRAY)
        return error_set(err, ERROR_INPUT,
                         "\"instruction_id_list\" is %s; a list of strings was expected.",
                         ids ? json_type_name(ids) : "missing");
    if (ids->n_children < 1 || ids->n_children > CONSTRAINT_MAX_INSTRUCTIONS)
        return error_set(err, ERROR_INPUT,
                         "\"instruction_id_list\" has %d entries; 1 to %d were expected.",
                         ids->n_children, CONSTRAINT_MAX_INSTRUCTIONS);
    if (kwargs && kwargs->type == JSON_NULL) kwargs = NULL;
    if (kwargs && (kwargs->type != JSON_ARRAY || kwargs->n_children != ids->n_children))
        return error_set(err, ERROR_INPUT,
                         "\"kwargs\" is %.*s; a list of %d objects, one for each instruction, was "
                         "expected.",
                         SLICE_ARG(kwargs->text), ids->n_children);
    const struct json *own = kwargs ? kwargs->first : NULL;
    for (const struct json *id = ids->first; id; id = id->next, own = own ? own->next : NULL) {
        struct instruction *item = &list->items[list->n];
        if (id->type != JSON_STRING)
            return error_set(err, ERROR_INPUT, "Instruction %d is %s; an id was expected.", list->n,
                             json_type_name(id));
        const struct slice name = json_string(id, &list->arena);
        item->row = constraint_find(name);
        if (!item->row)
            return error_set(err, ERROR_INPUT, "The instruction id \"%.*s\" is not known.",
                             SLICE_ARG(name));
        if (read_args(own, &list->arena, item, err))
            return error_prefix(err, "Instruction %d (%s)", list->n, item->row->id);
        list->n++;
    }
    return 0;
}

struct constraint_list *constraint_list_parse(const struct json *ids, const struct json *kwargs,
                                              struct error *err) {
    struct constraint_list *list = memory_new(1, sizeof *list);
    if (parse(ids, kwargs, list, err)) constraint_list_free(&list);
    return list;
}

void constraint_list_free(struct constraint_list **list) {
    if (*list) arena_clear(&(*list)->arena);
    free(*list);
    *list = NULL;
}

int constraint_list_n(const struct constraint_list *list) {
    return list->n;
}

const char *constraint_list_id(const struct constraint_list *list, int i) {
    return list->items[i].row->id;
}

// ---- Verdicts ----------------------------------------------------------------------------------

bool constraint_list_follows(const struct constraint_list *list, int i,
                             struct constraint_text *text) {
    return list->items[i].row->follows(text, &list->items[i].args);
}

// What is known of one instruction while the variants of one response are checked.
struct finding {
    bool no_part;        // of the whole; it does not follow itself
    struct slice blamed; // no variant with these bytes follows
    void *kept;          // by one check for the next ones
};

// A response as it is or without every '*', and the variants that lack lines of it.
struct variants {
    const struct constraint_list *list;
    struct arena *arena;
    struct constraint_text whole;
    struct finding findings[CONSTRAINT_MAX_INSTRUCTIONS]; // (list->n)
    enum constraint_verdict *verdicts;                    // (list->n)
};

static bool is_ruled_out(const struct finding *finding, struct slice variant, bool is_part) {
    const struct slice blamed = finding->blamed;
    return (is_part && finding->no_part) || (blamed.ptr && blamed.ptr >= variant.ptr &&
                                             blamed.ptr + blamed.len <= variant.ptr + variant.len);
}

static bool is_too_long(struct slice s) {
    return s.len > TEXT_MAX_BYTES;
}

// What is too long, as a text may be that was mended, is not checked, but its parts may be.
static void open_whole(struct variants *v, struct slice s) {
    text_open(&v->whole, s, v->arena);
    if (is_too_long(s)) v->whole.raw = s;
}

static void open_part(struct variants *v, struct slice part, struct constraint_text *text,
                      struct arena *arena) {
    if (is_too_long(v->whole.raw))
        text_open(text, part, arena);
    else
        text_open_part(text, part, &v->whole, arena);
}

// Checks instruction `i` on a variant: the whole, or a part of it.
static void check_one(struct variants *v, int i, struct constraint_text *text) {
    struct finding *finding = &v->findings[i];
    if (v->verdicts[i] == CONSTRAINT_FOLLOWED) return;
    if (is_ruled_out(finding, text->raw, text != &v->whole)) return;
    text->kept = finding->kept;
    const bool follows = constraint_list_follows(v->list, i, text);
    if (!text->over) {
        if (follows) v->verdicts[i] = CONSTRAINT_FOLLOWED;
        if (text == &v->whole) finding->no_part = text->no_part;
        finding->kept = text->kept;
        if (text->blamed.ptr) finding->blamed = text->blamed;
        text_refill(text);
        return;
    }
    // A budget that is used up spoils what the text has kept.
    v->verdicts[i] = CONSTRAINT_LIMIT;
    if (v->whole.over && !is_too_long(v->whole.raw)) open_whole(v, v->whole.raw);
    if (text != &v->whole) open_part(v, text->raw, text, text->arena);
}

static void check_text(struct variants *v, struct constraint_text *text) {
    if (slice_is_blank(text->raw)) return;
    for (int i = 0; i < v->list->n; i++)
        if (!is_too_long(text->raw))
            check_one(v, i, text);
        else if (v->verdicts[i] != CONSTRAINT_FOLLOWED)
            v->verdicts[i] = CONSTRAINT_LIMIT;
}

static void check_part(struct variants *v, struct slice part) {
    struct constraint_text text;
    struct arena arena = {0};
    open_part(v, part, &text, &arena);
    text.raw = part; // which text_open forgets when it is too long
    check_text(v, &text);
    arena_clear(&arena);
}

static bool all_followed(const struct constraint_list *list,
                         const enum constraint_verdict *verdicts) {
    for (int i = 0; i < list->n; i++)
        if (verdicts[i] != CONSTRAINT_FOLLOWED) return false;
    return true;
}

static struct slice without_stars(struct slice s, struct arena *arena) {
    char *out = arena_take_unset(arena, s.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        out[n] = s.ptr[i];
        n += s.ptr[i] != '*';
    }
    return (struct slice){out, n};
}

enum { N_PARTS = 3 };

// The response without its first and last, its first, and its last line, all stripped. The shortest
// one stands in front: what rules it out rules out the others.
static void make_parts(struct slice s, struct slice out[N_PARTS]) {
    const char *first = s.len ? memchr(s.ptr, '\n', s.len) : NULL;
    const char *last = s.len ? memrchr(s.ptr, '\n', s.len) : NULL;
    for (int i = 0; i < N_PARTS; i++) out[i] = (struct slice){"", 0};
    if (!first) return;
    const size_t from = (size_t)(first + 1 - s.ptr), to = (size_t)(last - s.ptr);
    if (from <= to) out[0] = slice_strip(slice_part(s, from, to), CHAR_SPACE);
    out[1] = slice_strip(slice_from(s, from), CHAR_SPACE);
    out[2] = slice_strip(slice_part(s, 0, to), CHAR_SPACE);
}

static bool is_same(struct slice a, struct slice b) {
    return a.ptr == b.ptr && a.len == b.len;
}

// Whether part i is the whole or one of those before it, as where the first or last line is blank.
static bool is_again(struct slice whole, const struct slice parts[N_PARTS], int i) {
    if (is_same(whole, parts[i])) return true;
    for (int k = 0; k < i; k++)
        if (is_same(parts[k], parts[i])) return true;
    return false;
}

// How many bytes of `s` in front of byte `to` are no '*'.
static size_t n_without_stars(struct slice s, size_t to) {
    size_t n = 0;
    for (size_t i = 0; i < to; i++) n += s.ptr[i] != '*';
    return n;
}

// The part of `starless` that is `part` of `whole` without its stars. There may be white space at
// its ends, which is not stripped.
static struct slice starless_part(struct slice whole, struct slice part, struct slice starless) {
    const size_t at = n_without_stars(whole, (size_t)(part.ptr - whole.ptr));
    return (struct slice){starless.ptr + at, n_without_stars(part, part.len)};
}

static void check_loosely(struct variants *v) {
    const struct slice whole = v->whole.raw;
    struct slice parts[N_PARTS];
    make_parts(whole, parts);
    for (int i = 0; i < N_PARTS; i++)
        if (!is_again(whole, parts, i)) check_part(v, parts[i]);
    if (!memchr(whole.ptr, '*', whole.len) || all_followed(v->list, v->verdicts)) return;
    const struct slice starless = without_stars(whole, v->arena);
    memset(v->findings, 0, sizeof v->findings);
    open_whole(v, starless);
    check_text(v, &v->whole);
    for (int i = 0; i < N_PARTS; i++)
        if (!is_again(whole, parts, i) && memchr(parts[i].ptr, '*', parts[i].len))
            check_part(v, starless_part(whole, parts[i], starless));
}

void constraint_list_check(const struct constraint_list *list, struct slice response, bool loose,
                           enum constraint_verdict *verdicts) {
    struct arena arena = {0};
    struct variants v = {.list = list, .arena = &arena, .verdicts = verdicts};
    for (int i = 0; i < list->n; i++)
        verdicts[i] = response.len > TEXT_MAX_BYTES ? CONSTRAINT_LIMIT : CONSTRAINT_BROKEN;
    if (response.len > TEXT_MAX_BYTES) return;
    open_whole(&v, response); // mends what is no UTF-8
    check_text(&v, &v.whole);
    if (loose && !all_followed(list, verdicts)) check_loosely(&v);
    arena_clear(&arena);
}

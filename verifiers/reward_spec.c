#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/locale.h"
#include "verifiers/verifier.h"

static const struct verifier *const BUILTIN[] = {
    &choice_verifier,       &exact_verifier,      &ifeval_verifier,
    &language_verifier,     &length_verifier,     &math_verifier,
    &regex_format_verifier, &repetition_verifier, &tags_verifier,
};

enum { N_BUILTIN = sizeof BUILTIN / sizeof *BUILTIN };

const struct verifier *verifier_find(struct slice name) {
    for (int i = 0; i < N_BUILTIN; i++)
        if (slice_is(name, BUILTIN[i]->name)) return BUILTIN[i];
    return NULL;
}

int verifier_string(const struct json *term, const char *key, struct arena *arena,
                    struct slice *out, struct error *err) {
    const struct json *value = json_get(term, key);
    if (!value) return error_set(err, ERROR_INPUT, "The key \"%s\" is missing.", key);
    if (value->type != JSON_STRING)
        return error_set(err, ERROR_INPUT, "\"%s\" is %s; a string was expected.", key,
                         json_type_name(value));
    *out = json_string(value, arena);
    return 0;
}

int verifier_word(const struct json *term, const char *key, const char *const *words,
                  struct arena *arena, int *out, struct error *err) {
    char expected[128] = "";
    struct slice text;
    *out = 0;
    if (!json_get(term, key)) return 0;
    if (verifier_string(term, key, arena, &text, err)) return -1;
    for (size_t len = 0; words[*out]; ++*out) {
        if (slice_is(text, words[*out])) return 0;
        len += (size_t)snprintf(expected + len, sizeof expected - len, "%s\"%s\"",
                                *out ? " or " : "", words[*out]);
        assert(len < sizeof expected);
    }
    return error_set(err, ERROR_INPUT, "\"%s\" is \"%.*s\"; %s was expected.", key, SLICE_ARG(text),
                     expected);
}

// Members other than those named are refused: a misspelt key would change the reward in silence.
static int check_keys(const struct json *object, const char *const *common, const char *const *more,
                      struct error *err) {
    for (const struct json *m = object->first; m; m = m->next) {
        bool known = false;
        for (int i = 0; common[i]; i++) known = known || slice_is(m->key, common[i]);
        for (int i = 0; more && more[i]; i++) known = known || slice_is(m->key, more[i]);
        if (!known)
            return error_set(err, ERROR_INPUT, "The key \"%.*s\" is not known.", SLICE_ARG(m->key));
    }
    return 0;
}

static int read_number(const struct json *value, const char *what, double *out, struct error *err) {
    if (value->type == JSON_NUMBER && json_double(value, out) == 0 && isfinite(*out)) return 0;
    return error_set(err, ERROR_INPUT, "%s is %.*s; a finite number was expected.", what,
                     SLICE_ARG(value->text));
}

static bool is_external(struct slice name, const struct verifier_command *externals, int n) {
    for (int i = 0; i < n; i++)
        if (slice_is(name, externals[i].name)) return true;
    return false;
}

static int parse_common(const struct json *json, struct reward_spec_term *term, struct arena *arena,
                        struct error *err) {
    const struct json *weight = json_get(json, "weight");
    const struct json *gate = json_get(json, "gate");
    const struct json *name = json_get(json, "name");
    term->weight = 1;
    if (weight && read_number(weight, "\"weight\"", &term->weight, err)) return -1;
    if (gate && gate->type != JSON_TRUE && gate->type != JSON_FALSE)
        return error_set(err, ERROR_INPUT, "\"gate\" is %s; true or false was expected.",
                         json_type_name(gate));
    term->gate = gate && gate->type == JSON_TRUE;
    if (!name) {
        term->name = memory_copy(term->verifier, strlen(term->verifier));
        return 0;
    }
    struct slice text;
    if (verifier_string(json, "name", arena, &text, err)) return -1;
    if (text.len == 0 || text.len > 64 || memchr(text.ptr, 0, text.len))
        return error_set(err, ERROR_INPUT, "\"name\" has %zu bytes; 1 to 64 were expected.",
                         text.len);
    term->name = memory_copy(text.ptr, text.len);
    return 0;
}

static int parse_term(const struct json *json, const struct verifier_command *externals,
                      int n_externals, struct reward_spec_term *term, struct error *err) {
    static const char *const COMMON[] = {"verifier", "weight", "gate", "name", NULL};
    struct arena arena = {0};
    struct slice verifier;
    int result = -1;
    if (json->type != JSON_OBJECT)
        return error_set(err, ERROR_INPUT, "It is %s; an object was expected.",
                         json_type_name(json));
    if (verifier_string(json, "verifier", &arena, &verifier, err)) goto done;
    term->json = json->text;
    term->builtin = verifier_find(verifier);
    if (!term->builtin && !is_external(verifier, externals, n_externals)) {
        error_set(err, ERROR_INPUT,
                  "The verifier \"%.*s\" is not known: choice, exact, ifeval, language, length, "
                  "math, regex_format, repetition, tags or a name given with --verifier was "
                  "expected.",
                  SLICE_ARG(verifier));
        goto done;
    }
    term->verifier = memory_copy(verifier.ptr, verifier.len);
    if (parse_common(json, term, &arena, err)) goto done;
    if (term->builtin) {
        if (term->gate && term->builtin->no_gate) {
            error_set(err, ERROR_INPUT, "The verifier %s cannot be a gate.", term->verifier);
            goto done;
        }
        if (check_keys(json, COMMON, term->builtin->keys, err)) goto done;
        term->state = term->builtin->parse(json, &arena, err);
        if (!term->state) goto done;
    }
    result = 0;
done:
    arena_clear(&arena);
    return result;
}

static int parse_shape(const struct json *json, struct reward_spec *spec, struct error *err) {
    static const char *const KEYS[] = {"terms", "clamp", "scale", NULL};
    const struct json *clamp = json_get(json, "clamp");
    const struct json *scale = json_get(json, "scale");
    if (check_keys(json, KEYS, NULL, err)) return -1;
    if (clamp && clamp->type != JSON_NULL) {
        if (clamp->type != JSON_ARRAY || clamp->n_children != 2)
            return error_set(err, ERROR_INPUT, "\"clamp\" is %.*s; [low, high] was expected.",
                             SLICE_ARG(clamp->text));
        if (read_number(clamp->first, "The low end of \"clamp\"", &spec->low, err) ||
            read_number(clamp->first->next, "The high end of \"clamp\"", &spec->high, err))
            return -1;
        if (spec->low > spec->high)
            return error_set(err, ERROR_INPUT, "\"clamp\" is %.*s; low <= high was expected.",
                             SLICE_ARG(clamp->text));
        spec->has_clamp = true;
    }
    if (scale && !slice_is(scale->text, "\"01\"") && !slice_is(scale->text, "\"pm1\""))
        return error_set(err, ERROR_INPUT, "\"scale\" is %.*s; \"01\" or \"pm1\" was expected.",
                         SLICE_ARG(scale->text));
    spec->pm1 = scale && slice_is(scale->text, "\"pm1\"");
    return 0;
}

static int parse_spec(const struct json *json, const struct verifier_command *externals,
                      int n_externals, struct reward_spec *spec, struct error *err) {
    const struct json *terms = json;
    if (json->type == JSON_OBJECT) {
        if (parse_shape(json, spec, err)) return -1;
        terms = json_get(json, "terms");
        if (!terms) return error_set(err, ERROR_INPUT, "The key \"terms\" is missing.");
    }
    if (terms->type != JSON_ARRAY)
        return error_set(err, ERROR_INPUT, "It is %s; a list of terms was expected.",
                         json_type_name(terms));
    if (terms->n_children < 1 || terms->n_children > REWARD_MAX_TERMS)
        return error_set(err, ERROR_INPUT, "It has %d terms; 1 to %d were expected.",
                         terms->n_children, REWARD_MAX_TERMS);
    for (const struct json *t = terms->first; t; t = t->next) {
        struct reward_spec_term *term = &spec->terms[spec->n_terms++];
        if (parse_term(t, externals, n_externals, term, err))
            return error_prefix(err, "Term %d", spec->n_terms - 1);
        spec->n_external += !term->builtin;
    }
    return 0;
}

struct reward_spec *reward_spec_parse(struct slice json, const struct verifier_command *externals,
                                      int n_externals, struct error *err) {
    struct arena arena = {0};
    struct reward_spec *spec = memory_new(1, sizeof *spec);
    atomic_init(&spec->n_owners, 1);
    int result = -1;
    if (json.len > REWARD_MAX_SPEC_BYTES) {
        error_set(err, ERROR_INPUT, "It has %zu bytes; at most %d were expected.", json.len,
                  REWARD_MAX_SPEC_BYTES);
    } else {
        spec->text = memory_copy(json.ptr, json.len);
        spec->text_len = json.len;
        const struct json *root = json_parse(reward_spec_json(spec), &arena, err);
        locale_t before = locale_enter();
        if (root) result = parse_spec(root, externals, n_externals, spec, err);
        locale_leave(before);
    }
    arena_clear(&arena);
    if (result == 0) return spec;
    if (err) err->code = ERROR_INPUT;
    error_prefix(err, "reward");
    reward_spec_free(&spec);
    return NULL;
}

struct reward_spec *reward_spec_hold(struct reward_spec *spec) {
    atomic_fetch_add_explicit(&spec->n_owners, 1, memory_order_relaxed);
    return spec;
}

void reward_spec_free(struct reward_spec **spec) {
    struct reward_spec *s = *spec;
    *spec = NULL;
    if (!s || atomic_fetch_sub_explicit(&s->n_owners, 1, memory_order_acq_rel) > 1) return;
    for (int i = 0; i < s->n_terms; i++) {
        struct reward_spec_term *t = &s->terms[i];
        if (t->builtin && t->state) t->builtin->free(t->state);
        free(t->name);
        free(t->verifier);
    }
    free(s->text);
    free(s);
}

struct slice reward_spec_json(const struct reward_spec *spec) {
    return (struct slice){spec->text, spec->text_len};
}

// `choice`: the answer to a multiple-choice question is the gold letter, or the text of its option.
#include <stdio.h>
#include <stdlib.h>

#include "verifiers/choice/choice.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/verifier.h"

struct choice {
    struct arena arena; // of the options' texts
    struct choice_options options;
    int gold; // 0: A
};

static int read_gold(const struct json *term, struct arena *arena, int *out, struct error *err) {
    struct slice gold;
    if (verifier_string(term, "gold", arena, &gold, err)) return -1;
    if (gold.len != 1 || gold.ptr[0] < 'A' || gold.ptr[0] > 'J')
        return error_set(err, ERROR_INPUT,
                         "\"gold\" is \"%.*s\"; a letter from \"A\" to \"J\" was expected.",
                         SLICE_ARG(gold));
    *out = gold.ptr[0] - 'A';
    return 0;
}

static int read_option(const struct json *value, struct choice *choice, struct arena *arena,
                       struct error *err) {
    struct choice_options *o = &choice->options;
    const char letter = (char)('A' + o->n);
    if (value->type != JSON_STRING)
        return error_set(err, ERROR_INPUT, "Option %c is %s; a text was expected.", letter,
                         json_type_name(value));
    const struct slice text = json_string(value, arena);
    if (text.len > CHOICE_MAX_OPTION_BYTES)
        return error_set(err, ERROR_INPUT, "Option %c has %zu bytes; at most %d were expected.",
                         letter, text.len, CHOICE_MAX_OPTION_BYTES);
    const struct slice clean = choice_collapse(choice_clean(text, arena, NULL, 0), &choice->arena);
    if (slice_is_blank(text) || clean.len == 0)
        return error_set(err, ERROR_INPUT, "Option %c is blank; a text was expected.", letter);
    for (int i = 0; i < o->n; i++)
        if (slice_equal(o->texts[i], clean))
            return error_set(err, ERROR_INPUT,
                             "The options %c and %c have the same text, \"%.*s\".", 'A' + i, letter,
                             SLICE_ARG(text));
    o->texts[o->n] = clean;
    o->folded[o->n++] = choice_fold(clean, &choice->arena);
    return 0;
}

static int read_options(const struct json *list, struct choice *choice, struct arena *arena,
                        struct error *err) {
    if (!list || list->type == JSON_NULL) return 0;
    if (list->type != JSON_ARRAY)
        return error_set(err, ERROR_INPUT, "\"options\" is %s; a list of texts was expected.",
                         json_type_name(list));
    if (list->n_children < 2 || list->n_children > CHOICE_MAX)
        return error_set(err, ERROR_INPUT, "\"options\" has %d texts; 2 to %d were expected.",
                         list->n_children, CHOICE_MAX);
    for (const struct json *j = list->first; j; j = j->next)
        if (read_option(j, choice, arena, err)) return -1;
    if (choice->gold < choice->options.n) return 0;
    return error_set(err, ERROR_INPUT,
                     "\"gold\" is \"%c\", but the last of the %d options is \"%c\".",
                     'A' + choice->gold, choice->options.n, 'A' + choice->options.n - 1);
}

static void free_choice(void *state) {
    struct choice *choice = state;
    arena_clear(&choice->arena);
    free(choice);
}

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    struct choice *choice = memory_new(1, sizeof *choice);
    if (read_gold(term, arena, &choice->gold, err) == 0 &&
        read_options(json_get(term, "options"), choice, arena, err) == 0)
        return choice;
    free_choice(choice);
    return NULL;
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct choice *choice = state;
    struct arena arena = {0};
    choice_set found;
    if (!choice_select(&choice->options, sample->completion, &arena, &found))
        out->status = REWARD_NO_ANSWER;
    else
        out->value = found == 1u << choice->gold;
    arena_clear(&arena);
}

static const char *const KEYS[] = {"gold", "options", NULL};

const struct verifier choice_verifier = {
    .name = "choice", .keys = KEYS, .parse = parse, .grade = grade, .free = free_choice};

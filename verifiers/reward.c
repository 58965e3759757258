#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/locale.h"
#include "verifiers/verifier.h"

static const char *const STATUS[] = {
    [REWARD_BAD_SPEC] = "bad_spec",   [REWARD_UNSUPPORTED] = "unsupported",
    [REWARD_CRASH] = "crash",         [REWARD_TIMEOUT] = "timeout",
    [REWARD_UNKNOWN] = "unknown",     [REWARD_LIMIT] = "limit",
    [REWARD_NO_ANSWER] = "no_answer", [REWARD_OK] = "ok",
};

const char *reward_status_name(enum reward_status status) {
    return STATUS[status];
}

bool reward_status_parse(struct slice name, enum reward_status *status) {
    for (int i = REWARD_BAD_SPEC; i <= REWARD_OK; i++)
        if (slice_is(name, STATUS[i])) {
            *status = (enum reward_status)i;
            return true;
        }
    return false;
}

bool reward_status_has_value(enum reward_status status) {
    return status >= REWARD_UNKNOWN;
}

static double compose(const struct reward_spec *spec, const struct reward *reward) {
    double sum = 0;
    for (int i = 0; i < reward->n_terms; i++) {
        if (isnan(reward->terms[i].value)) return NAN;
        sum += reward->terms[i].weight * reward->terms[i].value;
    }
    for (int i = 0; i < reward->n_terms; i++)
        if (spec->terms[i].gate && reward->terms[i].value == 0) sum = 0;
    if (spec->has_clamp) sum = sum < spec->low ? spec->low : sum > spec->high ? spec->high : sum;
    return spec->pm1 ? 2 * sum - 1 : sum;
}

// Texts live behind the terms, in the same allocation.
struct reward *reward_compose(const struct reward_spec *spec,
                              const struct verifier_outcome *outcomes) {
    const size_t n = (size_t)spec->n_terms;
    size_t text_bytes = 0;
    for (size_t i = 0; i < n; i++)
        text_bytes += strlen(spec->terms[i].name) + strlen(spec->terms[i].verifier) +
                      strlen(outcomes[i].detail) + strlen(outcomes[i].parts) + 4;
    struct reward *reward =
        memory_new(1, sizeof *reward + n * sizeof reward->terms[0] + text_bytes);
    reward->n_terms = spec->n_terms;
    reward->terms = (struct reward_term *)(reward + 1);
    reward->status = REWARD_OK;
    char *text = (char *)(reward->terms + n);
    for (size_t i = 0; i < n; i++) {
        struct reward_term *t = &reward->terms[i];
        const char *const from[] = {spec->terms[i].name, spec->terms[i].verifier,
                                    outcomes[i].detail, outcomes[i].parts};
        const char **const to[] = {&t->name, &t->verifier, &t->detail, &t->parts};
        for (int j = 0; j < 4; j++) {
            *to[j] = text;
            text = stpcpy(text, from[j]) + 1;
        }
        t->weight = spec->terms[i].weight;
        t->status = outcomes[i].status;
        t->value = t->status == REWARD_OK               ? outcomes[i].value
                   : reward_status_has_value(t->status) ? 0
                                                        : NAN;
        if (t->status < reward->status) reward->status = t->status;
    }
    reward->value = compose(spec, reward);
    return reward;
}

void reward_free(struct reward **reward) {
    free(*reward);
    *reward = NULL;
}

void reward_grade_terms(const struct reward_spec *spec, const struct verifier_sample *sample,
                        struct verifier_outcome *outcomes) {
    for (int i = 0; i < spec->n_terms; i++) {
        const struct reward_spec_term *t = &spec->terms[i];
        outcomes[i] = (struct verifier_outcome){.status = REWARD_OK};
        if (t->builtin) {
            t->builtin->grade(t->state, sample, &outcomes[i]);
        } else {
            outcomes[i].status = REWARD_UNSUPPORTED;
            snprintf(outcomes[i].detail, sizeof outcomes[i].detail,
                     "The program of the verifier %.64s is not running.", t->verifier);
        }
    }
}

struct reward *reward_grade(const struct reward_spec *spec, const struct verifier_sample *sample) {
    struct verifier_outcome outcomes[REWARD_MAX_TERMS];
    locale_t before = locale_enter(); // for letters and numbers in every verifier
    reward_grade_terms(spec, sample, outcomes);
    locale_leave(before);
    return reward_compose(spec, outcomes);
}

struct reward *reward_failed(const struct reward_spec *spec, enum reward_status status,
                             const char *detail) {
    struct verifier_outcome outcomes[REWARD_MAX_TERMS];
    for (int i = 0; i < spec->n_terms; i++) {
        outcomes[i] = (struct verifier_outcome){.status = status};
        snprintf(outcomes[i].detail, sizeof outcomes[i].detail, "%s", detail);
    }
    return reward_compose(spec, outcomes);
}

void reward_to_json(const struct reward *reward, struct buffer *out) {
    buffer_add_text(out, "{\"value\":");
    json_add_double(out, reward->value);
    buffer_printf(out, ",\"status\":\"%s\",\"terms\":[", STATUS[reward->status]);
    for (int i = 0; i < reward->n_terms; i++) {
        const struct reward_term *t = &reward->terms[i];
        buffer_add_text(out, i ? ",{\"name\":" : "{\"name\":");
        json_add_string(out, slice_of(t->name));
        buffer_add_text(out, ",\"verifier\":");
        json_add_string(out, slice_of(t->verifier));
        buffer_add_text(out, ",\"value\":");
        json_add_double(out, t->value);
        buffer_printf(out, ",\"status\":\"%s\",\"weight\":", STATUS[t->status]);
        json_add_double(out, t->weight);
        if (t->detail[0]) {
            buffer_add_text(out, ",\"detail\":");
            json_add_string(out, slice_of(t->detail));
        }
        for (const char *part = t->parts; *part; part++) {
            buffer_add_text(out, part == t->parts ? ",\"instructions\":[" : ",");
            buffer_add_text(out, *part == '1' ? "true" : *part == '0' ? "false" : "null");
            if (!part[1]) buffer_add_text(out, "]");
        }
        buffer_add_text(out, "}");
    }
    buffer_add_text(out, "]}");
}

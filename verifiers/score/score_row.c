#include "verifiers/score/score_row.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "protocol/base/hash.h"

// Of a composed reward, right is what its correctness terms say: a format term may add to the
// value of a wrong answer, and a length term take from that of a right one.
static bool is_right(const struct reward *reward) {
    bool decided = false, right = true;
    for (int i = 0; i < reward->n_terms; i++) {
        const struct reward_term *t = &reward->terms[i];
        if (strcmp(t->verifier, "math") != 0 && strcmp(t->verifier, "exact") != 0 &&
            strcmp(t->verifier, "choice") != 0)
            continue;
        decided = true;
        right = right && t->value >= 1;
    }
    return decided ? right : reward->value >= 1;
}

void score_row_judge(struct score_row *row) {
    const struct reward *reward = row->reward;
    struct score_stat *stat = &row->stat;
    stat->value = reward ? reward->value : NAN;
    if (reward) stat->status = (uint8_t)reward->status;
    if (!reward) stat->flags |= SCORE_ROW_ERROR;
    if (!reward || isnan(reward->value))
        stat->flags |= SCORE_ROW_BAD;
    else
        stat->flags |= (uint16_t)(SCORE_ROW_JUDGED | (is_right(reward) ? SCORE_ROW_RIGHT : 0));
}

static void add_number(struct buffer *out, uint64_t value) {
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buffer_add(out, digits + n, sizeof digits - n);
}

void score_row_write(const struct score_row *row, struct buffer *out) {
    buffer_add_text(out, "{\"id\":");
    if (row->id.ptr)
        buffer_add_slice(out, row->id);
    else if (row->unread)
        buffer_add_text(out, "null");
    else
        add_number(out, row->stat.index);
    buffer_add_text(out, ",\"index\":");
    add_number(out, row->stat.index);
    if (row->sample >= 0) {
        buffer_add_text(out, ",\"sample\":");
        add_number(out, (uint64_t)row->sample);
    }
    buffer_add_text(out, ",\"reward\":");
    if (row->reward)
        reward_to_json(row->reward, out);
    else if (row->stat.status != REWARD_OK)
        buffer_printf(out, "{\"value\":null,\"status\":\"%s\",\"terms\":[]}",
                      reward_status_name(row->stat.status));
    else
        buffer_add_text(out, "null");
    if (row->error) {
        buffer_add_text(out, ",\"error\":");
        json_add_string(out, slice_of(row->error));
    }
    buffer_add_text(out, "}\n");
}

int score_label(const struct json *value, struct arena *arena) {
    static const char *const YES[] = {"true", "yes", "correct", "right", "1"};
    static const char *const NO[] = {"false", "no", "incorrect", "wrong", "0"};
    double number;
    if (value->type == JSON_TRUE || value->type == JSON_FALSE) return value->type == JSON_TRUE;
    if (json_double(value, &number) == 0) return number > 0.5;
    if (value->type != JSON_STRING) return -1;
    struct slice text = json_string(value, arena);
    for (size_t i = 0; i < sizeof YES / sizeof *YES; i++) {
        if (text.len == strlen(YES[i]) && strncasecmp(text.ptr, YES[i], text.len) == 0) return 1;
        if (text.len == strlen(NO[i]) && strncasecmp(text.ptr, NO[i], text.len) == 0) return 0;
    }
    return -1;
}

uint64_t score_answer_hash(const struct verifier_outcome *outcomes, int n) {
    char text[512];
    size_t len = 0;
    int i = 0;
    while (i < n && outcomes[i].span.len == 0) i++;
    if (i == n) return 0;
    const struct slice span = outcomes[i].span;
    for (size_t k = 0; k < span.len && len < sizeof text; k++)
        if (!strchr(" \t\r\n$", span.ptr[k])) text[len++] = span.ptr[k];
    const uint64_t hash = hash_bytes(text, len);
    return hash ? hash : 1;
}

struct slice score_rule(const struct reward *reward, const struct verifier_outcome *outcomes,
                        char room[128]) {
    for (int i = 0; i < reward->n_terms; i++) {
        const struct verifier_outcome *o = &outcomes[i];
        if (!o->rule || !o->found) continue;
        const char *comma = o->found[0] && o->rule[0] ? ", " : "";
        int n = snprintf(room, 128, "%.40s: %s%s%s", reward->terms[i].verifier,
                         o->found[0] || o->rule[0] ? o->found : "no answer", comma, o->rule);
        return (struct slice){room, (size_t)(n < 128 ? n : 127)};
    }
    return (struct slice){room, 0};
}

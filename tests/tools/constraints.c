// Checks instruction lists on texts, for the tests of verifiers/constraints that Python drives.
//
// Each line of stdin is {"instruction_id_list": [...], "kwargs": [...], "response": text or null};
// each line of stdout {"strict": [...], "loose": [...], "us": microseconds of the strict check},
// with null for a limit, or {"error": sentence}. Other requests: {"response": text, "piece":
// "sentences" | "tokens" | "words" | "fields" | "language" | "lower"} answers {"value": ...}.
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "verifiers/constraints/constraints.h"
#include "verifiers/constraints/language.h"
#include "verifiers/constraints/text_sentences.h"

static void add_verdicts(struct buffer *out, const enum constraint_verdict *verdicts, int n) {
    for (int i = 0; i < n; i++) {
        buffer_add_text(out, i ? "," : "[");
        buffer_add_text(out, verdicts[i] == CONSTRAINT_FOLLOWED ? "true"
                             : verdicts[i] == CONSTRAINT_BROKEN ? "false"
                                                                : "null");
    }
    buffer_add_text(out, "]");
}

static void add_list(struct buffer *out, const struct slices *list) {
    for (size_t i = 0; i < list->n; i++) {
        buffer_add_text(out, i ? "," : "[");
        json_add_string(out, list->items[i]);
    }
    buffer_add_text(out, list->n ? "]" : "[]");
}

static void add_runs(struct buffer *out, const struct runs *list) {
    for (size_t i = 0; i < list->n; i++) {
        buffer_add_text(out, i ? "," : "[");
        json_add_string(out, runs_at(list, i));
    }
    buffer_add_text(out, list->n ? "]" : "[]");
}

static void add_piece(struct buffer *out, struct slice piece, struct constraint_text *text) {
    buffer_add_text(out, "{\"value\":");
    if (slice_is(piece, "sentences")) {
        add_runs(out, text_sentences(text));
    } else if (slice_is(piece, "tokens")) {
        add_runs(out, text_tokens(text));
    } else if (slice_is(piece, "words")) {
        add_list(out, text_words(text));
    } else if (slice_is(piece, "fields")) {
        add_list(out, text_fields(text));
    } else if (slice_is(piece, "lower")) {
        json_add_string(out, text_lower(text));
    } else if (slice_is(piece, "language")) {
        const char *code = language_detect(text, text->raw);
        json_add_string(out, slice_of(code ? code : ""));
    } else {
        buffer_add_text(out, "null");
    }
    buffer_add_text(out, "}");
}

static void add_checks(struct buffer *out, const struct json *line, struct slice response) {
    struct error err;
    enum constraint_verdict verdicts[CONSTRAINT_MAX_INSTRUCTIONS];
    struct constraint_list *list = constraint_list_parse(json_get(line, "instruction_id_list"),
                                                         json_get(line, "kwargs"), &err);
    if (!list) {
        buffer_add_text(out, "{\"error\":");
        json_add_string(out, slice_of(err.text));
        buffer_add_text(out, "}");
        return;
    }
    const int64_t start = clock_us();
    constraint_list_check(list, response, false, verdicts);
    const int64_t us = clock_us() - start;
    buffer_add_text(out, "{\"strict\":");
    add_verdicts(out, verdicts, constraint_list_n(list));
    constraint_list_check(list, response, true, verdicts);
    buffer_add_text(out, ",\"loose\":");
    add_verdicts(out, verdicts, constraint_list_n(list));
    buffer_printf(out, ",\"us\":%lld}", (long long)us);
    constraint_list_free(&list);
}

static void answer(struct slice line, struct buffer *out) {
    struct arena arena = {0};
    struct error err;
    const struct json *root = json_parse(line, &arena, &err);
    const struct json *response = json_get(root, "response"), *piece = json_get(root, "piece");
    const struct slice text =
        response && response->type == JSON_STRING ? json_string(response, &arena) : slice_of("");
    if (!root) {
        buffer_add_text(out, "{\"error\":");
        json_add_string(out, slice_of(err.text));
        buffer_add_text(out, "}");
    } else if (piece && piece->type == JSON_STRING) {
        struct constraint_text prepared;
        text_open(&prepared, text, &arena);
        add_piece(out, json_string(piece, &arena), &prepared);
    } else {
        add_checks(out, root, text);
    }
    buffer_add_text(out, "\n");
    arena_clear(&arena);
}

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    struct buffer out = {0};
    for (ssize_t n; (n = getline(&line, &capacity, stdin)) > 0;) {
        buffer_clear(&out);
        answer((struct slice){line, (size_t)n}, &out);
        fwrite(out.ptr, 1, out.len, stdout);
        fflush(stdout);
    }
    buffer_free(&out);
    free(line);
    return 0;
}

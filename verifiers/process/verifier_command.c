#include <ctype.h>
#include <stdlib.h>

#include "verifiers/verifier.h"

enum { MAX_NAME_BYTES = 64 };

static void end_word(struct verifier_command *command, struct buffer *word) {
    command->argv = memory_resize(command->argv, (size_t)command->n_args + 2, sizeof(char *));
    command->argv[command->n_args++] = memory_copy(word->ptr ? word->ptr : "", word->len);
    command->argv[command->n_args] = NULL;
    buffer_clear(word);
}

// Words as in a shell: white space splits, '...' keeps all, "..." keeps all but \" and \\, a
// backslash keeps the next character.
static int split(const char *text, struct verifier_command *command, struct error *err) {
    struct buffer word = {0};
    char quote = 0;
    bool in_word = false;
    for (const char *p = text; *p; p++) {
        const bool escape =
            *p == '\\' && quote != '\'' && p[1] && (quote == 0 || p[1] == '"' || p[1] == '\\');
        if (escape) {
            buffer_add(&word, ++p, 1);
            in_word = true;
        } else if (quote ? *p == quote : (*p == '\'' || *p == '"')) {
            quote = quote ? 0 : *p;
            in_word = true;
        } else if (!quote && isspace((unsigned char)*p)) {
            if (in_word) end_word(command, &word);
            in_word = false;
        } else {
            buffer_add(&word, p, 1);
            in_word = true;
        }
    }
    if (in_word && !quote) end_word(command, &word);
    buffer_free(&word);
    if (quote)
        return error_set(err, ERROR_USAGE, "The command \"%.200s\" has an unclosed %c.", text,
                         quote);
    if (command->n_args == 0)
        return error_set(err, ERROR_USAGE, "The command of the verifier %s is blank.",
                         command->name);
    return 0;
}

int verifier_command_parse(const char *text, struct verifier_command *out, struct error *err) {
    const char *equals = strchr(text, '=');
    *out = (struct verifier_command){0};
    const struct slice name = {text, equals ? (size_t)(equals - text) : 0};
    bool valid = name.len > 0 && name.len <= MAX_NAME_BYTES;
    for (size_t i = 0; i < name.len; i++)
        valid = valid && (isalnum((unsigned char)name.ptr[i]) || memchr("_-.", name.ptr[i], 3));
    if (!valid)
        return error_set(
            err, ERROR_USAGE,
            "--verifier is \"%.200s\"; NAME=COMMAND was expected, the name of letters, "
            "digits, '_', '-' and '.'.",
            text);
    if (verifier_find(name))
        return error_set(err, ERROR_USAGE,
                         "--verifier names \"%.*s\", which is built in; another name was expected.",
                         SLICE_ARG(name));
    out->name = memory_copy(name.ptr, name.len);
    if (split(equals + 1, out, err) == 0) return 0;
    verifier_command_clear(out);
    return -1;
}

void verifier_command_clear(struct verifier_command *command) {
    for (int i = 0; i < command->n_args; i++) free(command->argv[i]);
    free(command->argv);
    free(command->name);
    *command = (struct verifier_command){0};
}

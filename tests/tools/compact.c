// Prints each line of standard input as compact JSON, or "refused": compared with Python's module.
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "protocol/base/json.h"

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    while ((len = getline(&line, &capacity, stdin)) > 0) {
        struct arena arena = {0};
        struct buffer out = {0};
        const struct json *value = json_parse((struct slice){line, (size_t)len}, &arena, NULL);
        if (value)
            json_add_compact(&out, value);
        else
            buffer_add_text(&out, "refused");
        puts(out.ptr);
        buffer_free(&out);
        arena_clear(&arena);
    }
    free(line);
    return 0;
}

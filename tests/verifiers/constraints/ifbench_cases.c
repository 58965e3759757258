#include "tests/verifiers/constraints/ifbench_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "verifiers/constraints/constraints.h"

static struct constraint_list *parse(const char *id, const char *kwargs, struct error *err) {
    struct arena arena = {0};
    struct buffer ids = {0}, own = {0};
    buffer_printf(&ids, "[\"%s\"]", id);
    buffer_printf(&own, "[%s]", kwargs ? kwargs : "{}");
    const struct json *a = json_parse(buffer_slice(&ids), &arena, err);
    const struct json *b = json_parse(buffer_slice(&own), &arena, err);
    assert_non_null(a);
    assert_non_null(b);
    struct constraint_list *list = constraint_list_parse(a, b, err);
    buffer_free(&ids);
    buffer_free(&own);
    arena_clear(&arena);
    return list;
}

void check_instruction_cases(const struct instruction_case *cases, size_t n) {
    int n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const struct instruction_case *c = &cases[i];
        struct arena arena = {0};
        struct constraint_text text;
        struct error err = {0};
        struct constraint_list *list = parse(c->id, c->kwargs, &err);
        if (!list) {
            print_error("%s %s: %s\n", c->id, c->kwargs ? c->kwargs : "", err.text);
            n_wrong++;
            continue;
        }
        text_open(&text, slice_of(c->text), &arena);
        const bool follows = constraint_list_follows(list, 0, &text);
        if (text.over || follows != c->follows) {
            print_error("%s %s: %s, wrongly, on:\n%s\n", c->id, c->kwargs ? c->kwargs : "",
                        text.over ? "over its budget"
                        : follows ? "followed"
                                  : "broken",
                        c->text);
            n_wrong++;
        }
        constraint_list_free(&list);
        arena_clear(&arena);
    }
    assert_int_equal(n_wrong, 0);
}

void check_refused(const char *id, const char *kwargs, const char *part) {
    struct error err = {0};
    struct constraint_list *list = parse(id, kwargs, &err);
    if (list || !strstr(err.text, part))
        print_error("%s %s: \"%s\", but \"%s\" was expected\n", id, kwargs, err.text, part);
    assert_null(list);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, part));
}

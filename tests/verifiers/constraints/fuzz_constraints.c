// libFuzzer: instruction lists and responses. The input is one byte that chooses, then JSON up to a
// NUL, then a response: {"ids": [...], "kwargs": [...]} is parsed; what is accepted is checked on
// the response. An input without such JSON is a response for every constraint without arguments
// and for one list with arguments of every type. The same check again says the same,
// and the loose one what the eight variants say one by one.
#include <stdlib.h>

#include "protocol/base/buffer.h"
#include "protocol/base/utf8.h"
#include "tests/verifiers/constraints/slowly.h"
#include "verifiers/constraints/constraints.h"
#include "verifiers/constraints/syllables.h"
#include "verifiers/constraints/text_sentences.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char FIXED[] =
    "{\"ids\":[\"keywords:existence\",\"keywords:forbidden_words\",\"keywords:letter_frequency\","
    "\"length_constraints:number_sentences\",\"length_constraints:nth_paragraph_first_word\","
    "\"length_constraints:number_paragraphs\",\"detectable_content:postscript\","
    "\"detectable_format:multiple_sections\",\"detectable_format:number_bullet_lists\","
    "\"detectable_format:number_highlighted_sections\",\"startend:end_checker\","
    "\"change_case:capital_word_frequency\",\"language:response_language\","
    "\"detectable_format:rephrasing\",\"detectable_content:rephrase_paragraph\","
    "\"keywords:key_sentences\",\"sentence:keyword\",\"words:keywords_specific_position\","
    "\"keywords:keyword_specific_position\",\"count:counting_composition\"],\"kwargs\":["
    "{\"keywords\":[\"a\",\"\\u0130\"]},{\"forbidden_words\":[\"a\",\"'\"]},{\"letter\":"
    "\"\\u00e9\","
    "\"let_frequency\":1,\"let_relation\":\"at least\"},{\"num_sentences\":2,\"relation\":"
    "\"less than\"},{\"num_paragraphs\":2,\"nth_paragraph\":1,\"first_word\":\"A\"},"
    "{\"num_paragraphs\":2},{\"postscript_marker\":\"P.P.S\"},{\"section_spliter\":\"a\","
    "\"num_sections\":1},{\"num_bullets\":2},{\"num_highlights\":2},{\"end_phrase\":\"a\"},"
    "{\"capital_frequency\":1,\"capital_relation\":\"at least\"},{\"language\":\"de\"},"
    "{\"original_message\":\"a *b* c\"},{\"original_paragraph\":\"a b a\",\"low\":1,\"high\":2},"
    "{\"key_sentences\":[\"a.\",\"b!\"],\"num_sentences\":1},{\"word\":\"i\",\"N\":1},"
    "{\"keyword\":\"a\",\"n\":1,\"m\":2},{\"keyword\":\"a\",\"n\":1,\"m\":2},"
    "{\"n_sent\":1,\"n_words\":2}]}";

static void check(const struct constraint_list *list, struct slice response) {
    enum constraint_verdict first[CONSTRAINT_MAX_INSTRUCTIONS], again[CONSTRAINT_MAX_INSTRUCTIONS];
    for (int loose = 0; loose < 2; loose++) {
        constraint_list_check(list, response, loose, first);
        constraint_list_check(list, response, loose, again);
        for (int i = 0; i < constraint_list_n(list); i++)
            if (first[i] != again[i]) abort();
    }
    struct buffer mended = {0};
    buffer_add_text(&mended, "");
    utf8_add_lossy(&mended, response);
    for (int i = 0; i < constraint_list_n(list); i++)
        if ((first[i] == CONSTRAINT_FOLLOWED) != slowly_follows(list, i, buffer_slice(&mended)))
            abort();
    buffer_free(&mended);
}

static struct constraint_list *parse(struct slice json) {
    struct arena arena = {0};
    struct error err;
    const struct json *root = json_parse(json, &arena, &err);
    struct constraint_list *list =
        root ? constraint_list_parse(json_get(root, "ids"), json_get(root, "kwargs"), &err) : NULL;
    arena_clear(&arena);
    return list;
}

// Each constraint that takes no arguments, or has only optional ones.
static void check_rows(struct slice response) {
    struct arena arena = {0};
    struct constraint_text text;
    const struct constraint *row;
    text_open(&text, response, &arena);
    for (int i = 0; (row = constraint_at(i)); i++) {
        const struct constraint_args none = {0};
        text.kept = NULL; // of one constraint
        if (!row->params[0].name) row->follows(&text, &none);
    }
    const struct runs *tokens = text_tokens(&text);
    for (size_t i = 0; i < tokens->n; i++) {
        const struct slice token = runs_at(tokens, i);
        if (syllables_count(token) < 0) abort();
    }
    arena_clear(&arena);
}

// The loose check of those without any arguments.
static void check_loosely(struct slice response) {
    const struct constraint *row;
    struct buffer ids = {0};
    struct arena arena = {0};
    struct error err;
    int n = 0;
    for (int i = 0; (row = constraint_at(i)) && n < CONSTRAINT_MAX_INSTRUCTIONS; i++)
        if (!row->params[0].name) buffer_printf(&ids, "%s\"%s\"", n++ ? "," : "[", row->id);
    buffer_add_text(&ids, "]");
    struct constraint_list *list =
        constraint_list_parse(json_parse(buffer_slice(&ids), &arena, &err), NULL, &err);
    if (!list) abort();
    check(list, response);
    constraint_list_free(&list);
    arena_clear(&arena);
    buffer_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const char *text = (const char *)data + 1;
    const size_t len = size - 1;
    const char *end = data[0] % 2 ? memchr(text, 0, len) : NULL;
    const size_t json_len = end ? (size_t)(end - text) : 0;
    const struct slice response = {text + json_len + (end != NULL), len - json_len - (end != NULL)};
    struct constraint_list *list = parse(end ? (struct slice){text, json_len} : slice_of(FIXED));
    if (!list && !end) abort();
    if (list) check(list, response);
    constraint_list_free(&list);
    check_rows(response);
    check_loosely(response);
    return 0;
}

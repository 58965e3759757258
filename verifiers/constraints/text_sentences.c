#include "verifiers/constraints/text_sentences.h"

#include "verifiers/constraints/punkt.h"
#include "verifiers/constraints/treebank.h"

static const struct slices *keep(struct constraint_text *text, struct slices list) {
    struct slices *kept = arena_take(text->arena, 1, sizeof *kept);
    *kept = list;
    return kept;
}

struct slices text_sentences_of(struct constraint_text *text, struct slice s) {
    struct slices out = {0};
    slices_expect(text, &out, s.len / 2 + 1);
    punkt_sentences(text, s, &out);
    return out;
}

size_t text_n_sentences_of(struct constraint_text *text, struct slice s) {
    return punkt_sentences(text, s, NULL);
}

struct slices text_tokens_of(struct constraint_text *text, struct slice s) {
    const struct slices sentences = text_sentences_of(text, s);
    return treebank_words(text, &sentences);
}

const struct slices *text_sentences(struct constraint_text *text) {
    if (!text->sentences) text->sentences = keep(text, text_sentences_of(text, text->raw));
    return text->sentences;
}

const struct slices *text_tokens(struct constraint_text *text) {
    if (!text->tokens) text->tokens = keep(text, treebank_words(text, text_sentences(text)));
    return text->tokens;
}

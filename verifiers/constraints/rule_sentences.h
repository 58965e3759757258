// IF-RLVR's sentences, those of a list of rules and not Punkt's: stripped, and with every newline
// replaced by a space.
#ifndef VERIFIERS_CONSTRAINTS_RULE_SENTENCES_H
#define VERIFIERS_CONSTRAINTS_RULE_SENTENCES_H

#include "verifiers/constraints/text.h"

struct slices rule_sentences(struct constraint_text *text, struct slice s);
// Those of the text; what a part has of them is taken from the whole. Uses text->kept.
struct runs rule_sentence_runs(struct constraint_text *text);
// What a check has found of the whole's sentences, for its parts: NULL until it is stored. Behind
// rule_sentence_runs.
void **rule_sentences_found(struct constraint_text *text);
// Whether `is_enough` can tell the answer from the first ones: it gets more and more of them.
bool rule_sentences_begin(struct constraint_text *text, struct slice s,
                          bool (*is_enough)(const struct slices *sentences, void *context),
                          void *context);
// Whether all of the text's are good. Uses text->kept.
typedef bool rule_sentence_test(struct constraint_text *text, struct slice sentence,
                                struct slice word);
bool rule_sentences_all(struct constraint_text *text, rule_sentence_test *is_good,
                        struct slice word);

#endif

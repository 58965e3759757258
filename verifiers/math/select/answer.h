// Which part of a completion is its answer.
//
// The answer is the last answer statement of the text after thinking is cut, whatever its kind: a
// closed \boxed or \fbox, a line "#### ...", a phrase ("the answer is ...", "Answer: ...", a line
// "A: ..."), <answer>...</answer>, a last line in bold. A statement that is negated, questioned,
// quoted, supposed or taken back is none. Only where there is none, it is the last expression of
// the last line or sentence. An unclosed last box is no answer. README.md has the rules in full.
#ifndef VERIFIERS_MATH_SELECT_ANSWER_H
#define VERIFIERS_MATH_SELECT_ANSWER_H

#include <stdbool.h>

#include "protocol/base/slice.h"

enum {
    ANSWER_WINDOW_BYTES = 64 << 10, // of the end of the completion that are looked at
    ANSWER_MAX_BOXES = 16,          // of one list
};

struct answer {
    // Spans of the completion. More than one: adjacent boxes, which are one list. An empty span is
    // a statement that says nothing: "\boxed{ }".
    int n_parts;
    struct slice parts[ANSWER_MAX_BOXES];
    // The beginning of the only part, up to where its sentence goes on ("$5$ | because ..."), for
    // where the whole part is not understood; len 0: there is none.
    struct slice shorter;
    // The sides beside a single box that is one of an equation, len 0: none. `unequal`: the sign
    // behind it is a "not equal".
    struct slice before, behind;
    bool unequal;
    bool prose;       // words may follow the value within the span
    const char *rule; // "box", "hashes", "phrase", "tag", "bold", "first", "last"
};

// What may hold the answer: the text behind thinking, within the window, without end marks.
struct slice answer_text(struct slice completion);

// Finds the answer. Returns false when there is none. A fixed number of passes, O(bytes).
bool answer_select(struct slice completion, struct answer *out);

#endif

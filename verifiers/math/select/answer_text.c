// What of a completion may hold its answer.
#include "verifiers/math/select/answer_scan.h"

// What is behind the last </think>; nothing when thinking was opened and never closed.
static struct slice after_thinking(struct slice text) {
    const size_t close = answer_find_last(text, "</think>");
    const size_t open = answer_find_last(text, "<think>");
    if (open != SIZE_MAX && (close == SIZE_MAX || open > close)) return answer_cut(text, 0, 0);
    return close == SIZE_MAX ? text : answer_cut(text, close + 8, text.len);
}

// Without the marks with which models end their turns.
static struct slice before_end_marks(struct slice text) {
    static const char *const MARKS[] = {
        "</s>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<eos>", "<|end|>"};
    for (bool more = true; more;) {
        more = false;
        text = answer_trim(text);
        for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++) {
            const size_t len = strlen(MARKS[i]);
            if (text.len < len || memcmp(text.ptr + text.len - len, MARKS[i], len)) continue;
            text.len -= len;
            more = true;
        }
    }
    return text;
}

struct slice answer_text(struct slice completion) {
    struct slice text = after_thinking(completion);
    if (text.len > ANSWER_WINDOW_BYTES)
        text = answer_cut(text, text.len - ANSWER_WINDOW_BYTES, text.len);
    return before_end_marks(text);
}

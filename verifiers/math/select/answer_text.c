// What of a completion may hold its answer.
#include "verifiers/math/select/answer_scan.h"

// What is behind the last </think> or the like; nothing when thinking was opened and never closed.
static struct slice after_thinking(struct slice text) {
    static const char *const MARKS[][2] = {{"<think>", "</think>"},
                                           {"<thinking>", "</thinking>"},
                                           {"<thought>", "</thought>"},
                                           {"<reasoning>", "</reasoning>"},
                                           {"<scratchpad>", "</scratchpad>"},
                                           {"[THINK]", "[/THINK]"},
                                           {"◁think▷", "◁/think▷"},
                                           {"<seed:think>", "</seed:think>"},
                                           {"<|channel|>analysis", "<|channel|>final"},
                                           {"<|begin_of_thought|>", "<|end_of_thought|>"}};
    char first = 0; // byte of a mark, for which the text was looked through
    bool any = false;
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++) {
        if (MARKS[i][0][0] != first) {
            first = MARKS[i][0][0];
            any = text.len && memchr(text.ptr, first, text.len);
        }
        if (!any) continue;
        const size_t open = answer_find_last(text, MARKS[i][0]);
        const size_t close = answer_find_last(text, MARKS[i][1]);
        if (open != SIZE_MAX && (close == SIZE_MAX || open > close)) return answer_cut(text, 0, 0);
        if (close != SIZE_MAX) text = answer_cut(text, close + strlen(MARKS[i][1]), text.len);
    }
    return text;
}

// Where the turn ends: a mark that ends it, or one that another speaker begins with. What a model
// says for others behind its own answer is not its answer. A mark in front of everything is none.
static struct slice own_turn(struct slice text) {
    static const char *const MARKS[] = {"<|im_end|>",
                                        "<|endoftext|>",
                                        "<|eot_id|>",
                                        "<|end_of_text|>",
                                        "<|im_start|>user",
                                        "<|start_header_id|>user",
                                        "<end_of_turn>",
                                        "<start_of_turn>user",
                                        "<|user|>",
                                        "<|User|>",
                                        "<｜User｜>",
                                        "<｜end▁of▁sentence｜>",
                                        "<|eom_id|>",
                                        "<|return|>",
                                        "<|END_OF_TURN_TOKEN|>",
                                        "<eos>",
                                        "</s>",
                                        "<|end_of_turn|>",
                                        "<|im_sep|>user"};
    const char *const strike = memmem(text.ptr, text.len, "<s>", strlen("<s>"));
    for (const char *at = text.ptr; (at = memchr(at, '<', text.len - (size_t)(at - text.ptr)));
         at++) {
        const struct slice rest = {at, text.len - (size_t)(at - text.ptr)};
        for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++) {
            if (rest.len < 2 || rest.ptr[1] != MARKS[i][1]) continue; // "<<2+3=5>>5"
            const size_t len = strlen(MARKS[i]);
            if (rest.len < len || memcmp(rest.ptr, MARKS[i], len)) continue;
            const struct slice before = answer_cut(text, 0, text.len - rest.len);
            // <s>12</s> is struck out.
            const bool struck = strcmp(MARKS[i], "</s>") == 0 && strike && strike < at;
            if (answer_trim(before).len && !struck) return before;
        }
    }
    return text;
}

// Whether the line that ends at `end` states an answer.
static bool states(struct slice text, size_t end) {
    while (end > 0 && answer_is_space(text.ptr[end - 1])) end--;
    const struct slice line = answer_cut(text, answer_line_start(text, end), end);
    for (size_t i = 0; i < line.len; i++)
        if (answer_starts(line, i, "####") || answer_starts(line, i, "answer is") ||
            answer_starts(line, i, "answer:") || answer_is_box(line, i))
            return true;
    return false;
}

// A model that was shown examples goes on to write the next one: behind an answer and a blank line
// stands another question.
static struct slice own_example(struct slice text) {
    static const char *const STARTS[] = {
        "Question:", "Q:",     "Problem:", "### Question", "### Problem", "**Question",
        "**Problem", "Human:", "User:",    "### Human",    "### User",    "### Instruction",
        "Student:",  "[INST]"};
    // Another speaker: what is in front need not state an answer in so many words.
    static const char *const SPEAKERS[] = {"Human:", "User:", "### Human", "### User", "[INST]"};
    enum { N_CLOSE = 2 }; // behind an answer and a single line feed too
    size_t at = 0;
    for (const char *line; (line = memchr(text.ptr + at, '\n', text.len - at));) {
        at = (size_t)(line - text.ptr) + 1;
        const bool blank = at < text.len && text.ptr[at] == '\n';
        while (at < text.len && text.ptr[at] == '\n') at++;
        for (size_t i = 0; !blank && i < N_CLOSE; i++)
            if (answer_starts(text, at, STARTS[i]) && states(text, at))
                return answer_cut(text, 0, at);
        if (!blank) continue;
        for (size_t i = 0; i < sizeof SPEAKERS / sizeof *SPEAKERS; i++)
            if (answer_starts(text, at, SPEAKERS[i]) && answer_trim(answer_cut(text, 0, at)).len)
                return answer_cut(text, 0, at);
        if (answer_starts(text, at, "Problem ") && answer_is_digit(text, at + 8) &&
            states(text, at))
            return answer_cut(text, 0, at);
        for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++)
            if (answer_starts(text, at, STARTS[i]) && states(text, at))
                return answer_cut(text, 0, at);
    }
    return text;
}

// What stands behind "Assistant:" where a question of another speaker is in front of it.
static struct slice own_part(struct slice text) {
    static const char *const OTHERS[] = {"User:", "Human:", "### Human", "### User"};
    static const char *const OWN[] = {"\nAssistant:", "\n### Assistant:", "\nAI:"};
    size_t start = 0;
    bool asked = false;
    while (start < text.len && answer_is_space(text.ptr[start])) start++;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        asked |= answer_starts(text, start, OTHERS[i]);
    for (size_t i = 0; asked && i < sizeof OWN / sizeof *OWN; i++) {
        const char *at = memmem(text.ptr, text.len, OWN[i], strlen(OWN[i]));
        if (at) return answer_cut(text, (size_t)(at - text.ptr) + strlen(OWN[i]), text.len);
    }
    return text;
}

// Without an emoji or the like at the end.
static struct slice without_symbols(struct slice text) {
    enum { MAX_SYMBOLS = 16 }; // bytes
    for (size_t back = 3; back <= MAX_SYMBOLS && back < text.len; back++) {
        const size_t at = text.len - back;
        if ((unsigned char)text.ptr[at] >= 0xE2 && answer_skip_symbols(text, at) == text.len)
            return answer_trim(answer_cut(text, 0, at));
    }
    return text;
}

// Without a comment that stands at the end: <!-- ... -->, or a last line of TeX's.
static struct slice without_comment(struct slice text) {
    size_t line = answer_line_start(text, text.len);
    while (line < text.len && answer_is_one_of(" \t", text.ptr[line])) line++;
    for (size_t i = line; i < text.len && i - line < ANSWER_MAX_SENTENCE; i++)
        if (text.ptr[i] == '%' && answer_is_comment(text, i)) return answer_cut(text, 0, i);
    if (text.len < 7 || memcmp(text.ptr + text.len - 3, "-->", 3)) return text;
    const size_t open = answer_find_last(text, "<!--");
    return open == SIZE_MAX ? text : answer_cut(text, 0, open);
}

// Without the mark that ends a proof, "q.e.d.", \blacksquare, and what leads to it: blanks, a
// comma, brackets. One within a formula is left to its reader.
static struct slice without_proof_end(struct slice text) {
    static const char *const MARKS[] = {"\\blacksquare",
                                        "\\qedsymbol",
                                        "\\qed",
                                        "\\square",
                                        "\\Box",
                                        "∎",
                                        "□",
                                        "■",
                                        "◻",
                                        "◼",
                                        "q.e.d",
                                        "qed",
                                        "cqfd",
                                        "c.q.f.d",
                                        "w.z.b.w",
                                        "quod erat demonstrandum"};
    static const char *const SPACES[] = {"\\hfill", "\\qquad", "\\quad"};
    size_t end = text.len;
    while (end > 0 && answer_is_one_of(" .$*)]", text.ptr[end - 1])) end--;
    if (end > 0 && text.ptr[end - 1] == '\\') end--; // the end of "\(\qed\)"
    size_t at = end;
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS && at == end; i++) {
        const size_t len = strlen(MARKS[i]);
        if (end >= len && answer_starts(text, end - len, MARKS[i])) at = end - len;
    }
    const bool word = at < end && ascii_is_alpha(text.ptr[at]);
    if (at == end || (word && at > 0 && answer_is_one_of("\\", text.ptr[at - 1]))) return text;
    if (word && at > 0 && ascii_is_alnum(text.ptr[at - 1])) return text;
    const bool bold = end < text.len && memchr(text.ptr + end, '*', text.len - end);
    const bool closes = end < text.len && memchr(text.ptr + end, '$', text.len - end);
    const bool bracket = end < text.len && memchr(text.ptr + end, ')', text.len - end);
    if (closes && at > 0 && text.ptr[at - 1] == '$')
        while (at > 0 && text.ptr[at - 1] == '$') at--;
    else if (bracket && at > 0 && text.ptr[at - 1] == '(')
        at -= at > 1 && text.ptr[at - 2] == '\\' ? 2 : 1;
    else if (closes || bracket || (end < text.len && memchr(text.ptr + end, ']', text.len - end)))
        return text;
    for (bool more = true; more;) {
        while (at > 0 && answer_is_one_of(bold ? " \t\r\n,;*" : " \t\r\n,;", text.ptr[at - 1]))
            at--;
        more = false;
        for (size_t i = 0; i < sizeof SPACES / sizeof *SPACES && !more; i++) {
            const size_t len = strlen(SPACES[i]);
            more = at >= len && answer_starts(text, at - len, SPACES[i]);
            at -= more ? len : 0;
        }
    }
    return at ? answer_cut(text, 0, at) : text;
}

// Without the marks and tags that stand behind everything.
static struct slice before_marks(struct slice text) {
    static const char *const MARKS[] = {
        "<|end|>",     "[/INST]",  "</answer>", "</p>",      "</div>",  "</span>", "<br>",
        "<br/>",       "<br />",   "</b>",      "</strong>", "</body>", "</html>", "</response>",
        "</solution>", "</final>", "</output>", "```",       "---",     "***",     "[DONE]"};
    for (bool more = true; more;) {
        text = without_symbols(answer_trim(text));
        const size_t before = text.len;
        text = without_comment(text);
        more = text.len < before;
        const bool marked = text.len && answer_is_one_of(">]`-*", text.ptr[text.len - 1]);
        for (size_t i = 0; marked && i < sizeof MARKS / sizeof *MARKS; i++) {
            const size_t len = strlen(MARKS[i]);
            if (text.len <= len || memcmp(text.ptr + text.len - len, MARKS[i], len)) continue;
            const char last = text.ptr[text.len - len - 1];
            if (answer_is_one_of("`-*", MARKS[i][0]) && last != '\n') continue;
            text.len -= len;
            more = true;
        }
    }
    return text;
}

// The same, with a mark that ends a proof among them.
static struct slice before_end_marks(struct slice text) {
    text = before_marks(text);
    const struct slice proved = without_proof_end(text);
    return proved.len < text.len ? before_marks(proved) : text;
}

struct slice answer_text(struct slice completion) {
    struct slice text = after_thinking(completion);
    if (text.len > ANSWER_WINDOW_BYTES)
        text = answer_cut(text, text.len - ANSWER_WINDOW_BYTES, text.len);
    return before_end_marks(own_example(own_part(own_turn(text))));
}

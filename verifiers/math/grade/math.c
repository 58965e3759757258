#include "verifiers/math/math.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/json.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/base/numeral_abroad.h"
#include "verifiers/math/base/tree.h"
#include "verifiers/math/grade/form.h"
#include "verifiers/math/select/answer.h"

enum { MAX_QUOTED = 256 }; // bytes of a gold in words, under the policy `literal`

// One gold: a tree, or words that are compared as they are.
struct gold {
    const struct math_node *tree;
    struct slice words;
};

struct math_gold {
    struct math_options options;
    struct arena arena; // trees and words
    int n, n_trees;
    struct gold *list;             // (n)
    const struct math_node **tree; // (n_trees)
};

const char *math_verdict_name(enum math_verdict verdict) {
    static const char *const NAMES[] = {"equal",   "equal_num", "different",
                                        "unknown", "no_answer", "limit"};
    return NAMES[verdict];
}

// "12 (twelve)", "12, i.e. a dozen": the value, where what stands behind it is the same. MATH_EMPTY
// where nothing is said again, MATH_UNREADABLE where it is another number: "5 pairs, i.e. 10
// shoes".
static enum math_read read_restated(struct slice part, bool prose, struct arena *arena,
                                    struct math_budget *budget, struct math_node **out) {
    const struct math_options exact = {.no_rounding = true, .no_points = true};
    struct slice value, again;
    struct math_node *first, *second;
    struct math_result result;
    bool same;
    if (!form_restated(part, &value, &again, &same) ||
        math_parse(form_plain(value, arena), prose, arena, budget, &first, NULL) != MATH_READ ||
        math_parse(form_plain(again, arena), prose, arena, budget, &second, NULL) != MATH_READ)
        return MATH_EMPTY;
    math_equal(first, second, &exact, budget, arena, &result);
    if (result.verdict == MATH_EQUAL) {
        *out = first->kind == MATH_TEXT ? second : first;
        return MATH_READ;
    }
    const bool numbers =
        tree_is_scalar(first) && tree_is_scalar(second) && !first->free && !second->free;
    return same && numbers && result.verdict == MATH_DIFFERENT ? MATH_UNREADABLE : MATH_EMPTY;
}

// "dreizehn", "quatre-vingts": words, which to a gold that is a number are one. Otto is a name too.
static bool read_abroad(struct slice part, struct arena *arena, struct math_node **out) {
    const long value = numeral_abroad(part);
    if (value < 0) return false;
    struct math_node *number = tree_number(value, arena);
    char *lower = arena_copy(arena, part.ptr, part.len);
    for (size_t i = 0; i < part.len; i++) lower[i] = ascii_lower(lower[i]);
    *out = tree_list(MATH_TEXT, &number, 1, arena);
    (*out)->text = (struct slice){lower, part.len};
    tree_seal(*out);
    return true;
}

// A part as a whole; of a sentence also by what it says twice, and with its numbers as digits.
static enum math_read read_whole(struct slice part, bool prose, struct arena *arena,
                                 struct math_budget *budget, struct math_node **out) {
    const struct slice whole = form_plain(part, arena);
    const struct slice plain = prose ? form_without_bold(whole, arena) : whole;
    if (prose && memmem(plain.ptr, plain.len, "~~", 2)) { // ~~12~~ 13
        const struct slice left = form_prose(plain, arena);
        if (!slice_equal(left, plain)) return math_parse(left, prose, arena, budget, out, NULL);
    }
    const enum math_read read = math_parse(plain, prose, arena, budget, out, NULL);
    if (!prose || read == MATH_OVER || read == MATH_EMPTY) return read;
    const bool words = read != MATH_READ || (*out)->kind == MATH_TEXT || (*out)->kind == MATH_MUL ||
                       (*out)->kind == MATH_ADD;
    if (words && read_abroad(plain, arena, out)) return MATH_READ;
    if (read == MATH_READ && (*out)->kind != MATH_TEXT && (*out)->kind != MATH_MUL) return read;
    if (read_restated(plain, prose, arena, budget, out) == MATH_READ) return MATH_READ;
    struct math_node *other;
    const struct slice said = form_prose(plain, arena);
    if (slice_equal(said, plain) ||
        math_parse(said, prose, arena, budget, &other, NULL) != MATH_READ ||
        other->kind == MATH_TEXT)
        return read;
    *out = other;
    return MATH_READ;
}

// The only part of an answer: its beginning where the whole is not understood, or only as words.
static enum math_read read_part(const struct answer *answer, int i, struct arena *arena,
                                struct math_budget *budget, struct math_node **out) {
    if (answer->prose && form_contradicts(answer->parts[i])) return MATH_UNREADABLE;
    if (form_is_question(answer->parts[i])) return MATH_UNREADABLE;
    const enum math_read whole = read_whole(answer->parts[i], answer->prose, arena, budget, out);
    if (answer->shorter.len == 0 || whole == MATH_OVER) return whole;
    if (answer->prose && read_restated(form_plain(answer->parts[i], arena), true, arena, budget,
                                       out) == MATH_UNREADABLE)
        return MATH_UNREADABLE;
    if (whole == MATH_READ && (*out)->kind != MATH_TEXT) return whole;
    struct math_node *shorter;
    const enum math_read read = math_parse(form_without_bold(answer->shorter, arena), answer->prose,
                                           arena, budget, &shorter, NULL);
    if (read != MATH_READ) return whole == MATH_READ ? whole : read;
    *out = shorter;
    return read;
}

// Every part of an answer.
static enum math_read read_parts(const struct answer *answer, struct arena *arena,
                                 struct math_budget *budget, struct math_node **out) {
    for (int i = 0; i < answer->n_parts; i++) {
        const enum math_read read = read_part(answer, i, arena, budget, &out[i]);
        if (read != MATH_READ) return read;
    }
    return MATH_READ;
}

// Boxes that all say the same are one answer that is repeated, no list: \boxed{5} \boxed{5}.
static bool all_same(struct math_node *const *parts, int n, const struct math_options *options,
                     struct math_budget *budget, struct arena *arena) {
    for (int i = 1; i < n; i++) {
        struct math_result result;
        math_equal(parts[0], parts[i], options, budget, arena, &result);
        if (result.verdict != MATH_EQUAL) return false;
    }
    return true;
}

// ---- Golds -----------------------------------------------------------------------------------

// Nothing but digits and their marks: it states nothing.
static bool is_bare_number(struct slice text) {
    for (size_t i = 0; i < text.len; i++)
        if (!(text.ptr[i] >= '+' && text.ptr[i] <= '9')) return false;
    return true;
}

// A gold that states its answer as a completion does ("... \boxed{5}", "#### 5") is read like one;
// any other is read as a whole.
static enum math_read read_gold(struct slice text, struct arena *arena, struct math_node **out) {
    struct answer answer;
    struct math_node *parts[ANSWER_MAX_BOXES] = {NULL};
    struct math_budget budget = {0};
    const bool stated = !is_bare_number(text) && answer_select(text, &answer) &&
                        strcmp(answer.rule, "last") != 0 && strcmp(answer.rule, "bold") != 0;
    if (!stated) return math_parse(form_plain(text, arena), false, arena, &budget, out, NULL);
    const enum math_read read = read_parts(&answer, arena, &budget, parts);
    if (read != MATH_READ) return read;
    const struct math_options exact = {.no_rounding = true};
    const bool single = all_same(parts, answer.n_parts, &exact, &budget, arena);
    *out = single ? parts[0] : tree_join(parts, answer.n_parts, arena);
    return MATH_READ;
}

// White space at the ends is dropped and made single within.
static struct slice plain_words(struct slice text, struct arena *arena) {
    char *out = arena_take(arena, text.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const bool space = strchr(" \t\r\n", text.ptr[i]) && text.ptr[i];
        if (!space)
            out[n++] = text.ptr[i];
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    while (n && out[n - 1] == ' ') n--;
    return (struct slice){out, n};
}

static int refuse_gold(struct slice text, enum math_read read, struct error *err) {
    if (read == MATH_EMPTY)
        return error_set(err, ERROR_INPUT, "A gold of the verifier math is empty.");
    if (read == MATH_OVER)
        return error_set(err, ERROR_INPUT,
                         "The gold \"%.*s\" of the verifier math is over a budget of the reader: "
                         "%d bytes, %d nodes, %d levels of brackets.",
                         SLICE_ARG(text), MATH_MAX_BYTES, MATH_MAX_NODES, MATH_MAX_DEPTH);
    return error_set(err, ERROR_INPUT,
                     "The gold \"%.*s\" of the verifier math is not understood; a mathematical "
                     "answer in LaTeX or plain text was expected.",
                     SLICE_ARG(text));
}

static int add_gold(struct math_gold *gold, struct slice text, struct error *err) {
    struct math_node *tree = NULL;
    const struct slice words = plain_words(text, &gold->arena);
    const enum math_read read = words.len ? read_gold(text, &gold->arena, &tree) : MATH_EMPTY;
    const bool literal =
        gold->options.policy == MATH_LITERAL && words.len > 0 && words.len <= MAX_QUOTED;
    if (read != MATH_READ && !(read == MATH_UNREADABLE && literal))
        return refuse_gold(text, read, err);
    if (read == MATH_READ) gold->tree[gold->n_trees++] = tree;
    gold->list[gold->n++] = (struct gold){read == MATH_READ ? tree : NULL, words};
    return 0;
}

struct math_gold *math_gold_parse(const struct slice *golds, int n,
                                  const struct math_options *options, struct error *err) {
    assert(n >= 0);
    struct math_gold *gold = memory_new(1, sizeof *gold);
    gold->options = *options;
    gold->list = arena_take(&gold->arena, (size_t)n, sizeof *gold->list);
    gold->tree = arena_take(&gold->arena, (size_t)n, sizeof *gold->tree);
    for (int i = 0; i < n; i++)
        if (add_gold(gold, golds[i], err)) {
            math_gold_free(&gold);
            return NULL;
        }
    return gold;
}

void math_gold_free(struct math_gold **gold) {
    if (!*gold) return;
    arena_clear(&(*gold)->arena);
    free(*gold);
    *gold = NULL;
}

// ---- Completions -----------------------------------------------------------------------------

// A gold in words, word for word.
static bool equals_words(const struct math_gold *gold, const struct answer *answer,
                         struct arena *arena) {
    if (answer->n_parts != 1) return false;
    const struct slice words = plain_words(answer->parts[0], arena);
    for (int i = 0; i < gold->n; i++)
        if (!gold->list[i].tree && slice_equal(gold->list[i].words, words)) return true;
    return false;
}

// A constant that is written without a decimal, so that it is what it says and not rounded.
static bool is_exact(const struct math_node *node) {
    if (node->free || node->decimal || node->kind == MATH_PERCENT || node->kind == MATH_DEGREE ||
        node->kind == MATH_QUANTITY || node->kind == MATH_BASED || node->kind == MATH_DOTS ||
        !tree_is_scalar(node))
        return false;
    for (int i = 0; i < node->n; i++)
        if (!is_exact(node->kids[i])) return false;
    return true;
}

// Whether a side beside a box says that it is another number: "\boxed{12} = 13".
// `literal`: only where it is a number as written, for people slip on the way to what is right.
static bool is_contradicted(const struct math_node *box, struct slice side, bool literal,
                            bool unequal, struct math_budget *budget, struct arena *arena) {
    const struct math_options exact = {.no_rounding = true, .no_points = true};
    struct math_node *other;
    struct math_result result;
    if (side.len == 0 || !is_exact(box) ||
        math_parse(side, false, arena, budget, &other, NULL) != MATH_READ || !is_exact(other) ||
        (literal && other->kind != MATH_NUMBER))
        return false;
    math_equal(box, other, &exact, budget, arena, &result);
    return result.verdict == (unequal ? MATH_EQUAL : MATH_DIFFERENT);
}

// A value of something that is none of what the golds name.
static bool is_of_another(const struct math_gold *gold, const struct answer *answer) {
    for (int i = 0; i < gold->n; i++)
        if (answer->n_parts != 1 || !form_is_of_another(answer->parts[0], gold->list[i].words))
            return false;
    return gold->n > 0;
}

static void grade(const struct math_gold *gold, const struct answer *answer, struct arena *arena,
                  struct math_report *out) {
    struct math_node *parts[ANSWER_MAX_BOXES] = {NULL};
    struct math_budget budget = {0};
    struct math_result result = {MATH_UNKNOWN, "unreadable", 0};
    const enum math_read read = read_parts(answer, arena, &budget, parts);
    if (read == MATH_OVER) {
        result = (struct math_result){MATH_LIMIT, "budget", 0};
    } else if (read == MATH_EMPTY) {
        result = (struct math_result){MATH_NO_ANSWER, "", 0};
    } else if (read == MATH_READ && gold->n_trees > 0) {
        const int n = answer->n_parts;
        const struct math_options *options = &gold->options;
        const struct math_node *tree = n == 1 ? parts[0] : tree_join(parts, n, arena);
        math_equal_any(gold->tree, gold->n_trees, tree, options, &budget, arena, &result);
        if (result.verdict > MATH_EQUAL_NUM && n > 1 && all_same(parts, n, options, &budget, arena))
            math_equal_any(gold->tree, gold->n_trees, parts[0], options, &budget, arena, &result);
    } else if (read == MATH_READ) {
        result = (struct math_result){MATH_DIFFERENT, "words", 0};
    }
    if (result.verdict <= MATH_EQUAL_NUM && is_of_another(gold, answer))
        result = (struct math_result){MATH_UNKNOWN, "name", 0};
    if (result.verdict > MATH_EQUAL_NUM && equals_words(gold, answer, arena))
        result = (struct math_result){MATH_EQUAL, "words", 0};
    if (result.verdict <= MATH_EQUAL_NUM && read == MATH_READ && answer->n_parts == 1 &&
        (is_contradicted(parts[0], answer->before, true, false, &budget, arena) ||
         is_contradicted(parts[0], answer->behind, false, answer->unequal, &budget, arena)))
        result = (struct math_result){MATH_DIFFERENT, "chain", 0};
    out->verdict = result.verdict;
    out->decided = result.rule;
    out->steps = budget.steps;
}

void math_report(const struct math_gold *gold, struct slice completion, struct math_report *out) {
    struct answer answer;
    struct arena arena = {0};
    *out = (struct math_report){.verdict = MATH_NO_ANSWER, .found = "", .decided = ""};
    if (!answer_select(completion, &answer)) return;
    out->found = answer.rule;
    const struct slice last = answer.parts[answer.n_parts - 1];
    assert(last.ptr >= completion.ptr && last.ptr + last.len <= completion.ptr + completion.len);
    out->span = answer.parts[0];
    if (last.ptr >= out->span.ptr) out->span.len = (size_t)(last.ptr + last.len - out->span.ptr);
    if (answer.n_parts == 1 && answer.parts[0].len == 0) return;
    grade(gold, &answer, &arena, out);
    arena_clear(&arena);
}

void math_report_answer(const struct math_gold *gold, struct slice given, struct math_report *out) {
    const struct answer answer = {.n_parts = 1, .parts = {given}};
    struct arena arena = {0};
    *out = (struct math_report){.found = "given", .decided = "", .span = given};
    grade(gold, &answer, &arena, out);
    arena_clear(&arena);
}

static void explain_line(struct buffer *out, const char *name, struct slice text) {
    buffer_printf(out, "    %-9s ", name);
    json_add_string(out, text);
    buffer_add_text(out, "\n");
}

static void explain_tree(struct buffer *out, const struct math_node *tree) {
    struct arena arena = {0};
    buffer_printf(out, "      read as %s\n", tree ? tree_show(tree, &arena) : "words");
    arena_clear(&arena);
}

static void explain_answer(const struct answer *answer, struct buffer *out) {
    static const char *const UNREAD[] = {
        [MATH_EMPTY] = "nothing",
        [MATH_UNREADABLE] = "no form that is understood",
        [MATH_OVER] = "something over a budget",
    };
    struct arena arena = {0};
    struct math_budget budget = {0};
    struct math_node *tree;
    explain_line(out, "found by", slice_of(answer->rule));
    for (int i = 0; i < answer->n_parts; i++) {
        const enum math_read read = read_part(answer, i, &arena, &budget, &tree);
        explain_line(out, "answer", answer->parts[i]);
        if (read == MATH_READ)
            explain_tree(out, tree);
        else
            buffer_printf(out, "      read as %s\n", UNREAD[read]);
    }
    if (answer->shorter.len) explain_line(out, "or only", answer->shorter);
    arena_clear(&arena);
}

void math_explain(const struct math_gold *gold, struct slice completion, struct buffer *out) {
    struct answer answer;
    struct math_report report;
    math_report(gold, completion, &report);
    for (int i = 0; i < gold->n; i++) {
        explain_line(out, "gold", gold->list[i].words);
        explain_tree(out, gold->list[i].tree);
    }
    if (answer_select(completion, &answer)) explain_answer(&answer, out);
    buffer_printf(out, "    verdict   %s%s%s, %lld steps\n", math_verdict_name(report.verdict),
                  report.decided[0] ? " by rule " : "", report.decided, (long long)report.steps);
}

enum math_verdict math_grade(const struct math_gold *gold, struct slice completion,
                             const char **rule) {
    struct math_report report;
    math_report(gold, completion, &report);
    *rule = report.found;
    return report.verdict;
}

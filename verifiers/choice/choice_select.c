// Which statement of a completion is its choice: the last one of a box, <answer>, a phrase ("the
// answer is B", "B is correct", "I choose B"), or a last line that is a choice.
#include <stdint.h>

#include "verifiers/choice/choice.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum {
    MAX_SUBJECT = 80, // bytes between "answer" and its verb
    MAX_VALUE = 1024, // bytes of a value and what is said beside it
    MAX_TRIED = 200,  // phrases that are looked at, the last ones
    MAX_LINE = 400,   // bytes of a last line that is a choice
};

struct finder {
    const struct choice_options *options;
    struct slice text; // cleaned
    struct choice_text both;
    struct arena *arena;
};

// A statement. Nothing is found where `at` is SIZE_MAX.
struct statement {
    size_t at;
    choice_set named;
};

static struct finder finder_of(const struct choice_options *options, struct slice text,
                               struct arena *arena) {
    return (struct finder){options, text, {text, choice_fold(text, arena)}, arena};
}

static size_t min(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t skip_spaces(struct slice text, size_t at) {
    while (at < text.len && answer_is_space(text.ptr[at])) at++;
    return at;
}

// Reads the value at `at`, whose line goes on at most to `limit`. 0: no choice.
static choice_set read_value(const struct finder *f, size_t at, size_t limit, size_t *end) {
    const size_t start = skip_spaces(f->text, at);
    if (start >= limit) return 0;
    const size_t line = min(min(answer_line_end(f->text, start), limit), start + MAX_VALUE);
    const size_t sentence = min(answer_sentence_end(f->text, start), line);
    const struct choice_text value = {slice_part(f->text, start, line),
                                      slice_part(f->both.folded, start, line)};
    const choice_set found =
        choice_read(f->options, value, slice_part(f->text, start, sentence), f->arena, end);
    *end += start;
    if (found || f->options->n == 0) return found;
    // "The answer is the city of Paris": one option is named in the sentence.
    return choice_named(f->options, &f->both, start, sentence);
}

// Past what says nothing between a verb and its value.
static size_t skip_filler(struct slice text, size_t at) {
    static const char *const FILLER[] = {
        "therefore", "thus",     "then",     "simply",     "clearly",   "indeed",   "hence",
        "probably",  "likely",   "most",     "definitely", "certainly", "actually", "obviously",
        "maybe",     "perhaps",  "possibly", "presumably", "surely",    "still",    "just",
        "now",       "given by", "again",    "also"};
    for (bool more = true; more;) {
        more = false;
        while (at < text.len && answer_is_one_of(" \t\r\n:,=", text.ptr[at])) at++;
        for (size_t i = 0; i < N(FILLER); i++)
            if (answer_is_word(text, at, FILLER[i])) {
                at += strlen(FILLER[i]);
                more = true;
            }
    }
    return at;
}

static size_t behind_verb(struct slice text, size_t at) {
    static const char *const VERBS[] = {" is",        " are",     " would be",  " must be",
                                        " should be", " will be", " has to be", " was"};
    for (size_t i = 0; i < N(VERBS); i++)
        if (answer_is_word(text, at, VERBS[i])) return at + strlen(VERBS[i]);
    return SIZE_MAX;
}

// Behind "answer" (or "option", "choice", for which a colon needs to follow at once): where its
// value starts, or SIZE_MAX.
static size_t subject_value(struct slice text, size_t at, bool answer) {
    const size_t end = min(text.len, at + MAX_SUBJECT);
    for (size_t i = at; i < end; i++) {
        const char c = text.ptr[i];
        if (answer_is_one_of(":=", c)) {
            const bool at_once = answer_trim(answer_cut(text, at, i)).len == 0;
            return at_once || (answer && c == ':') ? skip_filler(text, i + 1) : SIZE_MAX;
        }
        const size_t verb = c == ' ' ? behind_verb(text, i) : SIZE_MAX;
        if (verb != SIZE_MAX) return skip_filler(text, verb);
        if (c == '\n' && i == at && answer) return skip_filler(text, i); // a heading
        if (answer_is_one_of("\n,;", c) || answer_ends_sentence(text, i)) break;
        if (c == ' ' &&
            (answer_is_word(text, i, " choices") || answer_is_word(text, i, " options")))
            break;
        if (c == '-' && text.ptr[i - 1] == ' ' && i == at + 1) return skip_filler(text, i + 1);
    }
    return SIZE_MAX;
}

// A cue at `at` in front of a value: where the value starts, or SIZE_MAX. `*weak`: what several
// letters follow may be an instruction ("choose A, B or C").
static size_t cue_value(struct slice text, size_t at, bool *weak) {
    static const char *const VERBS[] = {"choose",     "chose",     "choosing", "pick",
                                        "picked",     "select",    "selected", "go with",
                                        "going with", "selecting", "picking",  "went with"};
    static const char *const FOREIGN[] = {"答案",    "答え",     "정답",     "respuesta", "réponse",
                                          "antwort", "resposta", "risposta", "ответ",     "Ответ"};
    static const char *const LINKS[] = {"是", "为", "は", "은", "選", "选"};
    *weak = false;
    if (at > 0 && isalnum((unsigned char)text.ptr[at - 1])) return SIZE_MAX;
    for (size_t i = 0; i < N(FOREIGN); i++) {
        if (!answer_starts(text, at, FOREIGN[i])) continue;
        size_t behind = skip_spaces(text, at + strlen(FOREIGN[i]));
        for (size_t k = 0; k < N(LINKS); k++)
            if (answer_starts(text, behind, LINKS[k])) return behind + strlen(LINKS[k]);
        return behind < text.len && text.ptr[behind] == ':' ? behind + 1 : SIZE_MAX;
    }
    if (answer_starts(text, at, "answer")) {
        size_t i = at + strlen("answer"), end;
        bool strong;
        if (i < text.len && (text.ptr[i] == 's' || text.ptr[i] == 'S')) i++;
        const size_t next = skip_spaces(text, i);
        if (next > i && next < text.len && text.ptr[next] == '(' &&
            choice_letter(text, next, &strong, &end))
            return next; // "answer (B)"
        return subject_value(text, i, true);
    }
    if (answer_is_word(text, at, "option") || answer_is_word(text, at, "choice")) {
        bool strong;
        size_t end;
        const size_t next = skip_spaces(text, at + strlen("option"));
        if (choice_letter(text, next, &strong, &end)) return SIZE_MAX; // "option B is ..."
        return subject_value(text, at + strlen("option"), false);
    }
    for (size_t i = 0; i < N(VERBS); i++)
        if (answer_is_word(text, at, VERBS[i])) {
            *weak = true;
            return skip_filler(text, at + strlen(VERBS[i]));
        }
    return SIZE_MAX;
}

static bool try_cue(const struct finder *f, size_t at, struct statement *out) {
    bool weak;
    size_t end;
    const size_t from = cue_value(f->text, at, &weak);
    if (from >= f->text.len) return false;
    const choice_set named = read_value(f, from, f->text.len, &end);
    if (!named || (weak && (named & (named - 1)))) return false;
    // The quote in {"answer": "B"} belongs to the statement.
    const bool key = at > 0 && f->text.ptr[at - 1] == '"' && answer_starts(f->text, at, "answer\"");
    if (answer_is_denied(f->text, at - key, end, true)) return false;
    *out = (struct statement){from, named};
    return true;
}

// "B is correct", "Option (B), Paris, ..." is not: what is said must follow at once.
static bool try_subject(const struct finder *f, size_t at, struct statement *out) {
    static const char *const VERDICTS[] = {
        "is correct",      "is the correct",       "is right",      "is the right",
        "is the answer",   "is the best",          "is our answer", "is my answer",
        "is the only",     "is the final",         "are correct",   "must be correct",
        "must be the",     "is therefore the",     "is indeed",     "is clearly the",
        "are the correct", "is therefore correct", "is my final",   "is the most"};
    const struct slice text = f->text;
    bool strong, found = false;
    size_t end;
    choice_set named = choice_letter(text, at, &strong, &end);
    if (!named || islower((unsigned char)text.ptr[at])) return false;
    while (end < text.len && answer_is_one_of(" .:)\"'", text.ptr[end])) end++;
    for (size_t i = 0; i < N(VERDICTS) && !found; i++)
        if (answer_is_word(text, end, VERDICTS[i])) {
            end += strlen(VERDICTS[i]);
            found = true;
        }
    if (!found) return false;
    // "Either A or B is correct": what stands before the joint counts too.
    size_t from = at;
    static const char *const JOINTS[] = {" or ", " and ", ", ", "/"};
    for (size_t i = 0; i < N(JOINTS); i++) {
        const size_t len = strlen(JOINTS[i]);
        if (at < len + 1 || !answer_starts(text, at - len, JOINTS[i])) continue;
        size_t k = at - len - 1, to;
        if (text.ptr[k] == ')' && k >= 2) k -= 2;
        const choice_set other = choice_letter(text, k, &strong, &to);
        if (other && to <= at) named |= other, from = k;
    }
    if (answer_is_denied(text, from, end, true)) return false;
    *out = (struct statement){at, named};
    return true;
}

// A quick look, as most of a text is none: by the first two letters, at the start of a word.
static bool may_be_cue(struct slice text, size_t at) {
    static const char *const STARTS[] = {"an", "op", "ch", "pi", "se", "go", "we", "re", "ri"};
    const unsigned char c = (unsigned char)text.ptr[at];
    if (c >= 0x80) return c >= 0xC0;
    if (at + 1 == text.len || (at > 0 && isalnum((unsigned char)text.ptr[at - 1]))) return false;
    const int first = tolower(c), second = tolower((unsigned char)text.ptr[at + 1]);
    if (first == 'r' && second >= 0x80) return true; // "réponse"
    for (size_t i = 0; i < N(STARTS); i++)
        if (STARTS[i][0] == first && STARTS[i][1] == second) return true;
    return false;
}

static struct statement find_phrase(const struct finder *f) {
    struct statement found = {SIZE_MAX, 0};
    int n_tried = 0;
    for (size_t i = f->text.len; i-- > 0 && n_tried < MAX_TRIED;) {
        const unsigned char c = (unsigned char)f->text.ptr[i];
        const bool subject = c == '(' || (c >= 'A' && c <= 'J');
        if (subject && try_subject(f, i, &found)) return found;
        if (!may_be_cue(f->text, i)) continue;
        bool weak;
        if (cue_value(f->text, i, &weak) == SIZE_MAX) continue;
        n_tried++;
        if (try_cue(f, i, &found)) return found;
    }
    return found;
}

// The label of a choice with which a line starts: "(B) Paris", "- B. Paris", "B". 0: none.
static choice_set line_label(struct slice line, size_t *end) {
    bool strong;
    size_t at = 0;
    while (at < line.len && answer_is_one_of(" \t\r-#>\"'", line.ptr[at])) at++;
    if (answer_is_word(line, at, "option") || answer_is_word(line, at, "choice"))
        at = skip_spaces(line, at + strlen("option"));
    const choice_set label = choice_letter(line, at, &strong, end);
    if (!label || !strong) return 0;
    const bool bracket = line.ptr[*end - 1] == ')' || line.ptr[*end - 1] == ']';
    size_t i = *end;
    while (i < line.len && answer_is_one_of(" .\"'!\r", line.ptr[i])) i++;
    if (i == line.len || bracket || answer_is_one_of(".)]", line.ptr[*end])) return label;
    return line.ptr[*end] == ':' && label != 1 ? label : 0; // "A: 5" answers a question "Q: ..."
}

// The last line that is not blank: text[*start, returned).
static size_t last_line(struct slice text, size_t end, size_t *start) {
    while (end > 0 && answer_is_space(text.ptr[end - 1])) end--;
    *start = answer_line_start(text, end);
    return end;
}

// Whether the text ends with a list of the choices: the label of the line before is the one before.
static bool ends_with_list(struct slice text) {
    size_t start, label_end;
    const size_t end = last_line(text, text.len, &start);
    const choice_set label = line_label(answer_cut(text, start, end), &label_end);
    if (label <= 1) return false;
    const size_t before = last_line(text, start, &start);
    return line_label(answer_cut(text, start, before), &label_end) == label >> 1;
}

// A last line that is a choice.
static struct statement find_line(const struct finder *f) {
    const struct statement none = {SIZE_MAX, 0};
    size_t start, label_end, value_end;
    const size_t end = last_line(f->text, f->text.len, &start);
    if (end - start > MAX_LINE || ends_with_list(f->text)) return none;
    if (answer_starts(f->text, start, "A:")) { // the answer to a question "Q: ..."
        const choice_set answer = read_value(f, start + 2, end, &value_end);
        const bool denied = answer && answer_is_denied(f->text, start, value_end, true);
        if (answer && !denied) return (struct statement){start, answer};
    }
    if (!line_label(answer_cut(f->text, start, end), &label_end) ||
        answer_is_denied(f->text, start, start + label_end, true))
        return none;
    const choice_set named = read_value(f, start, end, &value_end);
    return named ? (struct statement){start, named} : none;
}

// A first line that is a choice and nothing else, or a choice in brackets or with its option's
// text, in front of an explanation. Not the first of a list of choices.
static struct statement find_first_line(const struct finder *f) {
    const struct statement none = {SIZE_MAX, 0};
    size_t label_end, other_end, value_end;
    const size_t start = skip_spaces(f->text, 0), end = answer_line_end(f->text, start);
    const struct slice line = answer_trim(answer_cut(f->text, start, end));
    const choice_set label = line.len <= MAX_LINE ? line_label(line, &label_end) : 0;
    if (!label) return none;
    const size_t next = skip_spaces(f->text, end);
    const struct slice behind = answer_cut(f->text, next, answer_line_end(f->text, next));
    if (line_label(behind, &other_end)) return none;
    size_t i = label_end;
    const bool bracket = line.ptr[i - 1] == ')' || line.ptr[i - 1] == ']';
    while (i < line.len && answer_is_one_of(" .:)\"'", line.ptr[i])) i++;
    const bool own_text = choice_named(f->options, &f->both, start, end) == label;
    if ((i < line.len && !bracket && !own_text) ||
        answer_is_denied(f->text, start, start + label_end, true))
        return none;
    const choice_set named = read_value(f, start, end, &value_end);
    return named ? (struct statement){start, named} : none;
}

static struct statement find_tag(const struct finder *f, size_t open) {
    struct statement found = {SIZE_MAX, 0};
    if (open == SIZE_MAX) return found;
    const size_t from = open + strlen("<answer>");
    const ptrdiff_t close = slice_find(f->text, slice_of("</answer>"), from);
    if (close == SLICE_NONE) return found;
    size_t end;
    found.named = read_value(f, from, (size_t)close, &end);
    if (found.named) found.at = open;
    return found;
}

// What the boxes of `answer` name, each read by itself.
static choice_set read_boxes(const struct finder *f, const struct answer *answer) {
    choice_set named = 0;
    for (int i = 0; i < answer->n_parts; i++) {
        size_t end;
        const struct slice part = answer->parts[i];
        const struct finder inner =
            finder_of(f->options, choice_clean(part, f->arena, NULL, 0), f->arena);
        if (part.len > MAX_VALUE) continue;
        named |= read_value(&inner, 0, inner.text.len, &end);
    }
    return named;
}

// Whether a letter at `at` is what its sentence says: it stands behind a word such as "is", or is
// the first of all.
static bool is_said(struct slice text, size_t start, size_t at) {
    static const char *const WORDS[] = {
        "is",   "be",    "it's",      "it’s",    "option",  "choice", "answer",    "either",
        "or",   "and",   "nor",       "not",     "no",      "both",   "so",        "actually",
        "thus", "hence", "therefore", "leaves",  "leaving", "guess",  "likely",    "says",
        "say",  "get",   "probably",  "choices", "options", "yes",    "definitely"};
    if (at > start && answer_is_one_of("&/|+", text.ptr[at - 1])) return true;
    while (at > start && answer_is_one_of(" \t\n,:\"'", text.ptr[at - 1])) at--;
    size_t from = at;
    while (from > start && !answer_is_one_of(" \t\n,:\"(", text.ptr[from - 1])) from--;
    const struct slice word = slice_part(text, from, at);
    for (size_t i = 0; i < N(WORDS); i++)
        if (word.len == strlen(WORDS[i]) && answer_starts(word, 0, WORDS[i])) return true;
    return word.len == 0;
}

// Nothing but what joins letters: in "not A, B or C" all of them are denied.
static bool is_joint(struct slice text, size_t from, size_t to) {
    while (from < to) {
        if (answer_is_word(text, from, "and"))
            from += 3;
        else if (answer_is_word(text, from, "or"))
            from += 2;
        else if (answer_is_one_of(" ,/&()", text.ptr[from]))
            from++;
        else
            return false;
    }
    return true;
}

// Where nothing is stated: the choices that the last sentence names.
static choice_set read_last_sentence(const struct finder *f) {
    const struct slice text = f->text;
    size_t end = text.len;
    while (end > 0 && answer_is_space(text.ptr[end - 1])) end--;
    if (end == 0 || text.ptr[end - 1] == '?' || ends_with_list(text)) return 0;
    const size_t start = answer_sentence_start(text, end - 1);
    choice_set named = choice_named(f->options, &f->both, start, end);
    const bool by_text = named; // "vitamin C" names no letter then
    size_t denied_to = 0;       // behind the last letter that is denied
    for (size_t i = start; i < end; i++) {
        bool strong;
        size_t to;
        const choice_set letter = choice_letter(text, i, &strong, &to);
        if (!letter || !strong || (by_text && text.ptr[i] != '(')) continue;
        const bool bracket = answer_is_one_of("([", text.ptr[i]);
        const char c = text.ptr[i + bracket];
        const bool sure =
            (bracket && isupper((unsigned char)c)) ||
            ((bracket || (isupper((unsigned char)c) && c != 'I')) && is_said(text, start, i));
        const bool question = letter == 1 && i == start && answer_starts(text, to, ":"); // "A: 5"
        if (answer_is_denied(text, i, to, true) || (denied_to && is_joint(text, denied_to, i)))
            denied_to = to;
        else if (sure && !question)
            named |= letter;
        i = to - 1;
    }
    return named;
}

bool choice_select(const struct choice_options *options, struct slice completion,
                   struct arena *arena, choice_set *out) {
    const struct slice text = answer_text(completion);
    enum { BOX, TAG, UNCLOSED, N_MARKS };
    struct answer box, tag;
    size_t marks[N_MARKS];
    *out = 0;
    if (text.len == 0) return false;
    marks[BOX] = answer_find_box(text, &box, &marks[UNCLOSED]);
    marks[TAG] = answer_find_tag(text, &tag);
    bool has_box = false; // that holds something
    for (int i = 0; marks[BOX] != SIZE_MAX && i < box.n_parts; i++) has_box |= box.parts[i].len > 0;
    const struct finder f = finder_of(options, choice_clean(text, arena, marks, N_MARKS), arena);
    const struct statement found[] = {
        {marks[BOX], has_box ? read_boxes(&f, &box) : 0},
        find_tag(&f, marks[TAG]),
        find_phrase(&f),
        find_line(&f),
        find_first_line(&f),
    };
    struct statement best = {SIZE_MAX, 0};
    for (size_t i = 0; i < N(found); i++)
        if (found[i].named && (best.at == SIZE_MAX || found[i].at > best.at)) best = found[i];
    if (marks[UNCLOSED] != SIZE_MAX && (best.at == SIZE_MAX || marks[UNCLOSED] >= best.at))
        return false;
    *out = best.named;
    if (best.at == SIZE_MAX && !has_box) *out = read_last_sentence(&f);
    return best.at != SIZE_MAX || has_box || *out;
}

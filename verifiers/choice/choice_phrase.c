// Phrases that state a choice: "the answer is B", "I choose B", "B is correct".
#include "verifiers/choice/choice_find.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum {
    MAX_SUBJECT = 80, // bytes between "answer" and its verb
    MAX_TRIED = 200,  // phrases that are looked at, the last ones
    MAX_BEFORE = 4,   // words in front of "choose" that may say who does
};

static bool denied(struct slice text, size_t from, size_t to) {
    return answer_is_denied_of(text, from, to, true, &CHOICE_LETTERS);
}

static size_t skip_words(struct slice text, size_t at, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (answer_is_word(text, at, words[i])) return at + strlen(words[i]);
    return at;
}

// Past what says nothing between a verb and its value.
static size_t skip_filler(struct slice text, size_t at) {
    static const char *const FILLER[] = {"therefore",     "thus",
                                         "then",          "simply",
                                         "clearly",       "indeed",
                                         "hence",         "probably",
                                         "likely",        "most",
                                         "definitely",    "certainly",
                                         "actually",      "obviously",
                                         "maybe",         "perhaps",
                                         "possibly",      "presumably",
                                         "surely",        "still",
                                         "just",          "now",
                                         "given by",      "again",
                                         "for sure",      "for certain",
                                         "evidently",     "of course",
                                         "undoubtedly",   "no doubt",
                                         "without doubt", "without a doubt",
                                         "in fact",       "truly",
                                         "really",        "exactly",
                                         "as follows",    "none other than"};
    for (;;) {
        while (at < text.len && answer_is_one_of(" \t\r\n:,=", text.ptr[at])) at++;
        const size_t end = skip_words(text, at, FILLER, N(FILLER));
        if (end == at) return at;
        at = end;
    }
}

static size_t behind_verb(struct slice text, size_t at) {
    static const char *const VERBS[] = {" is",        " are",       " would be",
                                        " must be",   " should be", " will be",
                                        " has to be", " was",       " comes out as"};
    const size_t end = skip_words(text, at, VERBS, N(VERBS));
    return end == at ? SIZE_MAX : end;
}

// "Answer - B", "Answer → B": behind the dash or arrow at `at`, or `at`.
static size_t skip_dash(struct slice text, size_t at) {
    static const char *const DASHES[] = {"->", "=>", "-->", "==>", "–", "—"};
    const size_t i = answer_skip_symbols(text, at);
    if (i != at) return i;
    size_t dash = at;
    while (dash < text.len && text.ptr[dash] == ' ') dash++;
    for (size_t k = 0; k < N(DASHES); k++)
        if (answer_starts(text, dash, DASHES[k])) return dash + strlen(DASHES[k]);
    return answer_starts(text, at, " - ") ? at + strlen(" - ") : at;
}

// Behind "answer" (or "option", "choice", for which a colon needs to follow at once): where its
// value starts, or SIZE_MAX. `*link` is where the verb or the colon is.
static size_t subject_value(struct slice text, size_t at, bool answer, size_t *link) {
    const size_t end = text.len - at < MAX_SUBJECT ? text.len : at + MAX_SUBJECT;
    const size_t dash = skip_dash(text, at);
    *link = at;
    if (dash != at) return skip_filler(text, dash);
    for (size_t i = at; i < end; i++) {
        const char c = text.ptr[i];
        *link = i;
        if (answer_is_one_of(":=", c)) {
            const bool at_once = answer_trim(answer_cut(text, at, i)).len == 0;
            return at_once || (answer && c == ':') ? skip_filler(text, i + 1) : SIZE_MAX;
        }
        const size_t verb = c == ' ' ? behind_verb(text, i) : SIZE_MAX;
        if (verb != SIZE_MAX) return skip_filler(text, verb);
        if (c == ']' && i == at) return skip_filler(text, i + 1);        // "[Answer] B"
        if (c == '\n' && i == at && answer) return skip_filler(text, i); // a heading
        if (answer_is_one_of("\n,;", c) || answer_ends_sentence(text, i)) break;
        if (c == ' ' &&
            (answer_is_word(text, i, " choices") || answer_is_word(text, i, " options")))
            break;
    }
    return SIZE_MAX;
}

// The word of letters in front of `*at`, which becomes where it starts.
static struct slice word_before(struct slice text, size_t *at) {
    size_t end = *at;
    while (end > 0 && answer_is_one_of(" \t*_", text.ptr[end - 1])) end--;
    size_t from = end;
    while (from > 0 && ascii_is_alpha(text.ptr[from - 1])) from--;
    *at = from;
    return answer_cut(text, from, end);
}

// "many choose A", "you might pick B": no choice of the one who answers.
static bool is_of_others(struct slice text, size_t at) {
    static const char *const OTHERS[] = {"many",   "most",     "some",     "people",     "students",
                                         "they",   "others",   "everyone", "someone",    "somebody",
                                         "you",    "who",      "often",    "tempted",    "might",
                                         "may",    "could",    "never",    "tend",       "one",
                                         "he",     "she",      "readers",  "candidates", "few",
                                         "anyone", "commonly", "wrongly",  "mistakenly", "not"};
    for (int n = 0; n < MAX_BEFORE; n++) {
        const struct slice word = word_before(text, &at);
        if (word.len == 0) return false;
        if (answer_is_in(word, OTHERS, N(OTHERS))) return true;
    }
    return false;
}

// "I choose B", "so let's pick B", "Choose B.": whoever else chooses is somebody else.
static bool is_ours(struct slice text, size_t at) {
    static const char *const WORDS[] = {
        "i",         "we",     "i'd",    "i'll",  "we'll",  "i’d",     "i’ll",       "will",
        "would",     "must",   "should", "shall", "to",     "can",     "let's",      "so",
        "therefore", "thus",   "hence",  "and",   "then",   "finally", "ultimately", "i've",
        "i’ve",      "am",     "i'm",    "i’m",   "us",     "d",       "ll",         "m",
        "ve",        "s",      "have",   "now",   "just",   "are",     "is",         "best",
        "be",        "please", "safely", "my",    "rather", "sooner"};
    const struct slice word = word_before(text, &at);
    return word.len == 0 || answer_is_in(word, WORDS, N(WORDS));
}

// "I'd rather stick with B", "we lean towards B": what is preferred by others says nothing.
static bool is_first_person(struct slice text, size_t at) {
    static const char *const PERSONS[] = {"i", "we", "d", "ll", "m"}; // I'd, I’ll
    static const char *const BETWEEN[] = {"rather", "will",     "am",        "still", "would",
                                          "are",    "strongly", "going",     "have",  "slightly",
                                          "to",     "sooner",   "definitely"};
    for (int n = 0; n < MAX_BEFORE; n++) {
        const struct slice word = word_before(text, &at);
        if (answer_is_in(word, PERSONS, N(PERSONS)))
            return !slice_is(word_before(text, &at), "do"); // "nor do I favor B"
        if (!answer_is_in(word, BETWEEN, N(BETWEEN))) return false;
    }
    return false;
}

// "Choosing C would mean", "To choose C one needs": what stands in front of `at`, where the verb
// begins, makes it the subject of its sentence.
static bool is_act(struct slice text, size_t at, size_t end) {
    const size_t start = answer_skip_spaces(text, answer_sentence_start(text, at));
    const size_t verb =
        answer_is_word(text, start, "to") ? answer_skip_spaces(text, start + 2) : start;
    const struct slice word = answer_cut(text, at, end);
    const bool gerund = memmem(word.ptr, word.len, "ing", 3) != NULL;
    return verb == at && (gerund || verb != start);
}

// Whether the sentence goes on behind the value that ends at `at` to say something of it.
static bool goes_on(struct slice text, size_t at) {
    static const char *const REASONS[] = {"because", "since", "as", "here", "then", "now"};
    while (at < text.len && answer_is_one_of("*_)\"' ", text.ptr[at])) at++;
    return at < text.len && ascii_is_lower(text.ptr[at]) &&
           skip_words(text, at, REASONS, N(REASONS)) == at;
}

// The word at `at` is one of a key of an object, or a part of a name: choice_key.c reads these.
static bool is_key(struct slice text, size_t at) {
    if (at > 0 && text.ptr[at - 1] == '_') return true;
    size_t end = at;
    while (end < text.len && (ascii_is_alnum(text.ptr[end]) || text.ptr[end] == '_')) end++;
    return end < text.len && answer_is_one_of("\"'", text.ptr[end]) && at > 0 &&
           text.ptr[at - 1] == text.ptr[end];
}

// A cue at `at` in front of a value: where the value starts, or SIZE_MAX. `*weak`: what several
// letters follow may be an instruction ("choose A, B or C").
static size_t cue_value(struct slice text, size_t at, bool *weak) {
    static const char *const VERBS[] = {
        "choose",     "chose",      "choosing",     "pick",       "picked",     "select",
        "selected",   "go for",     "going for",    "go with",    "going with", "selecting",
        "picking",    "went with",  "opt for",      "opting for", "chosen",     "settle on",
        "settle for", "settled on", "vote goes to", "vote for"};
    bool strong;
    size_t end, link = at;
    *weak = false;
    if (at > 0 && (ascii_is_alnum(text.ptr[at - 1]) || is_key(text, at))) return SIZE_MAX;
    if (answer_starts(text, at, "answer")) {
        size_t i = at + strlen("answer");
        if (i < text.len && (text.ptr[i] == 's' || text.ptr[i] == 'S')) i++;
        const size_t next = answer_skip_spaces(text, i);
        if (next > i && next < text.len && text.ptr[next] == '(' &&
            choice_letter(text, next, &strong, &end))
            return next; // "answer (B)"
        static const char *const IS[] = {"'s ", "’s "};
        for (size_t k = 0; k < N(IS); k++) // "the answer's B."
            if (answer_starts(text, at + 6, IS[k]) &&
                choice_letter(text, at + 6 + strlen(IS[k]), &strong, &end) && strong)
                return at + 6 + strlen(IS[k]);
        const size_t value = subject_value(text, i, true, &link);
        return find_is_of_other(text, at, i, link) ? SIZE_MAX : value;
    }
    if (answer_is_word(text, at, "option") || answer_is_word(text, at, "choice")) {
        const size_t next = answer_skip_spaces(text, at + strlen("option"));
        if (choice_letter(text, next, &strong, &end)) return SIZE_MAX; // "option B is ..."
        const size_t behind = at + strlen("option");
        const size_t value = subject_value(text, behind, false, &link);
        return find_is_of_other(text, at, behind, link) ? SIZE_MAX : value;
    }
    static const char *const TITLES[] = {
        "final",    "ans",    "correct",   "solution", "my pick", "verdict", "result", "selection",
        "response", "letter", "my choice", "gabarito", "letra",   "верно",   "Верно"};
    const size_t title = skip_words(text, at, TITLES, N(TITLES));
    if (title != at && !find_is_of_other(text, at, title, title)) {
        const size_t dash = skip_dash(text, title);
        const bool dot = answer_starts(text, at, "final") || answer_starts(text, at, "ans");
        if (dash != title) return skip_filler(text, dash);
        return title < text.len && answer_is_one_of(dot ? ":.=" : ":", text.ptr[title])
                   ? skip_filler(text, title + 1)
                   : SIZE_MAX;
    }
    end = skip_words(text, at, VERBS, N(VERBS));
    if (end != at) {
        *weak = true;
        return is_of_others(text, at) || !is_ours(text, at) ? SIZE_MAX : skip_filler(text, end);
    }
    static const char *const LEANINGS[] = {
        "stick with",     "sticking with",   "stay with", "prefer", "lean towards", "lean toward",
        "leaning toward", "leaning towards", "favor",     "favour", "locking in",   "lock in"};
    end = skip_words(text, at, LEANINGS, N(LEANINGS));
    if (end != at) {
        *weak = true;
        return is_first_person(text, at) ? skip_filler(text, end) : SIZE_MAX;
    }
    const size_t foreign = answer_may_be_foreign(text, at) ? answer_foreign(text, at) : SIZE_MAX;
    if (foreign != SIZE_MAX) return foreign;
    const size_t chosen = choice_chosen_abroad(text, at);
    return chosen == SIZE_MAX ? SIZE_MAX : skip_filler(text, chosen);
}

// "I chose A by mistake": taken back in the same breath.
static bool is_mistake(struct slice text, size_t at) {
    static const char *const WORDS[] = {" by mistake",  " by accident", " in error", " wrongly",
                                        " incorrectly", " mistakenly",  " at first", " initially"};
    while (at < text.len && answer_is_one_of("*_)\"'", text.ptr[at])) at++;
    return skip_words(text, at, WORDS, N(WORDS)) != at;
}

static bool try_cue(const struct finder *f, size_t at, struct statement *out) {
    bool weak;
    size_t end;
    size_t from = cue_value(f->text, at, &weak);
    if (from >= f->text.len) return false;
    from = choice_skip_denied(f->text, from);
    choice_set named = find_value(f, from, f->text.len, &end);
    if (!named || (weak && (named & (named - 1)))) return false;
    if (weak && choice_is_only_meant(f->text, at, end)) return false;
    if (weak && goes_on(f->text, end) && is_act(f->text, at, from)) return false;
    if (is_mistake(f->text, end) || denied(f->text, at, end) ||
        answer_is_of_another(answer_cut(f->text, answer_sentence_start(f->text, at), at)) ||
        (answer_may_be_foreign(f->text, at) && answer_is_denied_abroad(f->text, from)))
        return false;
    *out = (struct statement){from, end, named};
    return true;
}

choice_set find_joined_before(struct slice text, size_t at, size_t *from) {
    static const char *const JOINTS[] = {" or ",  " and ", ", ",     "/",    "|",    "+",
                                         "&",     " & ",   " oder ", " ou ", " o ",  " или ",
                                         " und ", " et ",  " y ",    " e ",  " of ", " eller "};
    choice_set named = 0;
    *from = at;
    for (size_t i = 0; i < N(JOINTS); i++) {
        const size_t len = strlen(JOINTS[i]);
        bool strong;
        if (at < len + 1 || !answer_starts(text, at - len, JOINTS[i])) continue;
        size_t k = at - len - 1, to;
        if (text.ptr[k] == ')' && k >= 2) k -= 2;
        const choice_set other = choice_letter(text, k, &strong, &to);
        if (other && to <= at) named |= other, *from = k;
    }
    return named;
}

// Only "option" or the like in front of the letter at `at`: it is the subject of the first
// sentence.
static bool is_whole_text(struct slice text, size_t at) {
    static const char *const LEADS[] = {"option", "choice", "statement", "so", "answer", "only"};
    size_t i = answer_skip_spaces(text, 0);
    for (size_t next; i < at && (next = skip_words(text, i, LEADS, N(LEADS))) != i;)
        i = answer_skip_spaces(text, next);
    return i == at;
}

// Behind "is true" and the like at `at`, where the text ends with it; else `at`.
static size_t end_of_truth(struct slice text, size_t at) {
    static const char *const TRUTHS[] = {"is true", "fits best", "works best", "fits",
                                         "holds",   "is valid",  "works",      "matches"};
    const size_t to = skip_words(text, at, TRUTHS, N(TRUTHS));
    size_t end = to;
    while (end < text.len && answer_is_one_of(" .!\n", text.ptr[end])) end++;
    return end == text.len ? to : at;
}

// Behind "remains" at `at`, where the sentence ends with it; else `at`.
static size_t end_of_rest(struct slice text, size_t at) {
    static const char *const RESTS[] = {
        "remains",        "is left", "is what remains", "is the one", "is all that remains",
        "is what is left"};
    const size_t to = skip_words(text, at, RESTS, N(RESTS));
    return to == text.len || answer_is_one_of(".!\n", text.ptr[to]) ? to : at;
}

// Behind "is definitely the answer" at `at`, or `at`.
static size_t end_of_sure(struct slice text, size_t at) {
    static const char *const ADVERBS[] = {"is definitely", "is certainly",   "is clearly",
                                          "is obviously",  "is therefore",   "is thus",
                                          "is surely",     "is undoubtedly", "is hence",
                                          "is probably",   "is likely",      "is most likely"};
    static const char *const RIGHT[] = {" correct",    " right",    " the correct", " the right",
                                        " the answer", " the best", " our answer",  " my answer"};
    const size_t end = skip_words(text, at, ADVERBS, N(ADVERBS));
    const size_t to = end == at ? at : skip_words(text, end, RIGHT, N(RIGHT));
    return to == end ? at : to;
}

// Behind "best captures" at `at`, or `at`.
static size_t end_of_best(struct slice text, size_t at) {
    if (!answer_starts(text, at, "best ")) return at;
    size_t end = at + strlen("best ");
    while (end < text.len && ascii_is_lower(text.ptr[end])) end++;
    return end > at + strlen("best ") + 2 && text.ptr[end - 1] == 's' ? end : at;
}

static const char *const VERDICTS[] = {"is correct",
                                       "is the correct",
                                       "is right",
                                       "is the right",
                                       "is the answer",
                                       "is the best",
                                       "is our answer",
                                       "is my answer",
                                       "is the only",
                                       "is the final",
                                       "are correct",
                                       "must be correct",
                                       "must be the",
                                       "is therefore the",
                                       "is indeed",
                                       "is clearly the",
                                       "are the correct",
                                       "is therefore correct",
                                       "is my final",
                                       "is the most",
                                       "is my choice",
                                       "is the choice",
                                       "best describes",
                                       "best explains",
                                       "best fits",
                                       "best represents",
                                       "best matches",
                                       "best answers",
                                       "is best",
                                       "seems right",
                                       "seems correct",
                                       "looks right",
                                       "looks correct",
                                       "has to be correct",
                                       "has to be the",
                                       "makes the most sense",
                                       "makes most sense",
                                       "is the better",
                                       "should be the answer",
                                       "should be correct",
                                       "should be the correct",
                                       "would be the best",
                                       "would be my answer",
                                       "would be my choice",
                                       "would be my final",
                                       "would be my pick"};

// "B is correct"; "Option (B), Paris, ..." is not: what is said must follow at once.
static bool try_subject(const struct finder *f, size_t at, struct statement *out) {
    static const char *const TRUTHS[] = {"is true",     "holds",         "works",     "fits",
                                         "is possible", "is consistent", "satisfies", "is valid",
                                         "matches",     "makes sense",   "can be",    "remains"};
    const struct slice text = f->text;
    bool strong;
    size_t end, from;
    choice_set named = choice_letter(text, at, &strong, &end);
    if (!named || ascii_is_lower(text.ptr[at])) return false;
    while (end < text.len && answer_is_one_of(" .:)\"'", text.ptr[end])) end++;
    size_t to = skip_words(text, end, VERDICTS, N(VERDICTS));
    if (to == end) to = end_of_sure(text, end);
    if (to == end) to = end_of_best(text, end);
    if (to == end) to = choice_skip_verdict(text, at, end);
    if (to == end) to = choice_skip_it_is(text, end);
    const bool rest = to == end && end_of_rest(text, end) != end; // "A and C fail, B remains"
    if (rest) to = end_of_rest(text, end);
    // "B is true" may be what the question asks for, or not; "only B is true" answers it.
    if (to == end && ((at >= 5 && answer_starts(text, at - 5, "only ")) ||
                      (at >= 12 && answer_starts(text, at - 12, "only option "))))
        to = skip_words(text, end, TRUTHS, N(TRUTHS));
    if (to == end && is_whole_text(text, at)) to = end_of_truth(text, end);
    const bool should = answer_starts(text, end, "should be "); // "B should be the answer"
    if (to == end || (!should && answer_admits(text, end))) return false; // "B is right too"
    if (find_is_excepted(text, answer_sentence_start(text, at), at)) return false;
    from = at;
    if (!rest) named |= find_joined_before(text, at, &from);
    if (denied(text, from, to) || denied(text, from, end)) return false;
    *out = (struct statement){at, to, named};
    return true;
}

// A quick look, as most of a text is none: by the first two letters, at the start of a word.
static bool may_be_cue(struct slice text, size_t at) {
    static const char *const STARTS[] = {
        "an", "op", "ch", "pi", "se", "go", "we", "re", "ri", "fi", "al", "at", "ra", "sv",
        "co", "so", "sa", "ce", "ja", "ji", "od", "va", "ya", "my", "ve", "le", "ga", "je",
        "j'", "ic", "el", "es", "sc", "ik", "vo", "me", "st", "pr", "fa", "lo"};
    const unsigned char c = (unsigned char)text.ptr[at];
    if (c >= 0x80) return c >= 0xC0;
    if (at + 1 == text.len || (at > 0 && ascii_is_alnum(text.ptr[at - 1]))) return false;
    const char first = ascii_lower(text.ptr[at]), second = ascii_lower(text.ptr[at + 1]);
    if ((unsigned char)second >= 0x80) return answer_is_one_of("rvl", first); // "réponse"
    for (size_t i = 0; i < N(STARTS); i++)
        if (STARTS[i][0] == first && STARTS[i][1] == second) return true;
    return false;
}

struct statement find_phrase(const struct finder *f) {
    struct statement found = NO_STATEMENT;
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

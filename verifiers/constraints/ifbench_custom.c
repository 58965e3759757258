// IFBench: tasks of one prompt each.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/text_sentences.h"

// The run of characters with a class bit at the start of `s`.
static struct slice leading_run(struct slice s, unsigned class) {
    struct slice rest = s, next = s;
    for (uint32_t code; chars_next(&next, &code) && char_classes(code) & class;) rest = next;
    return slice_part(s, 0, s.len - rest.len);
}

// The multiples of 7 from 14 to 49, and no other number.
static bool follows_multiples(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const WANTED[] = {"14", "21", "28", "35", "42", "49"};
    struct slice s = text->raw;
    size_t n = 0;
    (void)args;
    for (struct slice digit; (digit = slice_first(s, CHAR_DIGIT)).len;) {
        const struct slice number = leading_run(slice_behind(s, digit.ptr), CHAR_DIGIT);
        if (n == 6 || !slice_is(number, WANTED[n++])) return false;
        s = slice_behind(s, number.ptr + number.len);
    }
    return n == 6 || text_no_part(text);
}

// ---- Multiple choice ---------------------------------------------------------------------------

// The length of "Question 3: " with the white space behind it; 0 when `s` does not start so.
static size_t label_len(struct slice s) {
    static const char LABEL[] = "Question ";
    if (!slice_starts(s, slice_of(LABEL))) return 0;
    struct slice rest = slice_from(s, sizeof LABEL - 1);
    const size_t digits = leading_run(rest, CHAR_DIGIT).len;
    if (digits == 0) return 0;
    rest = slice_from(rest, digits);
    if (rest.len && *rest.ptr && strchr(".|):;", *rest.ptr)) rest = slice_from(rest, 1);
    return s.len - slice_strip_left(rest, CHAR_SPACE).len;
}

// An option such as "A) Cubism".
static bool is_option(struct slice line) {
    if (line.len < 2 || !*line.ptr || !strchr("ABCDEabcde", *line.ptr)) return false;
    if (line.ptr[1] != '.' && line.ptr[1] != '|' && line.ptr[1] != ')') return false;
    return char_classes(first_code(slice_strip_left(slice_from(line, 2), CHAR_SPACE))) & CHAR_WORD;
}

// The length of the text in front of the options, lines joined by spaces; -1 unless there are five.
static int64_t question_len(struct constraint_text *text, struct slice question) {
    const struct slices lines = text_split_of(text, question, slice_of("\n"));
    int64_t at = 0, len = 0;
    int n_options = 0;
    for (size_t i = 0; i < lines.n; i++) {
        const struct slice line = slice_strip(lines.items[i], CHAR_SPACE);
        const size_t n = slice_n_chars(line);
        if (is_option(line)) {
            n_options++;
        } else if (n_options == 0) {
            at += (int64_t)n + (i > 0);
            if (n) len = at;
        }
    }
    return n_options == 5 ? len : -1;
}

// Four questions from the first character on, each longer than the one before, of five options.
static bool follows_choice(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text->raw;
    struct slices questions = {0};
    size_t from = 0;
    (void)args;
    if (!slice_starts(s, slice_of("Question"))) return false;
    for (size_t at = 0; at <= s.len;) {
        const ptrdiff_t next = slice_find(s, slice_of("Question "), at);
        const size_t end = next < 0 ? s.len : (size_t)next;
        const size_t len = label_len(slice_from(s, end));
        at = end + 1;
        if (next >= 0 && len == 0) continue;
        const struct slice question = slice_strip(slice_part(s, from, end), CHAR_SPACE);
        if (questions.n > 4) return false;
        if (question.len) slices_add(text, &questions, question);
        if (next < 0) break;
        at = from = end + len;
    }
    if (questions.n != 4) return false;
    int64_t before = -1;
    for (int i = 0; i < 4; i++) {
        const int64_t len = question_len(text, questions.items[i]);
        if (len <= before) return false;
        before = len;
    }
    return true;
}

// ---- Lists -------------------------------------------------------------------------------------

static int compare_bytes(struct slice a, struct slice b) {
    const size_t shorter = a.len < b.len ? a.len : b.len;
    const int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

// From the line that names Zimbabwe on, 52 lines or more, each not behind the one before it in the
// alphabet, without accents.
static bool follows_countries(struct constraint_text *text, const struct constraint_args *args) {
    struct slice lines = text->raw, line, before = {0};
    size_t n = 0;
    (void)args;
    if (slice_find(text->raw, slice_of("Zimbabwe"), 0) < 0) return text_no_part(text);
    while (!text->over && slice_next_line(&lines, &line)) {
        line = strip_marks(line);
        if (line.len == 0 || (n == 0 && slice_find(line, slice_of("Zimbabwe"), 0) < 0)) continue;
        const struct slice plain = text_ascii_of(text, line);
        if (n++ && compare_bytes(before, plain) < 0) return false;
        before = plain;
    }
    return n >= 52;
}

// A name of a list, without white space at its ends.
struct capital {
    char bytes[32];
    size_t len;
    bool in_space; // behind it
    bool is_none;  // longer than any, or with white space inside of it, as no capital has
};

static void add_to_capital(struct capital *name, char c) {
    if (c == ',') return;
    if (char_classes((unsigned char)c) & CHAR_SPACE) {
        name->in_space = name->len > 0;
    } else if (name->in_space || name->len + 1 == sizeof name->bytes) {
        name->is_none = true;
    } else {
        name->bytes[name->len++] = c;
        name->bytes[name->len] = 0;
    }
}

static bool follows_capitals(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const WANTED[] = {
        "Reykjavik",  "Helsinki", "Oslo",     "Tallinn",    "Stockholm", "Riga",      "Moscow",
        "Copenhagen", "Vilnius",  "Minsk",    "Dublin",     "Berlin",    "Amsterdam", "Warsaw",
        "London",     "Brussels", "Prague",   "Luxembourg", "Paris",     "Vienna",    "Bratislava",
        "Budapest",   "Vaduz",    "Chisinau", "Bern",       "Ljubljana", "Zagreb"};
    enum { N_WANTED = sizeof WANTED / sizeof *WANTED };
    struct slice rest = text->raw;
    struct capital name = {0};
    int n = 0;
    (void)args;
    for (uint32_t code; chars_next(&rest, &code) && !name.is_none;) {
        const char one[] = {(char)code, 0};
        const char *ascii = code < 128 ? one : char_page(code)->ascii[code & 0xFF];
        if (code == 0) return false;
        for (int i = 0; i < CHAR_MAX_ASCII && ascii[i]; i++) {
            add_to_capital(&name, ascii[i]);
            if (ascii[i] != ',' || name.len == 0) continue;
            if (n == N_WANTED || strcmp(name.bytes, WANTED[n++]) != 0) return false;
            name = (struct capital){0};
        }
    }
    if (name.is_none) return false;
    if (name.len && (n == N_WANTED || strcmp(name.bytes, WANTED[n++]) != 0)) return false;
    return n == N_WANTED;
}

// Takes a number of so many digits of any script off `s`, or returns -1.
static int take_number(struct slice *s, int n_digits) {
    int number = 0;
    for (int i = 0; i < n_digits; i++) {
        uint32_t code;
        if (!chars_next(s, &code) || !(char_classes(code) & CHAR_DIGIT)) return -1;
        number = 10 * number + char_digit_value(code);
    }
    return number;
}

// The same behind a hyphen.
static int take_next(struct slice *s, int n_digits) {
    if (s->len == 0 || *s->ptr != '-') return -1;
    *s = slice_from(*s, 1);
    return take_number(s, n_digits);
}

// A day of Napoleon's life as YYYY-MM-DD. A month or day of 00 passes, as it does in the published
// checker.
static bool is_date(struct slice s) {
    static const int DAYS[] = {99, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int year = take_number(&s, 4), month = take_next(&s, 2), day = take_next(&s, 2);
    return s.len == 0 && year >= 1769 && year <= 1821 && month >= 0 && month <= 12 && day >= 0 &&
           day <= DAYS[month];
}

static bool follows_dates(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text_stripped(text);
    (void)args;
    for (size_t from = 0;;) {
        const char *comma = s.len ? memchr(s.ptr + from, ',', s.len - from) : NULL;
        const size_t to = comma ? (size_t)(comma - s.ptr) : s.len;
        if (!is_date(slice_strip(slice_part(s, from, to), CHAR_SPACE)))
            return comma && from ? text_blame(text, slice_part(s, from - 1, to + 1)) : false;
        if (!comma) return true;
        from = to + 1;
    }
}

// ---- The bald eagle, and the alphabet ----------------------------------------------------------

// Read from its last word to the first, the text has "bald eagle". Without punctuation it is one
// sentence anyway.
static bool follows_word_reverse(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices words = plain_words(text, text_lower(text));
    (void)args;
    for (size_t i = 1; i < words.n; i++)
        if (slice_ends(words.items[i], slice_of("bald")) &&
            slice_starts(words.items[i - 1], slice_of("eagle")))
            return true;
    return text_no_part(text);
}

static bool follows_letter_reverse(struct constraint_text *text,
                                   const struct constraint_args *args) {
    (void)args;
    return slice_find(text_lower(text), slice_of("elgae dlab"), 0) >= 0 || text_no_part(text);
}

static bool follows_sentences(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    (void)args;
    if (sentences->n != 26) return false;
    for (uint32_t i = 0; i < 26; i++) {
        const struct slice s = slice_strip_left(runs_at(sentences, i), CHAR_SPACE);
        if (first_lower(s) != 'a' + i) return false;
    }
    return true;
}

static const struct constraint ROWS[] = {
    {.id = "custom:multiples", .follows = follows_multiples},
    {.id = "custom:mcq_count_length", .follows = follows_choice},
    {.id = "custom:reverse_newline", .follows = follows_countries},
    {.id = "custom:european_capitals_sort", .follows = follows_capitals},
    {.id = "custom:date_format_list", .follows = follows_dates},
    {.id = "custom:word_reverse", .follows = follows_word_reverse},
    {.id = "custom:character_reverse", .follows = follows_letter_reverse},
    {.id = "custom:sentence_alphabet", .follows = follows_sentences},
};

const struct constraint_table ifbench_custom_table = CONSTRAINT_TABLE(ROWS);

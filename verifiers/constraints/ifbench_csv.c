// IFBench: tables of comma or tab separated values.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"

enum { MAX_FIELD_CHARS = 128 << 10 }; // Python's csv.field_size_limit()

enum csv_state { ROW_START, FIELD_START, IN_FIELD, IN_QUOTES, QUOTE_IN_QUOTES, LINE_END };

struct csv_reader {
    struct constraint_text *text;
    struct csv_table *table;
    size_t *row_ends; // (the table's capacity)
    char delimiter;
    enum csv_state state;
    char *field; // room for what is left of the text
    size_t len, n_chars;
};

static void add(struct csv_reader *r, char c) {
    r->field[r->len++] = c;
    r->n_chars += ((unsigned char)c & 0xC0) != 0x80;
}

static void end_field(struct csv_reader *r, enum csv_state next) {
    slices_add(r->text, &r->table->fields, (struct slice){r->field, r->len});
    r->field += r->len;
    r->len = r->n_chars = 0;
    r->state = next;
}

static void end_row(struct csv_reader *r) {
    r->row_ends[r->table->n_rows++] = r->table->fields.n;
}

// A byte of a field that is not in quotes, or the delimiter.
static void read_plain(struct csv_reader *r, char c) {
    if (c == r->delimiter) {
        end_field(r, FIELD_START);
    } else if (c == '\n' || c == '\r') {
        end_field(r, LINE_END);
    } else {
        r->state = IN_FIELD;
        add(r, c);
    }
}

static bool read_byte(struct csv_reader *r, char c) {
    switch (r->state) {
    case ROW_START:
        if (c == '\n' || c == '\r') {
            r->state = LINE_END;
            break;
        }
        // fall through
    case FIELD_START:
        if (c == '"')
            r->state = IN_QUOTES;
        else
            read_plain(r, c);
        break;
    case IN_FIELD:
        read_plain(r, c);
        break;
    case IN_QUOTES:
        if (c == '"')
            r->state = QUOTE_IN_QUOTES;
        else
            add(r, c);
        break;
    case QUOTE_IN_QUOTES:
        if (c == '"') {
            r->state = IN_QUOTES;
            add(r, c);
        } else {
            read_plain(r, c);
        }
        break;
    case LINE_END:
        return c == '\n' || c == '\r';
    }
    return r->n_chars <= MAX_FIELD_CHARS;
}

// The end of a line. A line that ends outside quotes ends a row.
static void read_line_end(struct csv_reader *r) {
    if (r->state == IN_QUOTES) return;
    if (r->state != ROW_START && r->state != LINE_END) end_field(r, ROW_START);
    r->state = ROW_START;
    end_row(r);
}

bool csv_read(struct constraint_text *text, struct slice s, char delimiter, size_t max_rows,
              size_t max_fields, struct csv_table *out) {
    struct csv_reader r = {.text = text, .table = out, .delimiter = delimiter};
    if (!text_spend(text, 2 * s.len)) return false;
    *out = (struct csv_table){0};
    r.field = arena_take_unset(text->arena, s.len + 1, 1);
    out->row_ends = r.row_ends = arena_take(text->arena, max_rows + 2, sizeof *r.row_ends);
    for (size_t i = 0; i < s.len; i++) {
        const size_t n = out->n_rows, from = n ? out->row_ends[n - 1] : 0;
        if (n > max_rows || out->fields.n - from > max_fields) return false;
        if (!read_byte(&r, s.ptr[i])) return false;
        if (s.ptr[i] == '\n' || i + 1 == s.len) read_line_end(&r);
    }
    if (r.state == IN_QUOTES) {
        end_field(&r, ROW_START);
        end_row(&r);
    }
    return !text->over;
}

// Whether each row from `first` to before `end` has five fields.
static bool have_five(const struct csv_table *table, size_t first, size_t end) {
    for (size_t i = first; i < end; i++)
        if (table->row_ends[i] - (i ? table->row_ends[i - 1] : 0) != 5) return false;
    return true;
}

static bool follows_city(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const NAMES[] = {"ID", "Country", "City", "Year", "Count"};
    struct csv_table table;
    (void)args;
    if (!csv_read(text, text->raw, ',', 8, 5, &table) || table.n_rows != 8) return false;
    if (!have_five(&table, 0, 8)) return false;
    for (int i = 0; i < 5; i++)
        if (!slice_is(table.fields.items[i], NAMES[i])) return false;
    return true;
}

// The first line: five names, each in quotes or not, with blanks of `blanks` behind delimiters.
static bool has_header(struct constraint_text *text, const char *const names[5], char delimiter,
                       const char *blanks) {
    struct slice lines = text->raw, s;
    if (!slice_next_line(&lines, &s)) return false;
    s = slice_strip(s, CHAR_SPACE);
    for (int i = 0; i < 5; i++) {
        while (i && s.len && *s.ptr && strchr(blanks, *s.ptr)) s = slice_from(s, 1);
        const struct slice name = slice_of(names[i]);
        const bool is_quoted = s.len && *s.ptr == '"';
        if (is_quoted) s = slice_from(s, 1);
        if (!slice_starts(s, name)) return false;
        s = slice_from(s, name.len);
        if (is_quoted && !slice_starts(s, slice_of("\""))) return false;
        if (is_quoted) s = slice_from(s, 1);
        if (i == 4) break;
        if (s.len == 0 || *s.ptr != delimiter) return false;
        s = slice_from(s, 1);
    }
    return s.len == 0;
}

// The text with each quotation mark three times: what is read then keeps the marks around fields.
static struct slice keep_quotes(struct constraint_text *text) {
    return text_replace_of(text, text->raw, slice_of("\""), slice_of("\"\"\""));
}

// Within its first line, a field that opens with a quotation mark has a character that is neither
// word nor white space, and behind that one more quotation mark.
static bool has_special(struct slice field) {
    if (field.len == 0 || *field.ptr != '"') return false;
    const char *newline = memchr(field.ptr, '\n', field.len);
    struct slice s = slice_part(field, 1, newline ? (size_t)(newline - field.ptr) : field.len);
    while (s.len && s.ptr[s.len - 1] != '"') s.len--;
    if (s.len == 0) return false;
    s.len--;
    for (uint32_t code; chars_next(&s, &code);)
        if (!(char_classes(code) & (CHAR_WORD | CHAR_SPACE))) return true;
    return false;
}

// Rows behind the first one with such a field may be of any length.
static bool follows_special(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const NAMES[] = {"ProductID", "Category", "Brand", "Price", "Stock"};
    struct csv_table table;
    (void)args;
    if (!has_header(text, NAMES, ',', " \t")) return false;
    if (!csv_read(text, keep_quotes(text), ',', 15, SIZE_MAX, &table) || table.n_rows != 15)
        return false;
    for (size_t row = 1; row < 15; row++) {
        if (!have_five(&table, row, row + 1)) return false;
        for (size_t i = table.row_ends[row - 1]; i < table.row_ends[row]; i++)
            if (has_special(table.fields.items[i])) return true;
    }
    return false;
}

static bool follows_quoted(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const NAMES[] = {"StudentID", "Subject", "Grade", "Semester", "Score"};
    struct csv_table table;
    (void)args;
    if (!has_header(text, NAMES, '\t', " ")) return false;
    if (!csv_read(text, keep_quotes(text), '\t', 4, 5, &table) || table.n_rows != 4) return false;
    if (!have_five(&table, 0, 4)) return false;
    for (size_t i = 0; i < table.fields.n; i++) {
        const struct slice s = slice_strip(table.fields.items[i], CHAR_SPACE);
        if (s.len == 0 || *s.ptr != '"' || s.ptr[s.len - 1] != '"') return false;
    }
    return true;
}

static const struct constraint ROWS[] = {
    {.id = "custom:csv_city", .follows = follows_city},
    {.id = "custom:csv_special_character", .follows = follows_special},
    {.id = "custom:csv_quotes", .follows = follows_quoted},
};

const struct constraint_table ifbench_csv_table = CONSTRAINT_TABLE(ROWS);

// `regex_format`: whether a PCRE2 pattern matches the completion.
//
// PCRE2's own match limit starts anew at every offset of the text, so it bounds nothing. Here the
// pattern is compiled with automatic callouts, and every callout charges the steps that led to it:
// one, the bytes moved since the one before, and what the item can scan without another callout (a
// counted repeat, a back reference, \X in a text of long clusters). One total for the whole check;
// beyond it the status is `limit`.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "verifiers/verifier.h"

enum {
    MAX_PATTERN_BYTES = 8 << 10,
    MAX_NESTING = 100,
    MAX_SUBJECT_BYTES = 1 << 20, // beyond it, `limit` without looking
    BASE_COST = 1 << 17,         // of a check, some 50 ns each
    COST_PER_BYTE = 2,           // more for a longer text
    BYTES_PER_COST = 8,          // a scan inside one item takes about 1 ns a byte
    MATCH_LIMIT = 10 * 1000 * 1000,
    HEAP_LIMIT_KIB = 16 << 10,
    MAX_FLAGS = 256, // regional indicators in a row, of which \X reads all for each of them
    FLAGS_PER_COST = 8,
};

struct regex {
    pcre2_code *code;
    bool full;
    bool clusters;        // holds \X
    uint64_t item_cost;   // of the longest scan within one item, apart from back references
    struct slice pattern; // owned
};

struct budget {
    const struct regex *regex;
    uint64_t cost;
    size_t last;     // position of the callout before
    uint64_t joined; // bytes of the longest run that may be one cluster; 0 without \X
    uint64_t flags;  // regional indicators of the longest run of these
};

static bool is_back_reference(struct slice item) {
    if (item.len < 2) return false;
    const char next = item.ptr[1];
    if (item.ptr[0] == '\\') return isdigit((unsigned char)next) || next == 'g' || next == 'k';
    return item.ptr[0] == '(' && next == '?' && item.len > 2 && item.ptr[2] == 'P';
}

static int callout(pcre2_callout_block *block, void *data) {
    struct budget *b = data;
    const size_t at = block->current_position;
    const struct slice pattern = b->regex->pattern;
    const uint64_t moved = at > b->last ? at - b->last : b->last - at;
    b->cost += b->regex->item_cost * (1 + b->joined / BYTES_PER_COST);
    b->cost += moved / BYTES_PER_COST * (1 + b->flags / FLAGS_PER_COST);
    b->last = at;
    if (block->pattern_position < pattern.len &&
        is_back_reference((struct slice){pattern.ptr + block->pattern_position,
                                         pattern.len - block->pattern_position}))
        b->cost += block->subject_length / BYTES_PER_COST / 8; // compared 8 bytes at a time
    return b->cost > BASE_COST + COST_PER_BYTE * block->subject_length ? PCRE2_ERROR_CALLOUT : 0;
}

// What a single item may scan before it fails: the largest lower bound of a counted repeat.
static uint64_t measure(struct slice pattern) {
    uint64_t largest = 0;
    for (size_t i = 0; i + 1 < pattern.len; i++) {
        if (pattern.ptr[i] != '{' || !isdigit((unsigned char)pattern.ptr[i + 1])) continue;
        uint64_t count = 0;
        for (size_t j = i + 1; j < pattern.len && isdigit((unsigned char)pattern.ptr[j]); j++)
            count = count < 100000 ? count * 10 + (uint64_t)(pattern.ptr[j] - '0') : count;
        if (count > largest) largest = count;
    }
    return 1 + largest / BYTES_PER_COST;
}

// Whether a character may go on the cluster of the one before it: marks, joiners, jamo, flags. Some
// that never do count too.
static bool may_join(uint32_t c) {
    const bool letter = c < 0x300 || (c >= 0x370 && c < 0x483) || (c >= 0x48A && c < 0x591) ||
                        (c >= 0x2E80 && c < 0x302A) || (c >= 0x3030 && c < 0x3099) ||
                        (c >= 0x309B && c < 0xA66F) || (c >= 0xAC00 && c < 0xD7A4);
    return !letter;
}

static bool has_cluster(struct slice pattern) {
    for (size_t i = 0; i + 1 < pattern.len; i++)
        if (pattern.ptr[i] == '\\' && pattern.ptr[i + 1] == 'X') return true;
    return false;
}

// The longest runs that \X reads over and over.
static void measure_runs(struct slice text, struct budget *budget) {
    uint64_t joined = 0, flags = 0;
    while (text.len) {
        uint32_t code = 0;
        const int size = utf8_next(text, &code);
        const size_t len = size > 0 ? (size_t)size : 1;
        joined = size > 0 && may_join(code) ? joined + len : 0;
        flags = code >= 0x1F1E6 && code <= 0x1F1FF ? flags + 1 : 0;
        if (joined > budget->joined) budget->joined = joined;
        if (flags > budget->flags) budget->flags = flags;
        text = (struct slice){text.ptr + len, text.len - len};
    }
}

static pcre2_code *compile(struct slice pattern, struct error *err) {
    int code;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        error_set(err, ERROR_MEMORY, "PCRE2 had no memory for a pattern.");
        return NULL;
    }
    pcre2_set_parens_nest_limit(context, MAX_NESTING);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
                                         PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
                                             PCRE2_AUTO_CALLOUT | PCRE2_NEVER_BACKSLASH_C,
                                         &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!compiled) {
        char text[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        error_set(err, ERROR_INPUT, "\"pattern\" is no PCRE2 pattern: %s at offset %zu.", text,
                  (size_t)offset);
    }
    return compiled;
}

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    struct slice pattern, where = slice_of("search");
    if (verifier_string(term, "pattern", arena, &pattern, err)) return NULL;
    if (json_get(term, "where") && verifier_string(term, "where", arena, &where, err)) return NULL;
    if (!slice_is(where, "search") && !slice_is(where, "full")) {
        error_set(err, ERROR_INPUT, "\"where\" is \"%.*s\"; \"search\" or \"full\" was expected.",
                  SLICE_ARG(where));
        return NULL;
    }
    if (pattern.len == 0 || pattern.len > MAX_PATTERN_BYTES) {
        error_set(err, ERROR_INPUT, "\"pattern\" has %zu bytes; 1 to %d were expected.",
                  pattern.len, MAX_PATTERN_BYTES);
        return NULL;
    }
    pcre2_code *code = compile(pattern, err);
    if (!code) return NULL;
    struct regex *regex = memory_new(1, sizeof *regex);
    regex->code = code;
    regex->full = slice_is(where, "full");
    regex->item_cost = measure(pattern);
    regex->clusters = has_cluster(pattern);
    regex->pattern = (struct slice){memory_copy(pattern.ptr, pattern.len), pattern.len};
    return regex;
}

static void set_limit(struct verifier_outcome *out, const char *what) {
    out->status = REWARD_LIMIT;
    snprintf(out->detail, sizeof out->detail, "The pattern used up its budget of %s.", what);
}

// In a text that is no UTF-8 an anchored match may start behind the bytes that are none.
static bool is_whole(pcre2_match_data *data, struct slice text) {
    return pcre2_get_startchar(data) == 0 && pcre2_get_ovector_pointer(data)[1] == text.len;
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct regex *regex = state;
    const struct slice text = sample->completion;
    struct budget budget = {.regex = regex};
    if (text.len > MAX_SUBJECT_BYTES) {
        set_limit(out, "bytes");
        return;
    }
    if (regex->clusters) measure_runs(text, &budget);
    if (budget.flags > MAX_FLAGS) {
        set_limit(out, "steps");
        return;
    }
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (context && data) {
        pcre2_set_match_limit(context, MATCH_LIMIT);
        pcre2_set_depth_limit(context, MATCH_LIMIT);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        pcre2_set_callout(context, callout, &budget);
        const uint32_t options = regex->full ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0;
        const int rc = pcre2_match(regex->code, (PCRE2_SPTR)(text.len ? text.ptr : ""), text.len, 0,
                                   options, data, context);
        if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
            out->value = rc >= 0 && (!regex->full || is_whole(data, text));
        else
            set_limit(out, rc == PCRE2_ERROR_HEAPLIMIT ? "memory" : "steps");
    } else {
        set_limit(out, "memory");
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
}

static void free_regex(void *state) {
    struct regex *regex = state;
    pcre2_code_free(regex->code);
    free((char *)regex->pattern.ptr);
    free(regex);
}

static const char *const KEYS[] = {"pattern", "where", NULL};

const struct verifier regex_format_verifier = {
    .name = "regex_format", .keys = KEYS, .parse = parse, .grade = grade, .free = free_regex};

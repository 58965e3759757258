// What Python's str does, on valid UTF-8. Places and lengths are counted in code points where
// Python counts them; byte offsets are called offsets.
//
// Which characters are upper case or printable depends on the version of Unicode, and Python's is
// another one than ours: where two versions may differ, these functions say that they do not know.
#ifndef WORKER_LOAD_JINJA_PYSTR_H
#define WORKER_LOAD_JINJA_PYSTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

enum { PYSTR_NONE = -1 };

size_t pystr_length(struct slice s);
size_t pystr_offset(struct slice s, size_t place); // s.len when it has fewer code points

// Takes the first or the last code point off; false when `s` is empty.
bool pystr_next(struct slice *s, uint32_t *code);
bool pystr_last(struct slice *s, uint32_t *code);

bool pystr_is_space(uint32_t code); // str.isspace, and \s of `re`
bool pystr_is_ascii(struct slice s);

enum pystr_side { PYSTR_LEFT = 1, PYSTR_RIGHT = 2 };
// strip (both sides), lstrip, rstrip: of the code points in `chars`, or of white space for NULL.
struct slice pystr_strip(struct slice s, int sides, const struct slice *chars);

// The offset of the first `needle` at or behind `from`, of the last one that ends at or before
// `to`; PYSTR_NONE when there is none. An empty needle is everywhere.
ptrdiff_t pystr_find(struct slice s, struct slice needle, size_t from);
ptrdiff_t pystr_find_last(struct slice s, struct slice needle, size_t to);
bool pystr_starts(struct slice s, struct slice prefix);
bool pystr_ends(struct slice s, struct slice suffix);

// Takes the first line off `s`, as splitlines does; `end` is what ended it, empty at the end of
// the text. False when `s` is empty.
bool pystr_next_line(struct slice *s, struct slice *line, struct slice *end);

enum pystr_case { PYSTR_LOWER, PYSTR_UPPER };
// Appends `s` in another case. -1 when a character's case is not known.
int pystr_add_case(struct buffer *out, struct slice s, enum pystr_case to);
// str.title: of each run of letters the first one is upper case.
int pystr_add_title(struct buffer *out, struct slice s);

// Appends repr(s): quotes and escapes. -1 when it is not known whether a character is printable.
int pystr_add_repr(struct buffer *out, struct slice s);
// As a JSON string with everything but printable ASCII escaped (ensure_ascii=True).
void pystr_add_ascii_json(struct buffer *out, struct slice s);

#endif

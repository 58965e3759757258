// Emoji by Unicode's emoji-test data.
#include "verifiers/constraints/emoji.h"

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/tables.h"

enum { JOINER = 0x200D, EMOJI_STYLE = 0xFE0F, KEYCAP = 0x20E3 };

bool emoji_is(uint32_t code) {
    int low = 0, high = emoji_n_ranges;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (code > emoji_ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < emoji_n_ranges && code >= emoji_ranges[low].first;
}

static bool is_flag_letter(uint32_t code) {
    return code >= 0x1F1E6 && code <= 0x1F1FF;
}

// Characters that change the emoji in front of them: styles, skin tones, tags.
static bool is_modifier(uint32_t code) {
    return code == EMOJI_STYLE || (code >= 0x1F3FB && code <= 0x1F3FF) ||
           (code >= 0xE0020 && code <= 0xE007F);
}

// One emoji without joined ones; its bytes are taken off `s`.
static bool take_one(struct slice *s) {
    uint32_t code, next;
    struct slice rest = *s;
    if (!chars_next(&rest, &code)) return false;
    struct slice behind = rest;
    const bool keycap_base = (code >= '0' && code <= '9') || code == '#' || code == '*';
    if (is_flag_letter(code)) {
        if (!chars_next(&rest, &next) || !is_flag_letter(next)) return false;
    } else if (keycap_base) {
        if (chars_next(&rest, &next) && next == EMOJI_STYLE) chars_next(&rest, &next);
        if (rest.len == behind.len || next != KEYCAP) return false;
    } else if (emoji_is(code)) {
        while (chars_next(&behind, &next) && is_modifier(next)) rest = behind;
    } else {
        return false;
    }
    *s = rest;
    return true;
}

size_t emoji_prefix(struct slice s) {
    struct slice rest = s;
    uint32_t code;
    if (!take_one(&rest)) return 0;
    for (struct slice joined = rest; chars_next(&joined, &code) && code == JOINER; joined = rest) {
        if (!take_one(&joined)) break;
        rest = joined;
    }
    return s.len - rest.len;
}

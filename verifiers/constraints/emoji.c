// Emoji by Unicode's emoji-test data.
#include "verifiers/constraints/emoji.h"

#include "verifiers/constraints/tables.h"

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

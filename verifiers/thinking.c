// The end of thoughts, for verifiers that look at the answer alone.
#include "verifiers/verifier.h"

struct slice verifier_behind_thinking(struct slice s) {
    static const char OPEN[] = "<think>", CLOSE[] = "</think>";
    for (const char *at; s.len && (at = memmem(s.ptr, s.len, CLOSE, sizeof CLOSE - 1));) {
        const size_t cut = (size_t)(at - s.ptr) + sizeof CLOSE - 1;
        s = (struct slice){s.ptr + cut, s.len - cut};
    }
    const bool is_open = s.len && memmem(s.ptr, s.len, OPEN, sizeof OPEN - 1);
    return is_open ? (struct slice){s.ptr, 0} : s;
}

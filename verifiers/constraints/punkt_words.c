#include "verifiers/constraints/punkt_words.h"

#include <pthread.h>
#include <string.h>

#include "protocol/base/hash.h"
#include "protocol/base/slice.h"
#include "verifiers/constraints/tables.h"

struct punkt_words punkt_abbreviations_set, punkt_starters_set, punkt_collocations_set;
uint64_t punkt_first_lens[256];
bool punkt_behind_number[256];
static pthread_once_t sets_made = PTHREAD_ONCE_INIT;

static size_t slot_of(const char *word, size_t len) {
    return (size_t)hash_bytes(word, len) % PUNKT_WORDS_SLOTS;
}

static void fill(struct punkt_words *set, const char *const *words, int n) {
    for (int i = 0; i < n; i++) {
        size_t at = slot_of(words[i], strlen(words[i]));
        while (set->slots[at]) at = (at + 1) % PUNKT_WORDS_SLOTS;
        set->slots[at] = words[i];
        set->lens[(unsigned char)*words[i]] |= (uint64_t)1 << strlen(words[i]) % 64;
    }
}

static void make_sets(void) {
    fill(&punkt_abbreviations_set, punkt_abbreviations, punkt_n_abbreviations);
    fill(&punkt_starters_set, punkt_starters, punkt_n_starters);
    fill(&punkt_collocations_set, punkt_collocations, punkt_n_collocations);
    for (int i = 0; i < punkt_n_collocations; i++) {
        const char *first = punkt_collocations[i];
        const size_t len = strcspn(first, "\t");
        punkt_first_lens[(unsigned char)*first] |= (uint64_t)1 << len % 64;
        if (slice_is((struct slice){first, len}, PUNKT_NUMBER))
            punkt_behind_number[(unsigned char)first[len + 1]] = true;
    }
}

bool punkt_words_have(const struct punkt_words *set, const char *word, size_t len) {
    if (len == 0 || !(set->lens[(unsigned char)*word] >> len % 64 & 1)) return false;
    for (size_t at = slot_of(word, len); set->slots[at]; at = (at + 1) % PUNKT_WORDS_SLOTS)
        if (strncmp(set->slots[at], word, len) == 0 && set->slots[at][len] == 0) return true;
    return false;
}

void punkt_words_make(void) {
    pthread_once(&sets_made, make_sets);
}

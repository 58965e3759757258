#include "verifiers/constraints/tally.h"

#include "protocol/base/hash.h"

struct tally tally_open(struct constraint_text *text, size_t max) {
    struct tally tally = {.mask = 15};
    while (tally.mask + 1 < 2 * max) tally.mask = 2 * tally.mask + 1;
    tally.slots = arena_take(text->arena, tally.mask + 1, sizeof *tally.slots);
    return tally;
}

// The slot that has the item, or is free for it.
static struct tally_slot *slot_of(struct constraint_text *text, const struct tally *tally,
                                  struct slice item, uint32_t *hash) {
    const uint64_t h = hash_bytes(item.ptr, item.len);
    *hash = (uint32_t)(h >> 32);
    for (size_t at = (size_t)h & tally->mask;; at = (at + 1) & tally->mask) {
        struct tally_slot *slot = &tally->slots[at];
        if (!slot->times || (slot->hash == *hash && slice_equal(slot->item, item))) return slot;
        if (!text_spend(text, 1)) return slot; // nothing counts any more
    }
}

size_t tally_place(struct constraint_text *text, struct tally *tally, struct slice item) {
    uint32_t hash;
    struct tally_slot *slot = slot_of(text, tally, item, &hash);
    if (!slot->times) {
        slot->item = item;
        slot->hash = hash;
        tally->n++;
    }
    slot->times++;
    return (size_t)(slot - tally->slots);
}

static void grow(struct constraint_text *text, struct tally *tally) {
    const struct tally old = *tally;
    tally->mask = 2 * old.mask + 1;
    tally->slots = arena_take(text->arena, tally->mask + 1, sizeof *tally->slots);
    for (size_t i = 0; i <= old.mask; i++) {
        uint32_t hash;
        if (old.slots[i].times) *slot_of(text, tally, old.slots[i].item, &hash) = old.slots[i];
    }
}

int64_t tally_add(struct constraint_text *text, struct tally *tally, struct slice item) {
    if (2 * tally->n > tally->mask + 1) grow(text, tally);
    return tally->slots[tally_place(text, tally, item)].times;
}

int64_t tally_count(struct constraint_text *text, const struct tally *tally, struct slice item) {
    uint32_t hash;
    return slot_of(text, tally, item, &hash)->times;
}

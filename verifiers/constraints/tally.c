#include "verifiers/constraints/tally.h"

#include "protocol/base/hash.h"

// Where an item is found: a slot is looked at for each, and nearly always one alone, so that they
// are small.
struct tally_slot {
    uint32_t hash, number; // of the item, from 1 on; 0: free
};

static void make_room(struct constraint_text *text, struct tally *tally) {
    const size_t n_slots = tally->mask + 1;
    struct tally_item *items = arena_take_unset(text->arena, n_slots / 2, sizeof *items);
    if (tally->n) memcpy(items, tally->items, tally->n * sizeof *items);
    tally->items = items;
    tally->slots = arena_take(text->arena, n_slots, sizeof *tally->slots);
}

struct tally tally_open(struct constraint_text *text, size_t max) {
    struct tally tally = {.mask = 15};
    while (tally.mask + 1 < 2 * max) tally.mask = 2 * tally.mask + 1;
    make_room(text, &tally);
    return tally;
}

// The slot that has the item, or is free for it.
static struct tally_slot *slot_of(struct constraint_text *text, const struct tally *tally,
                                  struct slice item, uint32_t hash) {
    for (size_t at = hash & tally->mask;; at = (at + 1) & tally->mask) {
        struct tally_slot *slot = &tally->slots[at];
        if (!slot->number) return slot;
        if (slot->hash == hash && slice_equal(tally->items[slot->number - 1].item, item))
            return slot;
        if (!text_spend(text, 1)) return slot; // nothing counts any more
    }
}

static uint32_t hash_of(struct slice item) {
    return (uint32_t)hash_bytes(item.ptr, item.len);
}

static size_t place_hashed(struct constraint_text *text, struct tally *tally, struct slice item,
                           uint32_t hash) {
    struct tally_slot *slot = slot_of(text, tally, item, hash);
    if (!slot->number) {
        *slot = (struct tally_slot){hash, (uint32_t)++tally->n};
        tally->items[tally->n - 1] = (struct tally_item){.item = item};
    }
    tally->items[slot->number - 1].times++;
    return slot->number - 1;
}

size_t tally_place(struct constraint_text *text, struct tally *tally, struct slice item) {
    return place_hashed(text, tally, item, hash_of(item));
}

size_t tally_first_repeat(struct constraint_text *text, struct tally *tally,
                          const struct slice *items, size_t n, size_t *before) {
    enum { BATCH = 32 };
    uint32_t hashes[BATCH];
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; i % BATCH == 0 && k < BATCH && i + k < n; k++) {
            hashes[k] = hash_of(items[i + k]);
            __builtin_prefetch(&tally->slots[hashes[k] & tally->mask]);
        }
        *before = place_hashed(text, tally, items[i], hashes[i % BATCH]);
        if (tally->items[*before].times > 1) return i;
    }
    return n;
}

static void grow(struct constraint_text *text, struct tally *tally) {
    const struct tally old = *tally;
    tally->mask = 2 * old.mask + 1;
    make_room(text, tally);
    for (size_t i = 0; i <= old.mask; i++) {
        size_t at = old.slots[i].hash & tally->mask;
        if (!old.slots[i].number) continue;
        while (tally->slots[at].number) at = (at + 1) & tally->mask;
        tally->slots[at] = old.slots[i];
    }
}

const struct tally_item *tally_add(struct constraint_text *text, struct tally *tally,
                                   struct slice item) {
    if (2 * tally->n > tally->mask) grow(text, tally);
    return &tally->items[tally_place(text, tally, item)];
}

size_t tally_find(struct constraint_text *text, const struct tally *tally, struct slice item) {
    const struct tally_slot *slot = slot_of(text, tally, item, hash_of(item));
    return slot->number ? slot->number - 1 : tally->n;
}

int64_t tally_count(struct constraint_text *text, const struct tally *tally, struct slice item) {
    const size_t place = tally_find(text, tally, item);
    return place < tally->n ? tally->items[place].times : 0;
}

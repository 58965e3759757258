#include "worker/engine/history.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/math.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

enum { WAYS = 5, MAX_COUNT = 255, CLOCK_BITS = 24, ODDS_BITS = 6, ODDS = 1 << ODDS_BITS };

static const int lengths[HISTORY_LENGTHS] = {16, 8, 4, 2};

// Facts whose contexts hash to one bucket. A fact is free where its count is 0.
struct bucket {
    uint32_t tags[WAYS]; // of the context
    int32_t ids[WAYS];   // what followed
    uint32_t uses[WAYS]; // when last, on the clock, << 8 | how often
    uint32_t odds;       // ODDS_BITS each: how likely it was; 0: nobody knows
};
static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

// The end of a text. A hash is the polynomial of its last tokens, so that one goes in and one out.
struct context {
    uint64_t key;
    uint64_t hashes[HISTORY_LENGTHS];
    uint64_t places[HISTORY_LENGTHS]; // of the facts: the high half chooses the bucket, the low
                                      // half is the tag
    uint32_t last[HISTORY_LONGEST]; // id + 1, 0: none; a ring, the next goes to n modulo its length
    uint32_t n;
    bool is_repeated; // its last token was known behind the longest context
};

// A token that is not in the table yet, with the places of its facts.
struct pending {
    uint64_t places[HISTORY_LENGTHS];
    int32_t id;
    uint32_t odds;
    bool *is_repeated; // of its text
};

struct prompt {
    uint64_t key;
    const int32_t *ids; // (n)
    int n;
};

struct history {
    struct bucket *buckets; // (n_buckets)
    void *memory;           // of them, with room for their alignment
    uint64_t n_buckets;
    uint32_t clock;           // of settles
    struct context *contexts; // (n_texts)
    struct pending *pending;  // (max_pending) the first n_pending
    struct prompt *prompts;   // (n_texts) the first n_prompts
    int n_texts, n_pending, max_pending, n_prompts;
    bool prompt_is_repeated;
    float chances[ODDS], lps[ODDS]; // what odds stand for
};

enum { LINE = 64 };
// A hash of n tokens is the sum of (id + 1) * BASE^k, k from 0 at the last; BASE to the powers of
// `lengths`.
#define BASE  0x9e3779b97f4a7c15u
#define BASE2 (BASE * BASE)
#define BASE4 (BASE2 * BASE2)
#define BASE8 (BASE4 * BASE4)
static const uint64_t powers[HISTORY_LENGTHS] = {BASE8 * BASE8, BASE8, BASE4, BASE2};

// Facts are looked up all over the table: with large pages that misses fewer translations, and
// takes its memory in a few faults. Where there are none it is slower and nothing else.
static void want_large_pages(void *memory, size_t bytes) {
    enum { PAGE = 4096 };
    uintptr_t first = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE;
    uintptr_t end = ((uintptr_t)memory + bytes) / PAGE * PAGE;
    if (first < end) madvise((void *)first, end - first, MADV_HUGEPAGE);
}

// Odds in quarters of their logarithm: fine where a token is nearly sure, or hardly ever comes.
static const float odds_step = 0.25f;

static uint32_t odds_of(float lp) {
    float p = lp < 0 ? math_exp(lp) : 1, rest = 1 - p;
    if (!(p > 1e-6f)) return 1;
    if (rest < 1e-6f) return ODDS - 1;
    float at = math_log(p / rest) / odds_step + ODDS / 2 + 0.5f;
    return at < 1 ? 1 : at > ODDS - 1 ? ODDS - 1 : (uint32_t)at;
}

static void fill_odds(struct history *h) {
    for (int i = 0; i < ODDS; i++) {
        h->chances[i] = math_sigmoid((float)(i - ODDS / 2) * odds_step);
        h->lps[i] = math_log(h->chances[i]);
    }
}

struct history *history_open(size_t bytes, int n_texts, int max_tokens) {
    struct history *h = memory_new(1, sizeof *h);
    h->n_buckets = bytes < LINE ? 1 : bytes / LINE;
    h->memory = memory_new((size_t)h->n_buckets + 1, sizeof *h->buckets);
    want_large_pages(h->memory, ((size_t)h->n_buckets + 1) * LINE);
    h->buckets = (void *)(((uintptr_t)h->memory + LINE - 1) / LINE * LINE);
    h->n_texts = n_texts;
    h->max_pending = max_tokens;
    h->contexts = memory_new((size_t)n_texts, sizeof *h->contexts);
    h->prompts = memory_new((size_t)n_texts, sizeof *h->prompts);
    h->pending = memory_new((size_t)max_tokens, sizeof *h->pending);
    fill_odds(h);
    return h;
}

void history_free(struct history **history) {
    struct history *h = *history;
    if (!h) return;
    free(h->memory);
    free(h->contexts);
    free(h->prompts);
    free(h->pending);
    free(h);
    *history = NULL;
}

uint64_t history_key(const int32_t *prompt_ids, int n_prompt) {
    return hash_bytes(prompt_ids, (size_t)n_prompt * sizeof *prompt_ids);
}

static uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static void push(struct context *c, int32_t id) {
    uint32_t in = (uint32_t)id + 1;
    for (int i = 0; i < HISTORY_LENGTHS; i++) {
        uint32_t out = c->last[(c->n - (uint32_t)lengths[i]) % HISTORY_LONGEST];
        c->hashes[i] = c->hashes[i] * BASE + in - out * powers[i];
        c->places[i] = mixed((c->hashes[i] ^ c->key) + (uint64_t)i * BASE);
    }
    c->last[c->n++ % HISTORY_LONGEST] = in;
}

static struct bucket *bucket_at(const struct history *h, uint64_t where) {
    return &h->buckets[(where >> 32) * h->n_buckets >> 32];
}

static uint32_t count(const struct bucket *b, int way) {
    return b->uses[way] & MAX_COUNT;
}

// How long ago the fact was used; the clock runs around.
static uint32_t age(const struct history *h, const struct bucket *b, int way) {
    return (h->clock - (b->uses[way] >> 8)) & ((1u << CLOCK_BITS) - 1);
}

static int oldest(const struct history *h, const struct bucket *b) {
    int way = 0;
    for (int i = 0; i < WAYS; i++) {
        if (count(b, i) == 0) return i;
        if (age(h, b, i) > age(h, b, way)) way = i;
    }
    return way;
}

// Where one continuation has been counted to the end, all of the context count half.
static void halve(struct bucket *b, uint32_t tag) {
    for (int i = 0; i < WAYS; i++)
        if (b->tags[i] == tag && count(b, i) > 1) b->uses[i] -= count(b, i) / 2;
}

static uint32_t odds_at(const struct bucket *b, int way) {
    return b->odds >> (way * ODDS_BITS) & (ODDS - 1);
}

// Counts a fact. Returns whether it was known.
static bool file(struct history *h, uint64_t where, int32_t id, uint32_t odds) {
    struct bucket *b = bucket_at(h, where);
    uint32_t tag = (uint32_t)where, now = h->clock << 8, n = 1;
    int way = 0;
    while (way < WAYS && !(b->tags[way] == tag && b->ids[way] == id && count(b, way) > 0)) way++;
    bool is_known = way < WAYS;
    if (!is_known)
        way = oldest(h, b);
    else if (n = count(b, way) + 1, n > MAX_COUNT)
        halve(b, tag), n = count(b, way) + 1;
    b->tags[way] = tag;
    b->ids[way] = id;
    b->uses[way] = now | n;
    b->odds ^= (odds_at(b, way) ^ odds) << (way * ODDS_BITS);
    return is_known;
}

// A prompt's last tokens are what its texts begin behind.
static void begin_context(struct context *c, uint64_t key, const int32_t *ids, int n) {
    *c = (struct context){.key = key};
    for (int i = n < HISTORY_LONGEST ? 0 : n - HISTORY_LONGEST; i < n; i++) push(c, ids[i]);
}

void history_begin(struct history *h, int text, uint64_t key, const int32_t *prompt_ids,
                   int n_prompt, int is_new) {
    assert(text >= 0 && text < h->n_texts);
    begin_context(&h->contexts[text], key, prompt_ids, n_prompt);
    if (is_new && h->n_prompts < h->n_texts)
        h->prompts[h->n_prompts++] = (struct prompt){key, prompt_ids, n_prompt};
}

void history_add(struct history *h, int text, int32_t id, float lp) {
    struct context *c = &h->contexts[text];
    assert(h->n_pending < h->max_pending);
    struct pending *p = &h->pending[h->n_pending++];
    p->id = id;
    p->odds = odds_of(lp);
    p->is_repeated = &c->is_repeated;
    memcpy(p->places, c->places, sizeof p->places);
    push(c, id);
}

void history_skip(struct history *h, int text, int32_t id) {
    push(&h->contexts[text], id);
}

// Tokens whose buckets are on their way from memory while others are filed.
enum { AHEAD = 16, FEW_PENDING = 64 };
struct queue {
    struct pending items[AHEAD];
    unsigned n;
};

// While the longest contexts are known they are counted alone. Of many tokens at a time a longer
// context is filed once a shorter one has been seen with the same continuation: so new text and
// repeated text both touch few buckets. *is_repeated: whether the text's last token was known
// behind the longest context, then whether this one was.
static void file_token(struct history *h, const struct pending *p) {
    if (*p->is_repeated && file(h, p->places[0], p->id, p->odds)) return;
    int k = HISTORY_LENGTHS - 1;
    bool is_known = true;
    file(h, p->places[k--], p->id, p->odds);
    for (; k >= 0 && (is_known || h->n_pending <= FEW_PENDING); k--)
        is_known = file(h, p->places[k], p->id, p->odds);
    *p->is_repeated = is_known && k < 0;
}

static void file_later(struct history *h, struct queue *q, const struct pending *token) {
    struct pending *p = &q->items[q->n % AHEAD];
    if (q->n++ >= AHEAD) file_token(h, p);
    *p = *token;
    // Of those that it is likely to touch. (In a function of their own gcc 12 drops prefetches.)
    if (*p->is_repeated) __builtin_prefetch(bucket_at(h, p->places[0]));
    for (int k = HISTORY_LENGTHS - 2; !*p->is_repeated && k < HISTORY_LENGTHS; k++)
        __builtin_prefetch(bucket_at(h, p->places[k]));
}

static void file_prompt(struct history *h, struct queue *q, const struct prompt *p) {
    struct context c = {.key = p->key};
    h->prompt_is_repeated = false;
    for (int i = 0; i < p->n; i++) {
        struct pending token = {.id = p->ids[i], .is_repeated = &h->prompt_is_repeated};
        memcpy(token.places, c.places, sizeof token.places);
        if (i > 0) file_later(h, q, &token);
        push(&c, p->ids[i]);
    }
}

void history_settle(struct history *h) {
    struct queue q = {.n = 0};
    h->clock = (h->clock + 1) & ((1u << CLOCK_BITS) - 1);
    for (int i = 0; i < h->n_prompts; i++) file_prompt(h, &q, &h->prompts[i]);
    for (int i = 0; i < h->n_pending; i++) file_later(h, &q, &h->pending[i]);
    for (unsigned i = q.n < AHEAD ? 0 : q.n - AHEAD; i < q.n; i++)
        file_token(h, &q.items[i % AHEAD]);
    h->n_prompts = h->n_pending = 0;
}

// Which share of what followed was the best continuation: seen once, or how many hundredths.
static uint8_t share_of(uint32_t best, uint32_t all) {
    static const uint32_t limits[HISTORY_SHARES - 2] = {50, 75, 90, 97};
    uint8_t share = 1;
    if (all == 1) return 0;
    while (share < HISTORY_SHARES - 1 && best * 100 >= all * limits[share - 1]) share++;
    return share;
}

static bool find(const struct history *h, uint64_t where, int32_t *id, uint8_t *share) {
    const struct bucket *b = bucket_at(h, where);
    uint32_t all = 0;
    int best = -1;
    for (int i = 0; i < WAYS; i++) {
        if (b->tags[i] != (uint32_t)where || count(b, i) == 0) continue;
        all += count(b, i);
        bool more = best < 0 || count(b, i) > count(b, best);
        if (more || (count(b, i) == count(b, best) && age(h, b, i) < age(h, b, best))) best = i;
    }
    if (best < 0) return false;
    *id = b->ids[best];
    *share = share_of(count(b, best), all);
    return true;
}

// The draws that come may be of any of the continuations, and of what never came here: which one
// wins is what the noise says of those that are known, and how much is left to others.
struct rivals {
    int32_t id;       // the best
    float best, next; // log-probabilities with their noise
    float left;       // the chance of what never came
};

static struct rivals rivals_at(const struct history *h, uint64_t where,
                               const struct history_noise *noise, uint32_t position) {
    const struct bucket *b = bucket_at(h, where);
    struct rivals r = {.id = -1, .best = -1e9f, .next = -1e9f, .left = 1};
    uint32_t all = 1;
    for (int i = 0; i < WAYS; i++)
        if (b->tags[i] == (uint32_t)where) all += count(b, i);
    for (int i = 0; i < WAYS; i++) {
        if (b->tags[i] != (uint32_t)where || count(b, i) == 0) continue;
        uint32_t odds = odds_at(b, i);
        float p = odds ? h->chances[odds] : (float)count(b, i) / (float)all;
        float x = odds ? h->lps[odds] : math_log(p);
        x += math_gumbel_of(noise->seed, (uint32_t)b->ids[i], position, noise->sample);
        r.left -= p;
        r.next = x > r.best ? r.best : x > r.next ? x : r.next;
        if (x > r.best) r.best = x, r.id = b->ids[i];
    }
    return r;
}

// The chance that the best one of those that are known wins: they are known to a quarter or so,
// the largest of all others is distributed as their sum's would be.
static float chance_of(const struct rivals *r) {
    static const float least_left = 1e-3f, sharpness = 6;
    float left = r->left > least_left ? r->left : least_left;
    float lead = r->best - r->next, x = lead < 10 ? sharpness * lead : 60;
    return math_sigmoid(x) * math_exp(-left * math_exp(r->best < -20 ? 20 : -r->best));
}

static bool find_drawn(const struct history *h, uint64_t where, const struct history_noise *noise,
                       uint32_t position, int32_t *id, uint8_t *share) {
    static const float limits[HISTORY_SHARES - 1] = {0.4f, 0.7f, 0.9f, 0.97f, 0.99f};
    struct rivals r = rivals_at(h, where, noise, position);
    if (r.id < 0) return false;
    float chance = chance_of(&r);
    *id = r.id;
    *share = 0;
    while (*share < HISTORY_SHARES - 1 && chance >= limits[*share]) ++*share;
    return true;
}

void history_expect(const struct history *h, int text) {
    const struct context *c = &h->contexts[text];
    for (int k = 0; k < HISTORY_LENGTHS; k++) __builtin_prefetch(bucket_at(h, c->places[k]));
}

static bool find_next(const struct history *h, uint64_t where, const struct history_noise *noise,
                      int i, int32_t *id, uint8_t *share) {
    if (!noise) return find(h, where, id, share);
    return find_drawn(h, where, noise, noise->position + (uint32_t)i, id, share);
}

int history_guess(const struct history *h, int text, int n, const struct history_noise *noise,
                  const float *chances, float least, int32_t *ids, uint8_t *kinds) {
    struct context c = h->contexts[text];
    float run = 1;
    history_expect(h, text);
    for (int i = 0; i < n; i++) {
        uint8_t share = 0;
        int level = 0;
        while (level < HISTORY_LENGTHS && !find_next(h, c.places[level], noise, i, &ids[i], &share))
            level++;
        if (level == HISTORY_LENGTHS) return i;
        kinds[i] = (uint8_t)(level * HISTORY_SHARES + share);
        run *= chances[kinds[i]];
        if (run < least) return i;
        push(&c, ids[i]);
    }
    return n;
}

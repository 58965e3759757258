// What the policy of drafts loses: recorded texts once more, with costs that are told and no model.
//
//     build/tests/tools/draft_replay TEXTS ROWS A R J S     (microseconds)
//
// TEXTS is of bench_drafts.py --texts FILE: a sample a line, "epoch group seed sample n_prompt
// n_tokens ids... log-probabilities...". Groups run one after another, ROWS samples at a time. A
// step of r rows and t tokens costs A + R r + S (t - r), and J more where anything is guessed.
// Printed are the tokens a microsecond over those without guesses, by epoch: of the policy, of
// guesses of each fixed length, and of an oracle, which takes the same guesses up to the first that
// is wrong.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"
#include "worker/engine/draft_policy.h"
#include "worker/engine/history.h"

enum { MAX_ROWS = 64, LENGTH = 16, EPOCHS = 3, MAX_SAMPLES = 1 << 16 };
enum mode { OFF, POLICY, ORACLE, FIXED };

struct sample {
    int epoch, group, n_prompt, n;
    struct history_noise noise; // of its first token
    int32_t *ids;               // (n_prompt + n)
    float *lps;                 // (n) of the output
};

struct row {
    const struct sample *sample;    // NULL: none runs here
    int done, n_guesses, n_offered; // those, and of them what is fed: n_guesses
    int32_t ids[LENGTH];
    uint8_t kinds[LENGTH];
    float chances[LENGTH];
};

struct replay {
    double plain, row, jump, token; // costs
    enum mode mode;
    int length; // of fixed guesses
    struct history *history;
    struct draft_policy policy;
    struct row rows[MAX_ROWS];
    int n_rows;
    bool no_noise; // guesses are made as if draws had none
    double us[EPOCHS];
};

static struct sample samples[MAX_SAMPLES];
static int n_samples;

static void read_texts(const char *path) {
    FILE *f = fopen(path, "r");
    struct sample s;
    bool is_whole = f != NULL;
    while (is_whole && n_samples < MAX_SAMPLES &&
           fscanf(f, "%d %d %" SCNu64 " %" SCNu32 " %d %d", &s.epoch, &s.group, &s.noise.seed,
                  &s.noise.sample, &s.n_prompt, &s.n) == 6) {
        is_whole = s.epoch >= 0 && s.epoch < EPOCHS && s.n_prompt > 0 && s.n > 0;
        if (!is_whole) break;
        s.ids = memory_new((size_t)(s.n_prompt + s.n), sizeof *s.ids);
        for (int i = 0; is_whole && i < s.n_prompt + s.n; i++)
            is_whole = fscanf(f, "%d", &s.ids[i]) == 1;
        s.lps = memory_new((size_t)s.n, sizeof *s.lps);
        for (int i = 0; is_whole && i < s.n; i++) is_whole = fscanf(f, "%f", &s.lps[i]) == 1;
        s.noise.position = (uint32_t)s.n_prompt;
        samples[n_samples++] = s;
    }
    if (is_whole && n_samples > 0) {
        fclose(f);
        return;
    }
    fprintf(stderr, "draft_replay: %s does not hold texts of bench_drafts.py --texts.\n", path);
    exit(1);
}

static uint64_t key_of(const struct sample *s) {
    return history_key(s->ids, s->n_prompt);
}

static void begin(struct replay *r, int slot, const struct sample *s) {
    bool is_first = s == samples || s[-1].group != s->group || s[-1].epoch != s->epoch;
    r->rows[slot] = (struct row){.sample = s};
    history_begin(r->history, slot, key_of(s), s->ids, s->n_prompt, is_first);
    draft_policy_begin_row(&r->policy, slot, key_of(s));
}

// Guesses stop before the token that ends the sample, as in draft.c. (Of one that ended by its
// length that is its last one: a few guesses less.)
static void guess(struct replay *r, int slot, bool looks) {
    struct row *w = &r->rows[slot];
    const struct sample *s = w->sample;
    const int32_t *next = s->ids + s->n_prompt + w->done, end = s->ids[s->n_prompt + s->n - 1];
    float least = r->mode == POLICY ? draft_policy_least(&r->policy) : 0;
    int n = 0, want = r->mode == OFF || !looks ? 0 : r->mode == FIXED ? r->length : LENGTH;
    struct history_noise noise = s->noise;
    noise.position += (uint32_t)w->done;
    want = history_guess(r->history, slot, want, r->no_noise ? NULL : &noise, r->policy.chances,
                         least, w->ids, w->kinds);
    while (n < want && w->ids[n] != end) n++;
    if (r->mode == POLICY) n = draft_policy_offer(&r->policy, slot, n, w->kinds, w->chances);
    if (r->mode == ORACLE)
        for (int k = 0; k < n; k++)
            if (w->ids[k] != next[k]) n = k;
    w->n_guesses = w->n_offered = n;
}

static void learn(struct replay *r, int slot) {
    struct row *w = &r->rows[slot];
    const struct sample *s = w->sample;
    const int32_t *next = s->ids + s->n_prompt + w->done;
    int n = 0, left = s->n - w->done;
    while (n < w->n_guesses && n + 1 < left && w->ids[n] == next[n]) n++;
    bool ends = n + 1 == left;
    for (int k = 0; k < n + (n < w->n_guesses && !ends); k++)
        draft_policy_judge(&r->policy, slot, w->kinds[k], k < n);
    if (n == w->n_guesses && n < w->n_offered)
        draft_policy_judge(&r->policy, slot, w->kinds[n], w->ids[n] == next[n]);
    for (int k = 0; k <= n; k++) history_add(r->history, slot, next[k], s->lps[w->done + k]);
    w->done += n + 1;
    if (!ends) return;
    draft_policy_end_row(&r->policy, slot, key_of(s));
    w->sample = NULL;
}

static void step(struct replay *r, int epoch, int n_active) {
    bool looks = draft_policy_begin(&r->policy, n_active) || r->mode != POLICY;
    for (int i = 0; i < r->n_rows; i++)
        if (r->rows[i].sample) guess(r, i, looks);
    float least = draft_policy_choose(&r->policy, n_active);
    int n_more = 0;
    for (int i = 0; i < r->n_rows; i++) {
        struct row *w = &r->rows[i];
        if (!w->sample) continue;
        while (r->mode == POLICY && w->n_guesses > 0 && w->chances[w->n_guesses - 1] < least)
            w->n_guesses--;
        n_more += w->n_guesses;
    }
    history_settle(r->history);
    double us = r->plain + r->row * n_active + (n_more ? r->jump + r->token * n_more : 0);
    r->us[epoch] += us;
    draft_policy_time(&r->policy, n_active, n_active + n_more, (int64_t)us);
    for (int i = 0; i < r->n_rows; i++)
        if (r->rows[i].sample) learn(r, i);
}

static void run(struct replay *r, enum mode mode, int length) {
    r->mode = mode;
    r->length = length;
    memset(r->us, 0, sizeof r->us);
    r->history = history_open(64 << 20, r->n_rows, MAX_ROWS * (LENGTH + 1));
    draft_policy_open(&r->policy, r->n_rows);
    for (int first = 0, next = 0, n_active = 0; first < n_samples;) {
        const struct sample *s = &samples[first];
        n_active = 0;
        for (int i = 0; i < r->n_rows; i++) {
            if (!r->rows[i].sample && next < n_samples && samples[next].group == s->group &&
                samples[next].epoch == s->epoch)
                begin(r, i, &samples[next++]);
            n_active += r->rows[i].sample != NULL;
        }
        if (n_active)
            step(r, s->epoch, n_active);
        else
            first = next;
    }
    draft_policy_close(&r->policy);
    history_free(&r->history);
}

static void print(const struct replay *r, const char *name, const double *plain) {
    printf("%-10s", name);
    for (int i = 0; i < EPOCHS; i++) printf(" %7.2f", r->us[i] > 0 ? plain[i] / r->us[i] : 0.0);
    printf("\n");
}

int main(int argc, char **argv) {
    struct replay r = {0};
    double plain[EPOCHS];
    if (argc != 7 || (r.n_rows = atoi(argv[2])) < 1 || r.n_rows > MAX_ROWS) {
        fprintf(stderr, "draft_replay TEXTS ROWS A R J S; 1 to %d rows, costs in us.\n", MAX_ROWS);
        return 2;
    }
    double *costs[] = {&r.plain, &r.row, &r.jump, &r.token};
    for (int i = 0; i < 4; i++) *costs[i] = strtod(argv[3 + i], NULL);
    read_texts(argv[1]);
    run(&r, OFF, 0);
    memcpy(plain, r.us, sizeof plain);
    printf("gain by epoch    1       2       3\n");
    run(&r, POLICY, 0);
    print(&r, "policy", plain);
    run(&r, ORACLE, 0);
    print(&r, "oracle", plain);
    r.no_noise = true;
    run(&r, POLICY, 0);
    print(&r, "no noise", plain);
    run(&r, ORACLE, 0);
    print(&r, "its oracle", plain);
    r.no_noise = false;
    for (int k = 1; k <= LENGTH; k += k < 4 ? 1 : k < 8 ? 2 : 4) {
        char name[16];
        snprintf(name, sizeof name, "fixed %d", k);
        run(&r, FIXED, k);
        print(&r, name, plain);
    }
    for (int i = 0; i < n_samples; i++) free(samples[i].ids), free(samples[i].lps);
    return 0;
}

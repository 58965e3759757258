// bench --compare: what a model's types cost, as distances from the same or another checkpoint in
// float32 on a fixed text.
//
// KL(f32 || model) needs every id's probability; it is estimated from ids that are drawn under the
// float32 model at each position, without bias and with little spread:
//   mean of r - 1 - ln r,  r = p_model(id) / p_f32(id)
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/json.h"
#include "worker/commands/bench.h"

enum { MAX_TOKENS = 512, CHUNK = 16, DRAWS = 16, PER_TOKEN = 1 + DRAWS };

static const char text[] =
    "The Euler totient function counts the whole numbers up to n that share no divisor with it. "
    "For a prime p it is p - 1, and for a power p^k it is p^(k - 1) (p - 1); it is multiplicative, "
    "so that 360 = 2^3 * 3^2 * 5 gives 4 * 6 * 4 = 96. A theorem of Euler says that a^96 leaves "
    "the remainder 1 when it is divided by 360, for every a without a common divisor.\n\n"
    "def totient(n):\n    result, p = n, 2\n    while p * p <= n:\n        if n % p == 0:\n"
    "            while n % p == 0:\n                n //= p\n            result -= result // p\n"
    "        p += 1\n    return result - result // n if n > 1 else result\n\n"
    "Am Morgen lag Nebel über dem Fluss, und die Fähre kam erst gegen neun. \"We are late,\" she "
    "said, \"but the train is later still.\" They waited under the roof of the old station, "
    "counted "
    "the wagons of a freight train (there were 43), and spoke of what they would do with $1,250.\n";

// Log-probabilities of one model: of the text's tokens, and of the ids that were drawn.
struct run {
    int n;          // tokens
    int32_t *ids;   // (n)
    int32_t *drawn; // (n, DRAWS) behind each token
    float *lp;      // (n, PER_TOKEN): of the next token, then of the drawn ids
    char numerics[160];
};

static void run_free(struct run *r) {
    free(r->ids);
    free(r->drawn);
    free(r->lp);
}

// The text's ids, or a fixed sequence where there is no tokenizer.
static int take_text(const struct setup *s, struct run *r, struct error *err) {
    struct token_list list = {0};
    int limit = s->requests.max_context < MAX_TOKENS ? s->requests.max_context : MAX_TOKENS;
    if (s->tokenizer && tokenizer_encode(s->tokenizer, slice_of(text), true, &list, err)) return -1;
    for (int i = 0; !s->tokenizer && i < limit; i++)
        token_list_add(&list, (i * 7919 + 13) % s->requests.vocab);
    r->n = list.n < (size_t)limit ? (int)list.n : limit;
    r->ids = list.ids;
    if (r->n > 1) return 0;
    return error_set(err, ERROR_CONFIG, "The text has %d tokens; at least 2 were expected.", r->n);
}

// One step of the sequence from token `at` on.
struct compare_step {
    int32_t pages[MAX_TOKENS];
    struct step_segment segment;
    struct step_output outputs[CHUNK * PER_TOKEN];
    struct step step;
};

static void fill_step(struct compare_step *c, const struct setup *s, const struct run *r, int at,
                      int n, bool draws) {
    int page = s->engine.options.page_tokens, n_outputs = 0;
    int n_pages = (at + n + page - 1) / page;
    for (int i = 0; i < n_pages; i++) c->pages[i] = i;
    c->segment =
        (struct step_segment){.n_tokens = n, .position = at, .pages = c->pages, .n_pages = n_pages};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < PER_TOKEN; k++) {
            struct step_output *o = &c->outputs[n_outputs++];
            *o = (struct step_output){.token = i, .temperature = 1};
            o->target = r->ids[at + i + 1 < r->n ? at + i + 1 : 0];
            if (k == 0) continue;
            o->is_draw = draws;
            o->draw = (struct draw){.temperature = 1, .top_p = 1, .repetition_penalty = 1};
            o->draw.position = (uint32_t)(at + i);
            o->draw.sample = (uint32_t)k;
            if (!draws) o->target = r->drawn[(at + i) * DRAWS + k - 1];
        }
    c->step = (struct step){.n_tokens = n, .n_segments = 1, .n_outputs = n_outputs};
    c->step.ids = r->ids + at;
    c->step.segments = &c->segment;
    c->step.outputs = c->outputs;
}

static int run_step(struct setup *s, struct run *r, struct compare_step *c, int at, int n,
                    bool draws, struct error *err) {
    int32_t ids[CHUNK * PER_TOKEN];
    float lp[CHUNK * PER_TOKEN], behav[CHUNK * PER_TOKEN];
    uint8_t bad[CHUNK * PER_TOKEN];
    struct step_result result = {.ids = ids, .lp_full = lp, .lp_behav = behav, .bad = bad};
    fill_step(c, s, r, at, n, draws);
    model_submit(&s->engine.model, NULL, 0, &c->step);
    if (model_wait(&s->engine.model, &result, err)) return -1;
    for (int i = 0; i < c->step.n_outputs; i++) {
        if (bad[i])
            return error_set(err, ERROR_CONFIG,
                             "A log-probability behind token %d of the text is not finite.",
                             at + i / PER_TOKEN);
        r->lp[at * PER_TOKEN + i] = lp[i];
        if (draws && i % PER_TOKEN)
            r->drawn[(at + i / PER_TOKEN) * DRAWS + i % PER_TOKEN - 1] = ids[i];
    }
    return 0;
}

// `from`: the run whose ids are scored; NULL: they are drawn here.
static int run_model(const struct engine_flags *f, const struct run *from, struct run *r,
                     struct error *err) {
    struct setup s;
    if (setup_open(&s, f, false, err)) return -1;
    int failed = take_text(&s, r, err);
    if (!failed && from && (from->n != r->n || memcmp(from->ids, r->ids, (size_t)r->n * 4) != 0))
        failed = error_set(err, ERROR_CONFIG,
                           "The text has other ids in the two models; the same tokenizer was "
                           "expected.");
    size_t n = failed ? 0 : (size_t)r->n;
    struct compare_step *c = memory_new(1, sizeof *c);
    r->drawn = memory_new(n * DRAWS, sizeof *r->drawn);
    r->lp = memory_new(n * PER_TOKEN, sizeof *r->lp);
    if (from && !failed) memcpy(r->drawn, from->drawn, n * DRAWS * sizeof *r->drawn);
    for (int at = 0; at < (int)n && !failed; at += CHUNK) {
        int left = r->n - at;
        failed = run_step(&s, r, c, at, left < CHUNK ? left : CHUNK, !from, err);
    }
    snprintf(r->numerics, sizeof r->numerics, "%s",
             s.engine.model.ops->numerics(s.engine.model.backend));
    free(c);
    setup_close(&s);
    return failed;
}

// ------------------------------------------------------------------ the distances

struct distance {
    double mean, largest, kl, ppl, ppl_f32;
};

static struct distance distance_of(const struct run *a, const struct run *b) {
    struct distance d = {0};
    int n = a->n - 1; // behind the last token none is known
    double lp = 0, lp_f32 = 0;
    for (int i = 0; i < n; i++) {
        const float *x = a->lp + i * PER_TOKEN, *y = b->lp + i * PER_TOKEN;
        double gap = fabs((double)x[0] - (double)y[0]);
        d.mean += gap / n;
        d.largest = gap > d.largest ? gap : d.largest;
        lp += (double)x[0];
        lp_f32 += (double)y[0];
        for (int k = 1; k < PER_TOKEN; k++) {
            double ln = (double)x[k] - (double)y[k];
            d.kl += (expm1(ln) - ln) / ((double)n * DRAWS);
        }
    }
    d.ppl = exp(-lp / n);
    d.ppl_f32 = exp(-lp_f32 / n);
    return d;
}

static void print(const struct bench_flags *f, const struct run *a, const struct run *b) {
    struct distance d = distance_of(a, b);
    if (f->json) {
        struct buffer name = {0};
        json_add_string(&name, slice_of(f->compare));
        printf("{\"numerics\":\"%s\",\"compare\":{\"model\":%.*s,\"numerics\":\"%s\",\"tokens\":%d,"
               "\"mean\":%.6g,\"largest\":%.6g,\"kl\":%.6g,\"perplexity\":%.6g,"
               "\"perplexity_f32\":%.6g}}\n",
               a->numerics, (int)name.len, name.ptr, b->numerics, a->n, d.mean, d.largest, d.kl,
               d.ppl, d.ppl_f32);
        buffer_free(&name);
        return;
    }
    printf("%s\nbeside %s of %s, %d tokens of a fixed text\n", a->numerics, b->numerics, f->compare,
           a->n);
    printf("log-probabilities differ by %.5f (mean), %.5f (largest)\n", d.mean, d.largest);
    printf("KL divergence %.6f (of %d drawn ids a position)\n", d.kl, DRAWS);
    printf("perplexity %.4f, and %.4f in float32\n", d.ppl, d.ppl_f32);
}

int bench_compare(const struct bench_flags *f, struct error *err) {
    struct engine_flags own = f->engine, other = f->engine;
    other.packed = NULL;
    struct run a = {0}, b = {0};
    if (f->synthetic || !f->engine.model)
        return error_set(err, ERROR_USAGE, "--compare needs --model, which is compared with it.");
    own.no_verify = other.no_verify = true;
    if (!own.kv_type) own.kv_type = other.kv_type = "f32";
    if (!own.log_level) own.log_level = other.log_level = "warn";
    own.draft = other.draft = "off";
    other.model = f->compare;
    other.weights = "f32";
    int failed = run_model(&other, NULL, &b, err);
    if (!failed) failed = run_model(&own, &b, &a, err);
    if (!failed) print(f, &a, &b);
    run_free(&a);
    run_free(&b);
    return failed;
}

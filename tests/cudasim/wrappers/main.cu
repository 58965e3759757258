// wrappers [--seed N] [--seeds N] [--dump FILE] [--against FILE] [--digests FILE] [CASE...]: runs
// the cases, each in a process of its own for at most a minute, and prints a line for each. The
// emulator's program writes what it computed (--dump); the GPU's compares with that (--against): the
// same bits, for float32 sums within twice the tolerance of the check. --digests compares every bit
// with digests of a GPU's results, which "wrappers --list-digests FILE" prints of the file that
// --dump wrote there.
#include "tests/cudasim/wrappers/wrappers.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

enum { CASE_SECONDS = 60 };
static case_entry *first, **last = &first;
static std::map<std::string, std::vector<uint32_t>> recorded; // of --against
static std::map<std::string, std::string> digests;            // of --digests: "N_WORDS DIGEST"

case_entry::case_entry(const char *name, enum needs needs, void (*run)(context &))
    : name(name), needs(needs), run(run), next(nullptr) {
    *last = this;
    last = &next;
}

uint32_t context::random() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 32);
}
float context::random_float() { return (float)((int)(random() % 257) - 128) / 128; }

std::vector<uint32_t> context::random_words(size_t n) {
    std::vector<uint32_t> v(n);
    for (uint32_t &w : v) w = random();
    return v;
}
std::vector<uint16_t> context::random_bf16(size_t n) {
    std::vector<uint16_t> v(n);
    for (uint16_t &h : v) {
        float f = random_float();
        uint32_t bits;
        memcpy(&bits, &f, 4);
        h = (uint16_t)(bits >> 16);
    }
    return v;
}
std::vector<uint16_t> context::random_wide(size_t n) {
    std::vector<uint16_t> v(n);
    for (uint16_t &h : v) {
        uint32_t r = random();
        h = (uint16_t)((r & 0x807f) | (119 + (r >> 16) % 17) << 7);
    }
    return v;
}

void context::check(cudaError_t status, const char *what) {
    if (status == cudaSuccess) return;
    printf("# %s: %s: %s\n", prefix.c_str(), what, cudaGetErrorString(status));
    fflush(stdout);
    _exit(2);
}

void *context::device(const void *host, size_t bytes) {
    void *at;
    check(cudaMalloc(&at, bytes), "cudaMalloc");
    check(cudaMemcpy(at, host, bytes, cudaMemcpyHostToDevice), "copy to the device");
    owned.push_back(at);
    return at;
}

void context::fetch(void *to, const void *at, size_t bytes) {
    check(cudaDeviceSynchronize(), "the kernel");
    check(cudaMemcpy(to, at, bytes, cudaMemcpyDeviceToHost), "copy to the host");
}

void context::report(const char *name, const char *beside, size_t i, double have, double want) {
    if (n_failed++ < 5)
        printf("# %s, %s: element %zu is %.9g, %s %.9g\n", prefix.c_str(), name, i, have, beside,
               want);
}

// FNV-1a of the words' bytes.
static std::string digest_of(const std::vector<uint32_t> &words) {
    uint64_t h = 0xcbf29ce484222325;
    for (uint32_t w : words)
        for (int i = 0; i < 32; i += 8) h = (h ^ (w >> i & 255)) * 0x100000001b3;
    char line[64];
    snprintf(line, sizeof line, "%zu %016llx", words.size(), (unsigned long long)h);
    return line;
}

// tolerance below 0: bits.
void context::record(const char *name, const std::vector<uint32_t> &words, double tolerance) {
    std::string key = prefix + "/" + name;
    n_compared++;
    n_values += words.size();
    if (dump) {
        uint32_t n_name = (uint32_t)key.size(), n = (uint32_t)words.size();
        fwrite(&n_name, 4, 1, dump);
        fwrite(key.data(), 1, n_name, dump);
        fwrite(&n, 4, 1, dump);
        fwrite(words.data(), 4, n, dump);
        fflush(dump);
    }
    auto digest = digests.find(key);
    if (digest != digests.end()) {
        n_digests++;
        if (digest->second != digest_of(words) && n_failed++ < 5)
            printf("# %s: not the bits that the GPU computed\n", key.c_str());
    }
    auto found = recorded.find(key);
    if (found == recorded.end()) return;
    n_recorded++;
    const std::vector<uint32_t> &other = found->second;
    if (other.size() != words.size()) report(name, "in number; the emulator has", 0, words.size(),
                                             other.size());
    for (size_t i = 0; i < words.size() && i < other.size(); i++) {
        if (tolerance < 0) {
            if (words[i] != other[i]) report(name, "the emulator has", i, words[i], other[i]);
            continue;
        }
        float have, want;
        memcpy(&have, &words[i], 4);
        memcpy(&want, &other[i], 4);
        n_floats++;
        n_floats_equal += words[i] == other[i];
        largest = fmax(largest, fabs((double)have - want));
        if (!(fabs((double)have - want) <= 2 * tolerance))
            report(name, "the emulator has", i, have, want);
    }
}

void context::expect(const char *name, const void *at, const std::vector<uint32_t> &expected) {
    std::vector<uint32_t> have(expected.size());
    fetch(have.data(), at, 4 * have.size());
    for (size_t i = 0; i < have.size(); i++)
        if (have[i] != expected[i]) report(name, "expected", i, have[i], expected[i]);
    record(name, have, -1);
}

void context::expect(const char *name, const void *at, const std::vector<uint16_t> &expected) {
    std::vector<uint16_t> have(expected.size());
    fetch(have.data(), at, 2 * have.size());
    for (size_t i = 0; i < have.size(); i++)
        if (have[i] != expected[i]) report(name, "expected", i, have[i], expected[i]);
    record(name, std::vector<uint32_t>(have.begin(), have.end()), -1);
}

void context::expect(const char *name, const float *at, const std::vector<double> &expected,
                     double tolerance) {
    std::vector<float> have(expected.size());
    std::vector<uint32_t> words(expected.size());
    fetch(have.data(), at, 4 * have.size());
    for (size_t i = 0; i < have.size(); i++) {
        if (!(fabs(have[i] - expected[i]) <= tolerance))
            report(name, "expected", i, have[i], expected[i]);
        memcpy(&words[i], &have[i], 4);
    }
    record(name, words, tolerance);
}

void context::fact(const char *name, size_t n, size_t n_equal, double largest_difference) {
    printf("# fact %s: %s: ", prefix.c_str(), name);
    if (n == n_equal)
        printf("the same bits, %zu of %zu\n", n_equal, n);
    else
        printf("NOT the same bits: %zu of %zu equal, at most %.3g apart\n", n_equal, n,
               largest_difference);
}

void run_case(context &c, void (*run)(context &)) {
    run(c);
    for (void *at : c.owned) c.check(cudaFree(at), "cudaFree");
    c.owned.clear();
}

struct options {
    uint64_t seed = 1, n_seeds = 1;
    const char *dump = nullptr, *against = nullptr, *digests = nullptr;
    int n_names = 0;
    char **names = nullptr;
};

static bool is_wanted(const char *name, const options &o) {
    for (int i = 0; i < o.n_names; i++)
        if (strcmp(name, o.names[i]) == 0) return true;
    return o.n_names == 0;
}

// In a process of its own. 0: right, 1: not, 2: no device, 3: the device lacks it.
static int run_seeds(const case_entry *e, const options &o) {
    int major = 0, minor = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0)) {
        printf("# no CUDA device: %s\n", cudaGetErrorString(cudaGetLastError()));
        return 2;
    }
    if (e->needs == NEEDS_90A ? major != 9 : 10 * major + minor < (int)e->needs) return 3;
    FILE *dump = o.dump ? fopen(o.dump, "ab") : nullptr;
    if (o.dump && !dump) {
        printf("# %s cannot be written\n", o.dump);
        return 1;
    }
    context all(0);
    for (uint64_t seed = o.seed; seed < o.seed + o.n_seeds; seed++) {
        context c(seed);
        c.prefix = std::string(e->name) + "/" + std::to_string(seed);
        c.dump = dump;
        run_case(c, e->run);
        all.n_failed += c.n_failed, all.n_compared += c.n_compared, all.n_values += c.n_values;
        all.n_recorded += c.n_recorded, all.n_floats += c.n_floats;
        all.n_digests += c.n_digests;
        all.n_floats_equal += c.n_floats_equal, all.largest = fmax(all.largest, c.largest);
    }
    if (dump) fclose(dump);
    bool failed = all.n_failed || (o.against && all.n_recorded < all.n_compared);
    printf("%s %s: %d results, %zu values", failed ? "not ok" : "ok", e->name, all.n_compared,
           all.n_values);
    if (all.n_failed) printf(", %d wrong", all.n_failed);
    if (o.against) printf("; %d beside the emulator's", all.n_recorded);
    if (o.digests) printf("; %d with the digests of a GPU's", all.n_digests);
    if (all.n_floats)
        printf(", %zu of %zu float32 the same bits, at most %.3g apart", all.n_floats_equal,
               all.n_floats, all.largest);
    printf("\n");
    return failed;
}

static int run_apart(const case_entry *e, const options &o) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(CASE_SECONDS);
        status = run_seeds(e, o);
        fflush(stdout);
        _exit(status);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        return 1;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("not ok %s: no end within %d s\n", e->name, CASE_SECONDS);
    else if (WIFSIGNALED(status))
        printf("not ok %s: signal %d\n", e->name, WTERMSIG(status));
    else if (WEXITSTATUS(status) == 2)
        printf("not ok %s: the device failed\n", e->name);
    else if (WEXITSTATUS(status) == 3)
        printf("ok %s # SKIP needs another device\n", e->name);
    return WIFSIGNALED(status) ? 1 : WEXITSTATUS(status) == 3 ? 0 : WEXITSTATUS(status);
}

static bool read_recorded(const char *path) {
    FILE *f = fopen(path, "rb");
    uint32_t n_name, n;
    bool whole = f;
    while (whole && fread(&n_name, 4, 1, f) == 1) {
        std::string key(n_name & 4095, 0);
        whole = n_name < 4096 && fread(&key[0], 1, n_name, f) == n_name;
        whole = whole && fread(&n, 4, 1, f) == 1 && n < 1u << 26;
        std::vector<uint32_t> words(whole ? n : 0);
        whole = whole && fread(words.data(), 4, n, f) == n;
        recorded[key] = words;
    }
    whole = whole && !recorded.empty();
    if (f) fclose(f);
    return whole;
}

// Lines of "N_WORDS DIGEST NAME"; # begins a comment.
static bool read_digests(const char *path) {
    FILE *f = fopen(path, "r");
    char line[512], digest[64];
    int n, name;
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#') continue;
        if (sscanf(line, "%d %16s %n", &n, digest, &name) == 2)
            digests[line + name] = std::to_string(n) + " " + digest;
    }
    if (f) fclose(f);
    return !digests.empty();
}

static int list_digests(const char *path) {
    if (!read_recorded(path)) return 2;
    for (auto &entry : recorded)
        printf("%s %s\n", digest_of(entry.second).c_str(), entry.first.c_str());
    return 0;
}

int main(int argc, char **argv) {
    options o;
    int i = 1, n_cases = 0, n_failed = 0;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) o.seed = strtoull(argv[i + 1], nullptr, 10);
        if (strcmp(argv[i], "--seeds") == 0) o.n_seeds = strtoull(argv[i + 1], nullptr, 10);
        if (strcmp(argv[i], "--dump") == 0) o.dump = argv[i + 1];
        if (strcmp(argv[i], "--against") == 0) o.against = argv[i + 1];
        if (strcmp(argv[i], "--digests") == 0) o.digests = argv[i + 1];
        if (strcmp(argv[i], "--list-digests") == 0) return list_digests(argv[i + 1]);
    }
    o.n_names = argc - i;
    o.names = argv + i;
    if (o.dump) remove(o.dump);
    if (o.against && !read_recorded(o.against)) {
        fprintf(stderr, "%s is not a whole file of --dump\n", o.against);
        return 2;
    }
    if (o.digests && !read_digests(o.digests)) {
        fprintf(stderr, "%s holds no digests\n", o.digests);
        return 2;
    }
    for (case_entry *e = first; e; e = e->next) {
        if (!is_wanted(e->name, o)) continue;
        n_cases++;
        n_failed += run_apart(e, o) != 0;
    }
    printf("# %d cases, %d failed\n", n_cases, n_failed);
    return n_failed > 0 || n_cases == 0;
}

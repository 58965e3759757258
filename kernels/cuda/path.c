#include "kernels/cuda/path.h"

#include <string.h>

int path_parse(const char *text, struct path *p, struct error *err) {
    *p = (struct path){0};
    struct {
        const char *word;
        bool *on;
    } words[] = {{"mma", &p->mma},       {"wgmma", &p->wgmma},   {"launches", &p->launches},
                 {"serial", &p->serial}, {"cublas", &p->cublas}, {"timed", &p->timed}};
    for (const char *at = text; at && *at;) {
        size_t len = strcspn(at, ",");
        bool is_known = false;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (strlen(words[i].word) == len && memcmp(words[i].word, at, len) == 0)
                is_known = *words[i].on = true;
        if (!is_known)
            return error_set(err, ERROR_USAGE,
                             "'%.*s' is no path of device cuda; expected mma, wgmma, launches, "
                             "serial, cublas or timed, joined by commas.",
                             (int)len, at);
        at += len + (at[len] == ',');
    }
    return 0;
}

int path_family(const struct path *p, int major, int minor, enum family *out, struct error *err) {
    bool has_wgmma = major == 9 && minor == 0;
    *out = has_wgmma && !p->mma ? FAMILY_WGMMA : FAMILY_MMA;
    if (has_wgmma || !p->wgmma) return 0;
    return error_set(err, ERROR_USAGE,
                     "Path wgmma needs a device of compute capability 9.0; this one has %d.%d.",
                     major, minor);
}

const char *path_family_name(enum family family) {
    return family == FAMILY_WGMMA ? "wgmma" : "mma";
}

// What HELLO says of --weights-dir: its id, once a look at it has come back.
#include <stdio.h>
#include <string.h>

#include "worker/session/link_state.h"

enum { LOOK_MS = 3000 }; // then HELLO goes without it

static void wake(void *link) {
    socket_wake(((struct link *)link)->socket);
}

// Told once: the trainer may make the directory later, or the file system come back.
static void tell(struct link *l, const char *why) {
    if (!l->told_directory)
        log_say(l->options.log, LOG_WARN, "%s Weights come by the socket until it is there.", why);
    l->told_directory = true;
}

static bool take(struct link *l) {
    struct error why = {0};
    if (!look_is_done(l->look, l->directory, &why)) return false;
    if (!l->directory[0]) tell(l, why.text);
    look_drop(&l->look);
    return true;
}

bool link_directory_is_known(struct link *l, int64_t now_ms) {
    char why[512];
    if (!l->options.weights_dir) return true;
    if (!l->look) {
        l->directory[0] = 0;
        l->look = look_begin(l->options.weights_dir, wake, l);
        l->look_ms = now_ms;
        if (!l->look) return true;
    }
    if (take(l)) return true;
    if (now_ms - l->look_ms < LOOK_MS) return false;
    snprintf(why, sizeof why, "%.300s does not answer: it could not be looked at in %d s.",
             l->options.weights_dir, LOOK_MS / 1000);
    tell(l, why);
    return true;
}

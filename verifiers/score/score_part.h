// A file that has its name only when it is complete: until then it is NAME.part.
#ifndef VERIFIERS_SCORE_SCORE_PART_H
#define VERIFIERS_SCORE_SCORE_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"

struct score_part {
    char *target; // the name, behind links
    char *path;   // of the part, until it has its name
    int fd;       // -1: closed
    bool is_new;  // it was not there before
};

// Opens the part, whatever it holds, and locks it: a second run, such as a pod that is started
// again too early, is refused. ERROR_USAGE for that, else ERROR_IO; then there is nothing to close.
int score_part_open(const char *name, struct score_part *out, struct error *err);

// Gives it its name, and makes that last. ERROR_IO.
int score_part_finish(struct score_part *part, struct error *err);

// Closes; a part that has no name yet stays, or is removed.
void score_part_close(struct score_part *part, bool remove);

#endif

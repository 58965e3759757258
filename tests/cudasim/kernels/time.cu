#include "tests/cudasim/kernels/check.h"
void time_all(checker &, const char *) {}

#include "worker/version.h"

const char *version_text(void) {
    return "stampede 0.1.0 (" STAMPEDE_COMMIT ")";
}

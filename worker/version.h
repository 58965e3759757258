// The version and commit of this build, as HELLO and --version say it.
#ifndef WORKER_VERSION_H
#define WORKER_VERSION_H

const char *version_text(void); // "stampede 0.1.0 (commit)"

#endif

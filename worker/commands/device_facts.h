// A device's facts as JSON, of inspect and bench.
#ifndef WORKER_COMMANDS_DEVICE_FACTS_H
#define WORKER_COMMANDS_DEVICE_FACTS_H

#include "kernels/kernels.h"
#include "protocol/base/buffer.h"

// An object; what is not known is null.
void device_facts_add_json(struct buffer *b, const struct device_facts *f);

#endif

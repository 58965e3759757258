#include "worker/commands/device_facts.h"

#include <inttypes.h>

#include "protocol/base/json.h"

static void add_number(struct buffer *b, const char *key, uint64_t n) {
    if (n)
        buffer_printf(b, ",\"%s\":%" PRIu64, key, n);
    else
        buffer_printf(b, ",\"%s\":null", key);
}

void device_facts_add_json(struct buffer *b, const struct device_facts *f) {
    buffer_add_text(b, "{\"name\":");
    json_add_string(b, slice_of(f->name));
    buffer_add_text(b, ",\"path\":");
    json_add_string(b, slice_of(f->path));
    if (f->major)
        buffer_printf(b, ",\"compute_capability\":\"%d.%d\"", f->major, f->minor);
    else
        buffer_add_text(b, ",\"compute_capability\":null");
    add_number(b, "units", (uint64_t)f->n_units);
    add_number(b, "numa_nodes", (uint64_t)f->n_nodes);
    add_number(b, "clock_mhz", (uint64_t)f->clock_mhz);
    add_number(b, "memory_clock_mhz", (uint64_t)f->memory_clock_mhz);
    add_number(b, "memory_bytes", f->memory_bytes);
    add_number(b, "free_bytes", f->free_bytes);
    buffer_add_text(b, "}");
}

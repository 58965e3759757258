// What a device can do: the figures from which a roofline is computed. They come by name (those of
// data sheets), from a file, or from whoever measured a machine.
#ifndef WORKER_COMMANDS_ROOFLINE_DEVICE_H
#define WORKER_COMMANDS_ROOFLINE_DEVICE_H

#include <stdbool.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

enum { DEVICE_MAX_NAME = 64, DEVICE_MAX_FILE_BYTES = 1 << 16 };

struct device {
    char name[DEVICE_MAX_NAME];
    double read_bytes_per_s; // of its memory
    double peak_flops;       // a second: a multiply-add is two; bf16 (or what --weights are), dense
    double memory_bytes;     // 0: not known, then everything fits
    double launch_gap_us;    // from the end of a kernel to the start of the next one
    // What of the first three a program gets, above 0 and at most 1.
    double read_share, flops_share, memory_share;
    double workspace_bytes; // what a program and its driver take beside weights and state
    bool kv_overlaps;       // K and V are read while something computes; else while nothing does
};

// "h100, h200, a100, l40s, 4090": the names, for sentences and --help.
#define DEVICE_NAMES "h100, h200, a100, l40s, 4090"

// The figures of a data sheet: all shares are 1, everything overlaps, without gaps. -1 for a name
// that is none of DEVICE_NAMES.
int device_named(const char *name, struct device *out);

// The figures of one JSON object. Its keys are the fields above: read_bytes_per_s, peak_flops,
// memory_bytes and launch_gap_us must be there; read_share, flops_share, memory_share (1 where they
// are absent), workspace_bytes (0), kv_overlaps (false) and name (the last part of `path`) need
// not. Of a key that comes twice the last value counts. -1 with ERROR_CONFIG: a key that is missing
// or not known, a value of a wrong type or out of range; the sentence begins with `path`. Nothing
// is read from there.
int device_parse(const char *path, struct slice json, struct device *out, struct error *err);

// Appends the figures as a JSON object that device_parse takes.
void device_add_json(struct buffer *out, const struct device *d);

#endif

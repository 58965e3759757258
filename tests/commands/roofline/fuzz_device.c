// A device FILE from an enemy: what is taken is in range, plans finite steps, and reads back the
// same; what is not gets a sentence with the file's name.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/commands/roofline/report.h"
#include "worker/load/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void check_device(const struct device *d) {
    check(d->name[0] && memchr(d->name, 0, sizeof d->name));
    for (const char *c = d->name; *c; c++) check((unsigned char)*c >= 0x20 && *c != 0x7f);
    check(d->read_bytes_per_s > 0 && d->peak_flops > 0 && d->memory_bytes > 0);
    check(d->launch_gap_us >= 0 && d->workspace_bytes >= 0);
    check(d->read_share > 0 && d->read_share <= 1 && d->flops_share > 0 && d->flops_share <= 1);
    check(d->memory_share > 0 && d->memory_share <= 1);
}

static void check_again(const struct device *d) {
    struct buffer text = {0};
    struct device again;
    device_add_json(&text, d);
    check(device_parse("again", buffer_slice(&text), &again, NULL) == 0);
    check(again.peak_flops == d->peak_flops && again.read_share == d->read_share);
    check(strcmp(again.name, d->name) == 0);
    buffer_free(&text);
}

static void check_plan(const struct device *d) {
    struct model_config c;
    struct roofline_model m;
    check(config_synthetic("tiny", &c, NULL) == 0);
    struct weight *list;
    int n = weights_list(&c.shape, &list);
    roofline_model_start(&m, &c.shape, 2, 2);
    for (int i = 0; i < n; i++) roofline_model_add(&m, &list[i], 2 * (double)weight_n(&list[i]));
    free(list);
    const struct roofline_load load = roofline_mix(64, 100, 20, 2, 0.5);
    struct roofline r;
    roofline_step(&m, d, &load, &r);
    check(isfinite(r.step.ms) && r.step.ms > 0 && r.overlapped_ms <= r.step.ms);
    const struct report_plan plan = {"tiny", &m, d, &load, 1, 100, 20};
    struct buffer out = {0};
    report_add_text(&out, &plan);
    report_add_json(&out, &plan);
    check(out.len > 1000);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct device d;
    struct error err = {0};
    if (device_parse("folder/file", (struct slice){(const char *)data, size}, &d, &err) == 0) {
        check_device(&d);
        check_again(&d);
        check_plan(&d);
    } else {
        check(err.code == ERROR_CONFIG && strncmp(err.text, "folder/file: ", 13) == 0);
    }
    return 0;
}

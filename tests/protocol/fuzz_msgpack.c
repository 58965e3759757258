// libFuzzer: the pre-scan and the decoder of every message on arbitrary frames. The input is two
// bytes of header length, the header, the payload. What decodes must encode and decode again.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"
#include "protocol/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t header_len = (size_t)(data[0] | data[1] << 8);
    if (header_len > size - 2) header_len = size - 2;
    struct slice header = {(const char *)data + 2, header_len};
    struct slice payload = {(const char *)data + 2 + header_len, size - 2 - header_len};
    enum message_reason reason = MESSAGE_N_REASONS;
    struct message *m = message_new(header, payload, &reason, NULL);
    if (!m) {
        if (reason >= MESSAGE_N_REASONS) abort();
        return 0;
    }
    struct message_frames frames = {0};
    // A decoded message can be written again.
    if (message_encode(m, &frames, NULL) != 0) abort();
    struct message *again =
        message_new(buffer_slice(&frames.header), buffer_slice(&frames.payload), NULL, NULL);
    if (!again || again->type != m->type || again->seq != m->seq) abort();
    message_free(&again);
    message_free(&m);
    message_frames_free(&frames);
    return 0;
}

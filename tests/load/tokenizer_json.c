#include "tests/load/tokenizer_json.h"

#include <string.h>

#include "protocol/base/json.h"
#include "worker/load/pretokenize.h"
#include "worker/load/vocab.h"

static void add_token(struct buffer *out, int id, const char *text, const char *flags) {
    buffer_printf(out, "{\"id\": %d, \"content\": \"%s\", %s}", id, text, flags);
}

static void add_vocab(struct buffer *out, const char *const *merges) {
    buffer_add_text(out, "\"vocab\": {\"<|startoftext|>\": 0, \"<|im_end|>\": 1, "
                         "\"<|endoftext|>\": 2");
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        size_t len = (size_t)vocab_write_byte((uint8_t)byte, text);
        buffer_add_text(out, ", ");
        json_add_string(out, (struct slice){text, len});
        buffer_printf(out, ": %d", 3 + byte);
    }
    for (int i = 0; merges[i]; i += 2)
        buffer_printf(out, ", \"%s%s\": %d", merges[i], merges[i + 1], 259 + i / 2);
    buffer_add_text(out, "}");
}

void tokenizer_json_write(struct buffer *out, const char *const *merges) {
    static const char special[] = "\"special\": true, \"normalized\": false, \"lstrip\": false, "
                                  "\"rstrip\": false, \"single_word\": false";
    int n_merges = 0;
    while (merges[2 * n_merges]) n_merges++;
    buffer_add_text(out, "{\"version\": \"1.0\", \"normalizer\": null, \"added_tokens\": [");
    add_token(out, 0, "<|startoftext|>", special);
    buffer_add_text(out, ", ");
    add_token(out, 1, "<|im_end|>", special);
    buffer_add_text(out, ", ");
    add_token(out, 2, "<|endoftext|>", special);
    buffer_add_text(out, ", ");
    add_token(out, 259 + n_merges, "<tool>", "\"special\": false, \"normalized\": false");
    buffer_add_text(out, ", ");
    add_token(out, 260 + n_merges, "norm", "\"special\": false, \"normalized\": true");
    buffer_add_text(out, "], \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
                         "[{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
    json_add_string(out, slice_of(PRETOKENIZE_PATTERN));
    buffer_add_text(out, "}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": "
                         "\"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}, "
                         "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": "
                         "[{\"SpecialToken\": {\"id\": \"<|startoftext|>\"}}, {\"Sequence\": "
                         "{\"id\": \"A\"}}], \"special_tokens\": {\"<|startoftext|>\": {\"ids\": "
                         "[0]}}}, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": "
                         "\"BPE\", \"dropout\": null, \"unk_token\": null, \"byte_fallback\": "
                         "false, \"ignore_merges\": false, ");
    add_vocab(out, merges);
    buffer_add_text(out, ", \"merges\": [");
    for (int i = 0; i < n_merges; i++)
        buffer_printf(out, "%s[\"%s\", \"%s\"]", i ? ", " : "", merges[2 * i], merges[2 * i + 1]);
    buffer_add_text(out, "]}}");
}

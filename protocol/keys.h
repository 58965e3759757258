// Key files of CURVE: what `stampede keygen` writes and both ends of the wire read.
//
// A key is a line of 40 characters of Z85. NAME.key holds a secret key and may be read by its owner
// and group alone (keygen makes it mode 0400); NAME.pub holds the public key that belongs to it, or
// several, a line each, while they are exchanged. NAME is who the peer is: its user id.
#ifndef PROTOCOL_KEYS_H
#define PROTOCOL_KEYS_H

#include <stdbool.h>

#include "protocol/base/error.h"

enum { KEYS_TEXT = 41, KEYS_NAME = 65, KEYS_MAX = 4096 }; // bytes with the terminating 0; keys

struct keys_entry {
    char key[KEYS_TEXT];
    char name[KEYS_NAME];
};

// Public keys and whose they are. Zero-initialised is empty.
struct keys_set {
    struct keys_entry *entries; // (n), owned
    int n;
};
void keys_set_free(struct keys_set *set);

// Whose key this is; NULL: it is not in the set.
const char *keys_find(const struct keys_set *set, const char *key);
bool keys_has_name(const struct keys_set *set, const char *name);

// All ERROR_CONFIG, with a sentence that names the file and never its content; ERROR_IO where this
// process has no descriptor or memory to spare, which says nothing of the file.
int keys_read_secret(const char *path, char key[KEYS_TEXT], struct error *err);
int keys_read_public(const char *path, struct keys_set *out, struct error *err); // at least one
// Every NAME.pub of the folder; a file of another name is not looked at. May be empty. With
// `skip_bad` a file that cannot be used allows nobody, and the others do: *err then says which.
int keys_read_folder(const char *path, bool skip_bad, struct keys_set *out, struct error *err);

// Letters, digits, '_', '-' and '.', at most KEYS_NAME - 1, not '.' in front.
bool keys_is_name(const char *name);

// Writes DIR/NAME.key (mode 0400) and DIR/NAME.pub (0444); DIR is made (0700) where it is not. A
// file that is there already is left as it is: ERROR_USAGE.
int keys_write(const char *dir, const char *name, const char *secret, const char *public,
               struct error *err);

#endif

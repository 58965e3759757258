#include "protocol/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

enum { MAX_FILE = 4096, MAX_PATH = 4096 };

static const char Z85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          ".-:+=^!/*?&<>()[]{}@%$#";
static const char SPACE[] = " \t\r\n";

void keys_set_free(struct keys_set *set) {
    free(set->entries);
    *set = (struct keys_set){0};
}

const char *keys_find(const struct keys_set *set, const char *key) {
    for (int i = 0; i < set->n; i++)
        if (strcmp(set->entries[i].key, key) == 0) return set->entries[i].name;
    return NULL;
}

bool keys_has_name(const struct keys_set *set, const char *name) {
    for (int i = 0; i < set->n; i++)
        if (strcmp(set->entries[i].name, name) == 0) return true;
    return false;
}

bool keys_is_name(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-.";
    size_t len = strlen(name);
    return len > 0 && len < KEYS_NAME && name[0] != '.' && strspn(name, allowed) == len;
}

static int refuse(struct error *err, const char *path, const char *why) {
    return error_set(err, ERROR_CONFIG, "Key file \"%.200s\": %s.", path, why);
}

// Why a file or folder cannot be opened: what this process lacks for the moment says nothing of it.
static int refuse_open(struct error *err, const char *what, const char *path) {
    bool is_scarce = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    return error_set(err, is_scarce ? ERROR_IO : ERROR_CONFIG, "%s \"%.200s\": %s.", what, path,
                     strerror(errno));
}

// A mounted Secret belongs to root, and the group is how a process that is not root reads it.
static int check_mode(const char *path, int fd, struct error *err) {
    struct stat s;
    if (fstat(fd, &s)) return refuse(err, path, strerror(errno));
    if (!(s.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO))) return 0;
    return error_set(err, ERROR_CONFIG,
                     "Key file \"%.200s\" has mode %04o; a secret key is for its owner (0400), or "
                     "its owner and group (0440).",
                     path, (unsigned)s.st_mode & 07777);
}

static int read_file(const char *path, bool is_secret, char text[MAX_FILE], struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return refuse_open(err, "Key file", path);
    if (is_secret && check_mode(path, fd, err)) {
        close(fd);
        return -1;
    }
    ssize_t n = read(fd, text, MAX_FILE - 1);
    int code = errno;
    close(fd);
    if (n < 0) return refuse(err, path, strerror(code));
    if (n == MAX_FILE - 1) return refuse(err, path, "it is too long for keys");
    text[n] = 0;
    return 0;
}

// The next word of the text; the whole of it must be a key.
static int take_key(const char *path, char **text, char key[KEYS_TEXT], struct error *err) {
    char *word = *text + strspn(*text, SPACE);
    size_t len = strcspn(word, SPACE);
    if (len != KEYS_TEXT - 1 || strspn(word, Z85) < len)
        return refuse(err, path,
                      "expected a key of 40 characters of Z85, as stampede keygen "
                      "writes it");
    memcpy(key, word, len);
    key[len] = 0;
    *text = word + len;
    *text += strspn(*text, SPACE);
    return 0;
}

int keys_read_secret(const char *path, char key[KEYS_TEXT], struct error *err) {
    char text[MAX_FILE], *at = text;
    int failed = read_file(path, true, text, err);
    if (!failed) failed = take_key(path, &at, key, err);
    if (!failed && *at) failed = refuse(err, path, "expected one key");
    explicit_bzero(text, sizeof text);
    return failed ? -1 : 0;
}

// "dir/NAME.pub" is NAME's.
static void name_of(const char *path, char name[KEYS_NAME]) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *end = strrchr(base, '.');
    snprintf(name, KEYS_NAME, "%.*s", (int)(end && end > base ? end - base : 64), base);
}

int keys_read_public(const char *path, struct keys_set *out, struct error *err) {
    char text[MAX_FILE], *at = text;
    struct keys_entry entry;
    if (read_file(path, false, text, err)) return -1;
    name_of(path, entry.name);
    do {
        if (take_key(path, &at, entry.key, err)) return -1;
        if (out->n == KEYS_MAX) return refuse(err, path, "there are more than 4,096 keys");
        out->entries = memory_resize(out->entries, (size_t)out->n + 1, sizeof *out->entries);
        out->entries[out->n++] = entry;
    } while (*at);
    return 0;
}

static bool is_public(const char *file) {
    size_t len = strlen(file);
    return len > 4 && strcmp(file + len - 4, ".pub") == 0 && keys_is_name(file);
}

int keys_read_folder(const char *path, bool skip_bad, struct keys_set *out, struct error *err) {
    DIR *dir = opendir(path);
    int failed = 0;
    if (!dir) return refuse_open(err, "The folder of keys", path);
    for (const struct dirent *e; !failed && (e = readdir(dir));) {
        char file[MAX_PATH];
        if (!is_public(e->d_name)) continue;
        snprintf(file, sizeof file, "%.3000s/%s", path, e->d_name);
        failed = keys_read_public(file, out, err) && (!skip_bad || err->code == ERROR_IO);
    }
    closedir(dir);
    return failed ? -1 : 0;
}

static int write_key(const char *path, mode_t mode, const char *key, struct error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, ERROR_USAGE, "\"%.200s\" is there already; it is left as it is.",
                         path);
    if (fd < 0) return error_set(err, ERROR_IO, "\"%.200s\": %s.", path, strerror(errno));
    bool good = fchmod(fd, mode) == 0 && dprintf(fd, "%s\n", key) == KEYS_TEXT && fsync(fd) == 0;
    int code = errno;
    if (close(fd) == 0 && good) return 0;
    unlink(path);
    return error_set(err, ERROR_IO, "\"%.200s\": %s.", path, strerror(code));
}

int keys_write(const char *dir, const char *name, const char *secret, const char *public,
               struct error *err) {
    char path[MAX_PATH];
    if (!keys_is_name(name))
        return error_set(err, ERROR_USAGE,
                         "--name is '%.80s'; expected 1 to 64 letters, digits, '_', '-' or '.'.",
                         name);
    if (mkdir(dir, 0700) && errno != EEXIST)
        return error_set(err, ERROR_IO, "\"%.200s\": %s.", dir, strerror(errno));
    snprintf(path, sizeof path, "%.3000s/%s.pub", dir, name);
    if (access(path, F_OK) == 0)
        return error_set(err, ERROR_USAGE, "\"%.200s\" is there already; it is left as it is.",
                         path);
    snprintf(path, sizeof path, "%.3000s/%s.key", dir, name);
    if (write_key(path, 0400, secret, err)) return -1;
    snprintf(path, sizeof path, "%.3000s/%s.pub", dir, name);
    return write_key(path, 0444, public, err);
}

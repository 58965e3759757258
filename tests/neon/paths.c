// paths ISA TYPES BF16: fails where these are not the paths that are chosen on this processor: of
// all operations, of block types, and for --math bf16 (none: there is none).
#include <stdio.h>
#include <string.h>

#include "kernels/cpu/isa.h"

int main(int argc, char **argv) {
    const struct isa *bf16 = isa_find("bf16");
    const char *names[] = {isa_find(NULL)->name, type_path_name(isa_find(NULL)->types),
                           bf16 ? bf16->name : "none"};
    int n_wrong = argc != 4;
    for (int i = 0; i < 3 && i + 1 < argc; i++) {
        n_wrong += strcmp(names[i], argv[i + 1]) != 0;
        printf("  %s, expected %s\n", names[i], argv[i + 1]);
    }
    return n_wrong != 0;
}

// Of limits.c: products of AMX with operands in tiles.
#ifndef WORKER_COMMANDS_LIMITS_AMX_H
#define WORKER_COMMANDS_LIMITS_AMX_H

#include <stdbool.h>

enum { LIMITS_AMX_INT8 = 16 * 16 * 64, LIMITS_AMX_BF16 = 16 * 16 * 32 }; // multiply-adds of one

bool limits_amx_is_there(void);

// `n` times `chains` products, of which those of six tiles do not wait for each other.
void limits_amx_int8(int n, int chains);
void limits_amx_bf16(int n, int chains);

#endif

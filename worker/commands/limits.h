// What this machine can do, measured here and now: the limits beside which `bench` tells speeds.
#ifndef WORKER_COMMANDS_LIMITS_H
#define WORKER_COMMANDS_LIMITS_H

// Bytes a second that n_threads read together from a buffer that no cache holds.
double limits_read_bandwidth(int n_threads);

// Floating-point operations a second of multiply-adds in float32 with operands in registers, on
// n_threads, with the widest vectors that the processor has. Takes some tens of milliseconds.
double limits_peak_flops(int n_threads);

// The same of products of bf16, two to a float32 sum; 0 where the processor has no instruction.
double limits_peak_bf16_flops(int n_threads);

// The same of products of 8-bit integers (a multiply-add is two operations here too) that are
// summed in 32 bits: what block types (kernels/types) are multiplied with. With the instructions
// that the processor has for them, or else as limits_peak_flops.
double limits_peak_int8_flops(int n_threads);

#endif

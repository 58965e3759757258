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

#endif

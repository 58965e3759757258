// Rotary position embedding over half-rotated pairs (d, d + head_dim / 2).
#ifndef KERNELS_CPU_ROPE_H
#define KERNELS_CPU_ROPE_H

// The head_dim / 2 inverse frequencies of `theta`.
void rope_frequencies(float theta, int head_dim, float *out);

// cos and sin (head_dim / 2 each) of one position. The angle is the float32 product
// position * frequency, as transformers has it; its sine is accurate at any position.
void rope_table(const float *frequencies, int head_dim, int position, float *cosine, float *sine);

// Rotates one head in place.
void rope_apply(int head_dim, const float *cosine, const float *sine, float *x);

#endif

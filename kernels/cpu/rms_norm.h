// RMSNorm: out[i] = x[i] / sqrt(mean(x^2) + eps) * w[i].
#ifndef KERNELS_CPU_RMS_NORM_H
#define KERNELS_CPU_RMS_NORM_H

// Squares are summed in 8 lanes (i mod 8), the lanes as ((0+4)+(2+6))+((1+5)+(3+7)).
void rms_norm_portable(int n, const float *x, const float *w, float eps, float *out);
void rms_norm_avx2(int n, const float *x, const float *w, float eps, float *out);
void rms_norm_neon(int n, const float *x, const float *w, float eps, float *out);

#endif

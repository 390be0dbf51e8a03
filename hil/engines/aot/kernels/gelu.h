/* SPDX-License-Identifier: Apache-2.0 */
/* float32: GELU, by the error function or by tanh. */
#include <math.h>

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_GELU_3
#define HIL_AOT_GELU_3

#if defined(__AVR__) /* which has no erfcf(): a rational Chebyshev fit, within 1.2e-7 of it */
static inline float hil_erfc(float x) {
  const float z = fabsf(x), t = 1.0f / (1.0f + 0.5f * z);
  float sum = 0.17087277f;
  sum = sum * t - 0.82215223f;
  sum = sum * t + 1.48851587f;
  sum = sum * t - 1.13520398f;
  sum = sum * t + 0.27886807f;
  sum = sum * t - 0.18628806f;
  sum = sum * t + 0.09678418f;
  sum = sum * t + 0.37409196f;
  sum = sum * t + 1.00002368f;
  sum = t * expf(-z * z - 1.26551223f + t * sum);
  return x >= 0.0f ? sum : 2.0f - sum;
}
#else
static inline float hil_erfc(float x) { return erfcf(x); }
#endif

static inline float hil_gelu(float x) { return 0.5f * x * hil_erfc(x * -0.707106781f); }

static inline float hil_gelu_tanh(float x) {
  return 0.5f * x * (1.0f + tanhf(0.797884561f * (x + 0.044715f * x * x * x)));
}

#endif /* HIL_AOT_GELU_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* float32: activations, maximum, multiply-add, and conversion to int8. */
#include <math.h>
#include <stdint.h>

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_FLOAT32_3
#define HIL_AOT_FLOAT32_3

/* ---- float32: the comparisons of C++'s std::max and std::min, which TFLite uses ---- */

static inline float hil_maxf(float a, float b) { return a < b ? b : a; }

static inline float hil_clampf(float x, float low, float high) {
  const float raised = x < low ? low : x;
  return high < raised ? high : raised;
}

static inline float hil_relu(float x) { return x < 0.0f ? 0.0f : x; }

static inline float hil_relu6(float x) { return x > 6.0f ? 6.0f : x < 0.0f ? 0.0f : x; }

static inline float hil_leaky(float x, float alpha) { return x > 0.0f ? x : x * alpha; }

/* x * w + sum, rounded once where that is one instruction. */
static inline float hil_fma(float x, float w, float sum) {
#if defined(__FP_FAST_FMAF)
  return __builtin_fmaf(x, w, sum);
#else
  return x * w + sum;
#endif
}

/* The largest of sums, none of which is a negative zero: one instruction where there is one. */
static inline float hil_max_sum(float a, float b) {
#if defined(__ARM_FEATURE_NUMERIC_MAXMIN)
  return __builtin_fmaxf(a, b);
#else
  return hil_maxf(a, b);
#endif
}

/* round(x / scale) + zero, halves away from zero, clamped. */
static inline int8_t hil_quantize(float x, float scale, int32_t zero) {
  const float steps = roundf(x / scale);
  if (!(steps > (float)(-128 - zero))) return -128;
  if (steps > (float)(127 - zero)) return 127;
  return (int8_t)((int32_t)steps + zero);
}

#endif /* HIL_AOT_FLOAT32_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* float32: activations, functions of one value, multiply-add, and conversion to int8. */
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

/* ---- float32: functions of one value ---- */

static inline float hil_logistic(float x) {
  if (x > 16.619047164916992188f) return 1.0f;
  return x < -9.0f ? expf(x) : 1.0f / (1.0f + expf(-x));
}

static inline float hil_hard_swish(float x) {
  const float gate = hil_maxf(0.0f, x + 3.0f);
  return x * (gate < 6.0f ? gate : 6.0f) / 6.0f;
}

static inline float hil_elu(float x) {
#if defined(__AVR__) /* which has no expm1f() */
  const float power = expf(x);
  if (x >= 0.0f || power == 1.0f) return x;
  return power < 1e-7f ? -1.0f : (power - 1.0f) * x / logf(power);
#else
  return x < 0.0f ? expm1f(x) : x;
#endif
}

static inline float hil_inverse_root(float x) { return 1.0f / sqrtf(x); }

static inline float hil_square(float x) { return x * x; }

static inline float hil_negative(float x) { return -x; }

static inline float hil_sign(float x) { return (float)((x > 0.0f) - (x < 0.0f)); }

/* The quotient is rounded in double, as in TFLite, so that it never reaches the next integer. */
static inline float hil_floor_div(float x, float y) { return (float)floor((double)x / (double)y); }

static inline float hil_floor_mod(float x, float y) {
  const float rest = fmodf(x, y);
  return rest != 0.0f && (y < 0.0f) != (rest < 0.0f) ? rest + y : rest;
}

/* Halves go to the even neighbour; never a negative zero, unless x is one. */
static inline float hil_round(float x) {
  const float whole = floorf(x), rest = x - whole;
  return rest < 0.5f || (rest == 0.5f && (int32_t)whole % 2 == 0) ? whole : whole + 1.0f;
}

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

/* SPDX-License-Identifier: Apache-2.0 */
/* int8: fixed-point arithmetic, as hil/engines/aot/arithmetic.py has it in Python. */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_INT8_3
#define HIL_AOT_INT8_3

/* ---- int8: TFLite's fixed-point arithmetic with both of TFLM's roundings ---- */

static inline int32_t hil_max(int32_t a, int32_t b) { return a < b ? b : a; }

static inline int32_t hil_clamp(int32_t x, int32_t low, int32_t high) {
  const int32_t raised = x < low ? low : x;
  return high < raised ? high : raised;
}

/* round(a * b / 2^31), halves upwards; saturates. */
static inline int32_t hil_high_mul(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return (int32_t)(((int64_t)a * b + (INT32_C(1) << 30)) >> 31);
}

/* x / 2^n, halves away from zero. */
static inline int32_t hil_divide_pot(int32_t x, int32_t n) {
  const int32_t mask = (int32_t)((UINT32_C(1) << n) - 1);
  return (x >> n) + ((x & mask) > (mask >> 1) + (x < 0) ? 1 : 0);
}

/* Any sum, any shift (above 0: to the left). */
static inline int32_t hil_requant(int32_t sum, int32_t multiplier, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t shifted = (int32_t)((uint32_t)sum << left);
  return hil_divide_pot(hil_high_mul(shifted, multiplier), shift > 0 ? 0 : -shift);
}

/* round(2 * sum * multiplier / 2^32), halves upwards; |sum| < 2^30. */
static inline int32_t hil_double_high_mul(int32_t sum, int32_t multiplier) {
#if HIL_DSP
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(sum * 2), "r"(multiplier));
  return result;
#elif HIL_SHORT_PRODUCTS
  const int32_t a = sum * 2, a1 = a >> 16, b1 = multiplier >> 16;
  const int32_t a0 = a & 0xFFFF, b0 = multiplier & 0xFFFF; /* a = 65536 * a1 + a0 */
  const int32_t t = a1 * b0 + (int32_t)((uint32_t)a0 * (uint32_t)b0 >> 16);
  const int32_t u = a0 * b1 + (t & 0xFFFF);
  return a1 * b1 + (t >> 16) + (int32_t)(((uint32_t)u + 0x8000u) >> 16);
#elif defined(__AVR__) /* shorter code there; elsewhere without carry from low to high word */
  return (int32_t)(((int64_t)(sum * 2) * multiplier + INT64_C(0x80000000)) >> 32);
#else
  const int64_t product = (int64_t)(sum * 2) * multiplier;
  return (int32_t)((uint32_t)(product >> 32) + ((uint32_t)product >> 31));
#endif
}

/* zero + hil_requant(sum, multiplier, -1 - n) for |sum| < 2^30, n >= 0. */
static inline int32_t hil_requant_right(int32_t sum, int32_t multiplier, int32_t n, int32_t zero) {
  const int32_t x = hil_double_high_mul(sum, multiplier);
  return (((x + (x >> 31)) >> n) + (2 * zero + 1)) >> 1;
}

/* The same where a ReLU clamps negative results to zero afterwards, so that their rounding does
 * not matter. */
static inline int32_t hil_requant_relu(int32_t sum, int32_t multiplier, int32_t n, int32_t zero) {
  return ((hil_double_high_mul(sum, multiplier) >> n) + (2 * zero + 1)) >> 1;
}

/* The same for |sum| < 2^23: its low word needs no carry where a product has two. */
static inline int32_t hil_requant_small(int32_t sum, int32_t multiplier, int32_t n, int32_t zero) {
#if HIL_DSP || HIL_SHORT_PRODUCTS || defined(__AVR__)
  return hil_requant_relu(sum, multiplier, n, zero);
#else
  const int32_t x = (int32_t)(((int64_t)(sum * 256) * multiplier) >> 32);
  return (((x + 64) >> 7 >> n) + (2 * zero + 1)) >> 1;
#endif
}

/* The nearest int8. */
static inline int32_t hil_clamp8(int32_t x) {
#if HIL_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
  return result;
#elif HIL_MAC16
  int32_t result;
  __asm__("clamps %0, %1, 7" : "=r"(result) : "r"(x));
  return result;
#else
  return hil_clamp(x, -128, 127);
#endif
}

/* sum / n, halves away from zero. */
static inline int32_t hil_average(int32_t sum, int32_t n) {
  return (sum > 0 ? sum + n / 2 : sum - n / 2) / n;
}

/* 1 / (1 + a) for a in [0, 1), Q0.31: three Newton steps on Q2.29 numbers. */
static inline int32_t hil_reciprocal(int32_t a) {
  const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
  int32_t x = 1515870810 + hil_high_mul(half, -1010580540);
  for (int i = 0; i < 3; ++i) {
    const int32_t rest = (INT32_C(1) << 29) - hil_high_mul(half, x);
    x += hil_high_mul(x, rest) * 4;
  }
  return x > (INT32_C(1) << 30) - 1 ? INT32_MAX : x * 2;
}

#endif /* HIL_AOT_INT8_3 */

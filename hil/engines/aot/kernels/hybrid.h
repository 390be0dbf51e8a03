/* SPDX-License-Identifier: Apache-2.0 */
/* float32 values rounded to int8 for layers with int8 weights, as LiteRT's portable_tensor_utils.cc
 * does: symmetric, or with an offset. */
#include <math.h>
#include <stdint.h>
#include <string.h>

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_HYBRID_3
#define HIL_AOT_HYBRID_3

static inline int8_t hil_rounded(float x, int32_t low) {
  const float r = roundf(x);
  return r < (float)low ? (int8_t)low : r > 127.0f ? 127 : (int8_t)r;
}

/* SymmetricQuantizeFloats(): the codes of x go to q; returns the real value of a step. */
static inline float hil_quantize_even(const float *x, int32_t n, int8_t *q) {
  float low = x[0], high = x[0];
  for (int32_t i = 1; i < n; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] < high ? high : x[i];
  }
  low = fabsf(low);
  high = fabsf(high);
  const float range = low < high ? high : low;
  if (range == 0.0f) {
    memset(q, 0, (size_t)n);
    return 1.0f;
  }
  const float inverse = 127.0f / range;
  for (int32_t i = 0; i < n; ++i) q[i] = hil_rounded(x[i] * inverse, -127);
  return range / 127.0f;
}

/* AsymmetricQuantizeFloats(): the same with an offset, the code of 0. LiteRT's code for x86 rounds
 * the range to float32, which its portable code does not. */
static inline float hil_quantize_offset(const float *x, int32_t n, int8_t *q, int32_t *offset) {
  float least = 0.0f, most = 0.0f;
  for (int32_t i = 0; i < n; ++i) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  *offset = 0;
  if (least == most) {
    memset(q, 0, (size_t)n);
    return 1.0f;
  }
  const double low = (double)least, high = (double)most;
  const double scale = (double)(float)(most - least) / 255.0;
  const double from_low = -128.0 - low / scale, from_high = 127.0 - high / scale;
  const double by_low = 128.0 + fabs(low / scale), by_high = 127.0 + fabs(high / scale);
  const double zero = by_low < by_high ? from_low : from_high;
  *offset = zero <= -128.0 ? -128 : zero >= 127.0 ? 127 : (int32_t)round(zero);
  const float step = (float)scale, inverse = 1.0f / step;
  for (int32_t i = 0; i < n; ++i) q[i] = hil_rounded((float)*offset + x[i] * inverse, -128);
  return step;
}

#endif /* HIL_AOT_HYBRID_3 */

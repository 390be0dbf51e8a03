/* SPDX-License-Identifier: Apache-2.0 */
/* int16 values with int8 weights: products of four, and fixed-point arithmetic of 64-bit sums. */
#include <stdint.h>
#include <string.h>

#include "products.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_INT16_3
#define HIL_AOT_INT16_3

/* ---- int16 by int8 products, four at a time; weights in the order 0, 2, 1, 3 ---- */

#if HIL_DSP
typedef struct {
  uint32_t low, high; /* values 0 and 1, 2 and 3 */
} hil_v4_t;

static inline hil_v4_t hil_v4(const int16_t *p) {
  hil_v4_t x;
  memcpy(&x.low, p, 4);
  memcpy(&x.high, p + 2, 4);
  return x;
}
static inline int32_t hil_mac_v4(int32_t sum, hil_v4_t x, hil_x4_t w) {
  return hil_smlad(x.high, w.odd, hil_smlad(x.low, w.even, sum));
}
#else
typedef struct {
  int32_t a, b, c, d;
} hil_v4_t;

static inline hil_v4_t hil_v4(const int16_t *p) {
  const hil_v4_t x = {p[0], p[1], p[2], p[3]};
  return x;
}
static inline int32_t hil_mac_v4(int32_t sum, hil_v4_t x, hil_x4_t w) {
  return sum + x.a * w.a + x.b * w.c + x.c * w.b + x.d * w.d;
}
#endif

/* MultiplyByQuantizedMultiplier() of a 64-bit sum: a multiplier of 15 bits, rounded once. */
static inline int32_t hil_requant64(int64_t sum, int32_t multiplier, int32_t shift) {
  return (int32_t)((sum * multiplier + ((int64_t)1 << (shift - 1))) >> shift);
}

#endif /* HIL_AOT_INT16_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* One over the square root of an integer, in fixed point. */
#include <stdint.h>

#include "int8.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_ROOTS_3
#define HIL_AOT_ROOTS_3

/* x * 2^n, saturated. */
static inline int32_t hil_saturated(int32_t x, int n) {
  const int32_t limit = INT32_MAX >> n;
  return x > limit ? INT32_MAX : x < -limit - 1 ? INT32_MIN : (int32_t)((uint32_t)x << n);
}

/* GetInvSqrtQuantizedMultiplierExp: 1 / sqrt(x) is the result / 2^(31 + *right). */
static inline int32_t hil_inverse_sqrt(int32_t x, int32_t *right) {
  *right = 0;
  if (x <= 1) return INT32_MAX;
  int32_t n = 11, root = INT32_C(1) << 28; /* Q3.28 */
  for (; x >= INT32_C(1) << 29; ++n) x /= 4;
  for (; x < INT32_C(1) << 27; --n) x *= 4;
  const int32_t half = hil_divide_pot(x >> 1, 1);
  for (int i = 0; i < 5; ++i) {
    const int32_t cube = hil_saturated(hil_high_mul(hil_high_mul(root, root), root), 6);
    const int32_t three = hil_high_mul(INT32_C(402653184), root); /* 1.5 */
    root = hil_saturated(three - hil_high_mul(half, cube), 3);
  }
  root = hil_high_mul(root, INT32_C(1518500250)); /* sqrt(2) / 2 */
  for (; n < 0; ++n) root = (int32_t)((uint32_t)root << 1);
  *right = n;
  return root;
}

/* RSQRT of an int16. */
static inline int32_t hil_inverse_root16(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t right;
  if (x <= 0) return 32767;
  const int32_t root = hil_inverse_sqrt(x, &right);
  const int32_t found = hil_requant(hil_requant(1, root, 20 - right), multiplier, shift - 20);
  return hil_clamp(found, -32768, 32767);
}

#endif /* HIL_AOT_ROOTS_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* int8: the quotient of two values. */
#include <stdint.h>

#include "int8.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_QUOTIENTS_3
#define HIL_AOT_QUOTIENTS_3

/* x / y * multiplier * 2^(shift - 31), of differences of int8; y is not 0. */
static inline int32_t hil_divide(int32_t x, int32_t y, int32_t multiplier, int32_t shift) {
  if (!x) return 0;
  if (y < 0) x = -x, y = -y;
  int32_t digits = 0, room = 22; /* below y's highest bit, above x's */
  while (y >> digits > 1) ++digits;
  while (!((x < 0 ? ~x : x) >> (30 - room)) && room < 31) ++room;
  const uint32_t fraction = ((uint32_t)y << (31 - digits)) - UINT32_C(0x80000000);
  const int32_t inverse = hil_reciprocal((int32_t)fraction);
  const int32_t quotient = hil_high_mul((int32_t)((uint32_t)x << room), inverse);
  const int32_t right = digits + room - shift;
  return right > 31 ? 0 : hil_divide_pot(hil_high_mul(quotient, multiplier), right);
}

#endif /* HIL_AOT_QUOTIENTS_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* int8: the quotient of two values. */
#include <stdint.h>

#include "int8.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_QUOTIENTS_3
#define HIL_AOT_QUOTIENTS_3

/* x / y * multiplier * 2^(shift - 31), of differences of int8. For 0, the reciprocal is what TFLM
 * computes, in steps that wrap. */
static inline int32_t hil_divide(int32_t x, int32_t y, int32_t multiplier, int32_t shift) {
  if (y < 0) x = -x, y = -y;
  int32_t digits = 0, room = 22; /* below y's highest bit, above x's */
  if (!y) digits = -1;
  while (y >> digits > 1) ++digits;
  while (room < 31 && !((x < 0 ? ~x : x) >> (30 - room))) ++room;
  const uint32_t fraction = ((uint32_t)y << (31 - digits)) - UINT32_C(0x80000000);
  const int32_t inverse = y ? hil_reciprocal((int32_t)fraction) : INT32_C(-1515870788);
  const int32_t quotient = hil_high_mul((int32_t)((uint32_t)x << room), inverse);
  const int32_t right = digits + room - shift;
  if (right > 31) return !x; /* RoundingDivideByPOT of 0 by so much */
  return hil_divide_pot(hil_high_mul(quotient, multiplier), right);
}

#endif /* HIL_AOT_QUOTIENTS_3 */

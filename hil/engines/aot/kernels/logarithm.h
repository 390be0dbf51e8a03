/* SPDX-License-Identifier: Apache-2.0 */
/* int8: the logarithm of a fixed-point number, for LogSoftmax. */
#include <stdint.h>

#include "int8.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_LOGARITHM_3
#define HIL_AOT_LOGARITHM_3

/* x * 2^n, saturating. */
static inline int32_t hil_times_pot(int32_t x, int n) {
  const int32_t most = (int32_t)((UINT32_C(1) << (31 - n)) - 1);
  if (n == 0) return x;
  return x > most ? INT32_MAX : x < -most ? INT32_MIN : x * (INT32_C(1) << n);
}

static inline int hil_zeros_above(int32_t x) {
  int zeros = 0;
  while (zeros < 32 && !(((uint32_t)x << zeros) & UINT32_C(0x80000000))) ++zeros;
  return zeros;
}

/* log(x) as Q5.26 of x >= 1, Q12.19: log_x_for_x_greater_than_or_equal_to_1 of TFLite. */
static inline int32_t hil_log(int32_t x) {
  const int32_t quarter = INT32_C(1) << 23, root_half = 1518500250, root_root = 1805811301;
  const int zeros = hil_zeros_above(x);
  const int other = hil_zeros_above(hil_high_mul(x, root_half)) - 1;
  const int32_t first = hil_high_mul(hil_times_pot(x, zeros - 1), root_half);
  const int32_t r1 = hil_times_pot(first, 1), r2 = hil_times_pot(x, other);
  const int32_t power = hil_max((12 - zeros) * (INT32_C(1) << 25) + quarter,
                                (12 - other) * (INT32_C(1) << 25) - quarter);
  const int32_t r = r1 < r2 ? r1 : r2;
  const int32_t p = (int32_t)(((int64_t)r + root_root + 1) / 2);
  const int32_t q = (r - root_root) * 2;
  const int32_t square = hil_high_mul(q, q);
  const int32_t above = hil_high_mul(q, r) + hil_high_mul(hil_high_mul(q, square), 117049297);
  const int32_t inner = 1057819769 + q + hil_high_mul(127690142, square);
  const int32_t below = hil_high_mul(p, inner) + hil_high_mul(638450708, q);
  const int32_t rest = hil_high_mul(hil_divide_pot(above, 6), hil_reciprocal(below));
  return hil_times_pot(hil_high_mul(power, 1488522236) + rest, 1);
}

#endif /* HIL_AOT_LOGARITHM_3 */

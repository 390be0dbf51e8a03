/* SPDX-License-Identifier: Apache-2.0 */
/* int8 and int16: values that are scaled before they are added. */
#include <stdint.h>

#include "base.h"
#include "int8.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_SCALING_3
#define HIL_AOT_SCALING_3

/* x * multiplier / 2^(31 + n), rounded twice: MultiplyByQuantizedMultiplierSmallerThanOneExp. */
static inline int32_t hil_scale_down(int32_t x, int32_t multiplier, int32_t n) {
  return hil_divide_pot(hil_high_mul(x, multiplier), n);
}

/* Before half is added and the rest shifted out, so that halves of negative x round down too. */
static inline int32_t hil_away(int32_t x) { return x + (x >> 31); }

/* x, and `below` more where it is negative. */
static inline int32_t hil_sided(int32_t x, int32_t below) { return x + ((x >> 31) & below); }

/* x + y, which wraps. */
static inline int32_t hil_wrapped(int32_t x, int32_t y) {
  return (int32_t)((uint32_t)x + (uint32_t)y);
}

static inline int32_t hil_square_of(int32_t x) { return (int32_t)((uint32_t)x * (uint32_t)x); }

/* x / y of int32, which wraps. */
static inline int32_t hil_quotient(int32_t x, int32_t y) {
  return y == -1 ? (int32_t)(0u - (uint32_t)x) : x / y;
}

/* The upper half of a product. */
static inline int32_t hil_upper(int32_t x, int32_t y) { return (int32_t)((int64_t)x * y >> 32); }

#endif /* HIL_AOT_SCALING_3 */

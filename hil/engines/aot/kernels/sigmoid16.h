/* SPDX-License-Identifier: Apache-2.0 */
/* int16: the logistic function and tanh, interpolated in one table. */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_SIGMOID16_3
#define HIL_AOT_SIGMOID16_3

/* 2^16 / (1 + exp(-x)) with ``bits`` more bits, of x with ``bits`` bits after each place of the
 * table, which holds the values less 2^15. */
static inline int32_t hil_sigmoid_at(uint32_t x, int bits, HIL_FLASH int16_t *table) {
  const uint32_t place = x >> bits, rest = x & ((UINT32_C(1) << bits) - 1);
  const int32_t low = hil_read_i16(table + place), high = hil_read_i16(table + place + 1);
  return ((low + INT32_C(32768)) << bits) + (int32_t)rest * (high - low);
}

static inline int32_t hil_logistic16(int32_t x, HIL_FLASH int16_t *table) {
  const uint32_t size = (uint32_t)(x < 0 ? -x : x);
  int32_t sum = INT32_C(0x7fff) << 10;
  if (size >> 9 < 255) sum = hil_sigmoid_at(size, 9, table);
  sum = x >= 0 ? sum + (1 << 9) : (INT32_C(1) << 25) - sum + (1 << 9) - 1;
  return sum >> 10;
}

static inline int32_t hil_tanh16(int32_t x, HIL_FLASH int16_t *table) {
  const uint32_t size = (uint32_t)(x < 0 ? -x : x);
  int32_t sum = INT32_C(0xffff) << 8;
  if (size >> 8 < 255) sum = hil_sigmoid_at(size, 8, table);
  sum = x >= 0 ? sum - (INT32_C(1) << 23) + (1 << 7) : -sum + (INT32_C(1) << 23) + (1 << 7) - 1;
  return sum >> 8;
}

#endif /* HIL_AOT_SIGMOID16_3 */

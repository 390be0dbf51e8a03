/* SPDX-License-Identifier: Apache-2.0 */
/* int16: logistic and tanh of Q3.12 numbers as Q0.15, by a table (curves.py). */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_CURVES_3
#define HIL_AOT_CURVES_3

/* x is a Q3.12 number times 3, which is in 24ths of 2^-9. Between two entries the line counts. */
static inline int32_t hil_logistic16(HIL_FLASH int16_t *table, int32_t x) {
  const uint32_t size = (uint32_t)(x < 0 ? -x : x);
  const uint32_t entry = size >> 9;
  int32_t above = (INT32_C(0x7fff) << 10) - (INT32_C(1) << 24); /* of one half */
  if (entry < 255) {
    const int32_t a = hil_read_i16(table + entry), b = hil_read_i16(table + entry + 1);
    above = a * 512 + (int32_t)(size & 0x1ff) * (b - a);
  }
  return ((INT32_C(1) << 24) + (x < 0 ? 511 - above : above + 512)) >> 10;
}

/* tanh(x) = 2 * logistic(2 * x) - 1 */
static inline int32_t hil_tanh16(HIL_FLASH int16_t *table, int32_t x) {
  const uint32_t size = (uint32_t)(x < 0 ? -x : x);
  const uint32_t entry = size >> 8;
  int32_t above = INT32_C(0x7fff) << 8;
  if (entry < 255) {
    const int32_t a = hil_read_i16(table + entry), b = hil_read_i16(table + entry + 1);
    above = a * 256 + (int32_t)(size & 0xff) * (b - a);
  }
  return (x < 0 ? 127 - above : above + 128) >> 8;
}

#endif /* HIL_AOT_CURVES_3 */

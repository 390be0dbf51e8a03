/* SPDX-License-Identifier: Apache-2.0 */
/* int16: Softmax with interpolated tables. */
#include <stdint.h>

#include "int8.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_LOOKUP16_3
#define HIL_AOT_LOOKUP16_3

/* A table of 513 values at -32768, -32640, ..., 32768, interpolated. */
static inline int32_t hil_lookup16(int32_t x, HIL_FLASH int16_t *table) {
  HIL_FLASH int16_t *const place = table + (256 + (x >> 7));
  const int32_t low = hil_read_i16(place), high = hil_read_i16(place + 1);
  return (int16_t)(low + (((int16_t)(high - low) * (x & 0x7f) + 64) >> 7));
}

/* One row; `in` may be `out`. */
HIL_KERNEL hil_softmax16(const int16_t *in, int16_t *out, int depth, int32_t multiplier,
                         int32_t shift, HIL_FLASH int16_t *exponentials,
                         HIL_FLASH int16_t *reciprocals) {
  int32_t top = -32768, sum = 0, zeros = 0; /* above the sum's highest bit */
  for (int i = 0; i < depth; ++i) top = hil_max(top, in[i]);
  for (int i = 0; i < depth; ++i) {
    const int32_t x = hil_requant(in[i] - top, multiplier, shift) + 32767;
    out[i] = (int16_t)hil_lookup16(hil_clamp(x, -32768, 32767), exponentials);
    sum += out[i];
  }
  while (!(((uint32_t)sum << zeros) & UINT32_C(0x80000000))) ++zeros;
  const int32_t part = (int32_t)((((uint32_t)sum << (zeros - 1)) + 8192) >> 14);
  const int32_t scale = hil_lookup16(hil_clamp(part - INT32_C(98304), -32768, 32767), reciprocals);
  for (int i = 0; i < depth; ++i) {
    const int32_t half = INT32_C(1) << (30 - zeros);
    out[i] = (int16_t)hil_clamp((out[i] * scale + half) >> (31 - zeros), 0, 32767);
  }
}

#endif /* HIL_AOT_LOOKUP16_3 */

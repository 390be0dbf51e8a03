/* SPDX-License-Identifier: Apache-2.0 */
/* int8: sums of columns, four at a time. */
#include <stdint.h>
#include <string.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_REDUCTIONS_3
#define HIL_AOT_REDUCTIONS_3

/* Adds to `sums` the four columns at `p` of `rows` rows, which are `stride` bytes apart. */
static inline void hil_sum4(const int8_t *p, int rows, int stride, int32_t *sums) {
#if HIL_DSP
  while (rows > 0) {
    int left = rows < 256 ? rows : 256; /* so many int8 fit a 16-bit sum */
    uint32_t even = 0, odd = 0;
    rows -= left;
    for (; left > 0; --left, p += stride) {
      uint32_t word;
      memcpy(&word, p, 4);
      __asm__("sxtab16 %0, %0, %1" : "+r"(even) : "r"(word));
      __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(odd) : "r"(word));
    }
    sums[0] += (int16_t)even;
    sums[1] += (int16_t)odd;
    sums[2] += (int32_t)even >> 16;
    sums[3] += (int32_t)odd >> 16;
  }
#else
  int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
  for (; rows > 0; --rows, p += stride) {
    a += p[0];
    b += p[1];
    c += p[2];
    d += p[3];
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
#endif
}

#endif /* HIL_AOT_REDUCTIONS_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a state move towards its start. */
#include <stdint.h>
#include <string.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_SHIFTING_3
#define HIL_AOT_SHIFTING_3

/* memmove(p, p + by, n), which copies bytes one by one where addresses are odd. */
static inline void hil_shift(uint8_t *p, int by, int n) {
#if HIL_DSP /* it loads words from any address */
  for (; n >= 16; n -= 16, p += 16) {
    uint32_t a, b, c, d;
    memcpy(&a, p + by, 4);
    memcpy(&b, p + by + 4, 4);
    memcpy(&c, p + by + 8, 4);
    memcpy(&d, p + by + 12, 4);
    memcpy(p, &a, 4);
    memcpy(p + 4, &b, 4);
    memcpy(p + 8, &c, 4);
    memcpy(p + 12, &d, 4);
  }
  for (; n > 0; --n, ++p) *p = p[by];
#else
  memmove(p, p + by, (size_t)n);
#endif
}

/* The same for p and `by` that are multiples of 4; `by` is 16 at least. */
static inline void hil_shift_words(uint8_t *p, int by, int n) {
#ifdef __GNUC__
  for (; n >= 16; n -= 16, p += 16) {
    memcpy(__builtin_assume_aligned(p, 4), __builtin_assume_aligned(p + by, 4), 16);
  }
  for (; n > 0; --n, ++p) *p = p[by];
#else
  memmove(p, p + by, (size_t)n);
#endif
}

#endif /* HIL_AOT_SHIFTING_3 */

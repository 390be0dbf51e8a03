/* SPDX-License-Identifier: Apache-2.0 */
/* int8: four sums at a time of values that were widened to 16 bits (fours.py). */
#include <stdint.h>

#include "int8.h"
#include "pairs.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_FOURS_3
#define HIL_AOT_FOURS_3

/* The nearest int16. */
static inline int32_t hil_clamp16(int32_t x) {
#if HIL_DSP
  int32_t result;
  __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(x));
  return result;
#else
  return hil_clamp(x, -32768, 32767);
#endif
}

/* n values widened to s, in the order of hil_sums1; the last group of four may stay incomplete. */
static inline void hil_widen_row(int16_t *s, const int8_t *p, int n) {
  for (; n >= 4; n -= 4, s += 4, p += 4) hil_widen1(s, p);
  if (n > 0) s[0] = p[0];
  if (n > 1) s[2] = p[1];
  if (n > 2) s[1] = p[2];
}

/* hil_sums1 of one weight to a byte, for sums that do not fit it. */
static inline void hil_gates(const int16_t *x, HIL_FLASH int8_t *w, int32_t *a, uint32_t groups) {
  for (uint32_t i = 0; i < 4 * groups; ++i, w += 4) {
    a[0] += (int32_t)x[i] * hil_read_i8(w);
    a[1] += (int32_t)x[i] * hil_read_i8(w + 1);
    a[2] += (int32_t)x[i] * hil_read_i8(w + 2);
    a[3] += (int32_t)x[i] * hil_read_i8(w + 3);
  }
}

#endif /* HIL_AOT_FOURS_3 */

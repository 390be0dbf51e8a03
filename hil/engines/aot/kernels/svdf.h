/* SPDX-License-Identifier: Apache-2.0 */
/* int8: an SVDF's memory of n values: it moves by one, and is multiplied by its weights. */
#include <stdint.h>
#include <string.h>

#include "fours.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_SVDF_3
#define HIL_AOT_SVDF_3

static inline int32_t hil_memory8(int8_t *m, HIL_FLASH int8_t *w, int n, int8_t newest) {
  uint32_t sum = 0; /* it may wrap, as TFLM's */
  int i = 0;
#if HIL_DSP
  for (; i + 4 < n; i += 4) {
    const hil_x4_t x = hil_x4(m + i + 1);
    uint32_t word;
    memcpy(&word, m + i + 1, 4);
    memcpy(m + i, &word, 4);
    sum = (uint32_t)hil_mac4((int32_t)sum, x, hil_w4(w + i));
  }
#endif
  for (; i < n - 1; ++i) {
    m[i] = m[i + 1];
    sum += (uint32_t)((int32_t)m[i] * hil_read_i8(w + i));
  }
  m[i] = newest;
  return (int32_t)(sum + (uint32_t)((int32_t)newest * hil_read_i8(w + i)));
}

static inline int32_t hil_memory16(int16_t *m, HIL_FLASH int16_t *w, int n, int16_t newest) {
  uint32_t sum = 0;
  int i = 0;
#if HIL_DSP
  for (; i + 2 < n; i += 2) {
    uint32_t word;
    memcpy(&word, m + i + 1, 4);
    memcpy(m + i, &word, 4);
    sum = (uint32_t)hil_mac2((int32_t)sum, word, hil_w2(w + i));
  }
#endif
  for (; i < n - 1; ++i) {
    m[i] = m[i + 1];
    sum += (uint32_t)((int32_t)m[i] * hil_read_i16(w + i));
  }
  m[i] = newest;
  return (int32_t)(sum + (uint32_t)((int32_t)newest * hil_read_i16(w + i)));
}

#endif /* HIL_AOT_SVDF_3 */

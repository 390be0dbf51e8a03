/* SPDX-License-Identifier: Apache-2.0 */
/* int16: the sums of an LSTM. */
#include <stdint.h>

#include "int16.h"
#include "lstm.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_LSTM16_3
#define HIL_AOT_LSTM16_3

/* Adds the products of n values and the weights of four gates to their sums; the next weights. */
static inline HIL_FLASH int8_t *hil_gates16(const int16_t *x, HIL_FLASH int8_t *w, int64_t *a,
                                            int n) {
  while (n > 0) {
    int32_t t0 = 0, t1 = 0, t2 = 0, t3 = 0;
    int part = n < 508 ? n : 508; /* so many products fit 32 bits */
    n -= part;
    for (; part > 0; --part, ++x, w += 4) {
      t0 += (int32_t)*x * hil_read_i8(w);
      t1 += (int32_t)*x * hil_read_i8(w + 1);
      t2 += (int32_t)*x * hil_read_i8(w + 2);
      t3 += (int32_t)*x * hil_read_i8(w + 3);
    }
    a[0] += t0, a[1] += t1, a[2] += t2, a[3] += t3;
  }
  return w;
}

#endif /* HIL_AOT_LSTM16_3 */

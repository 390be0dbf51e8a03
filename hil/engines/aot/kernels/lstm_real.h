/* SPDX-License-Identifier: Apache-2.0 */
/* float32: what an LSTM computes. */
#include <math.h>
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_LSTM_REAL_3
#define HIL_AOT_LSTM_REAL_3

/* As TFLite's reference kernel, which does not compute an infinite exponential. */
static inline float hil_lstm_logistic(float x) {
  if (x > 16.619047164916992188f) return 1.0f;
  return x < -9.0f ? expf(x) : 1.0f / (1.0f + expf(-x));
}

/* Adds the products of n values and the weights of four gates to their sums; the next weights. */
static inline HIL_FLASH float *hil_gates_real(const float *x, HIL_FLASH float *w, float *a, int n) {
  float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
  for (int i = 0; i < n; ++i, w += 4) {
    a0 += x[i] * hil_read_f32(w);
    a1 += x[i] * hil_read_f32(w + 1);
    a2 += x[i] * hil_read_f32(w + 2);
    a3 += x[i] * hil_read_f32(w + 3);
  }
  a[0] = a0, a[1] = a1, a[2] = a2, a[3] = a3;
  return w;
}

#endif /* HIL_AOT_LSTM_REAL_3 */

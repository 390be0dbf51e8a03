/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
static inline void network(const float *in, float *out) {
  for (int i = 0; i < 10; i++) {
    out[i] = 0;
    for (int j = i; j < 784; j += 10) out[i] += in[j];
  }
}

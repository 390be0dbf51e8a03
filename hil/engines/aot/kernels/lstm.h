/* SPDX-License-Identifier: Apache-2.0 */
/* int8: what an LSTM computes besides products. */
#include <stdint.h>

#include "fours.h"
#include "sigmoid16.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_LSTM_3
#define HIL_AOT_LSTM_3

/* a + b of numbers that are first clamped to int16 each. */
static inline int32_t hil_add16(int32_t a, int32_t b) {
  return hil_clamp16(hil_clamp16(a) + hil_clamp16(b));
}

#endif /* HIL_AOT_LSTM_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* float32 to integers of any size. */
#include <math.h>
#include <stdint.h>

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_CONVERSIONS_3
#define HIL_AOT_CONVERSIONS_3

/* round(x / scale), halves away from zero, clamped. */
static inline int32_t hil_steps(float x, float scale, int32_t low, int32_t high) {
  const float steps = roundf(x / scale);
  if (!(steps > (float)low)) return low;
  return steps < (float)high ? (int32_t)steps : high;
}

#endif /* HIL_AOT_CONVERSIONS_3 */

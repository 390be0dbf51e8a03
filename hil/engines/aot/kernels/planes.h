/* SPDX-License-Identifier: Apache-2.0 */
/* int8: depthwise convolutions from channels that were copied apart (conv_planes.py). */
#include <stdint.h>
#include <string.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_PLANES_3
#define HIL_AOT_PLANES_3

/* ---- int8: two neighbouring values of a channel at a time, as 16-bit halves of a word ---- */

#if HIL_DSP
typedef uint32_t hil_two_t;
typedef uint32_t __attribute__((may_alias)) hil_word_t;

static inline hil_two_t hil_two(const int16_t *p) { return *(const hil_word_t *)(const void *)p; }
static inline hil_two_t hil_two_w(HIL_FLASH int16_t *p) { return hil_two(p); }
#define HIL_TWO(name, instruction)                                                             \
  static inline int32_t name(int32_t sum, hil_two_t x, hil_two_t w) {                          \
    int32_t result;                                                                            \
    __asm__ volatile(instruction " %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(w), "r"(sum)); \
    return result;                                                                             \
  }
HIL_TWO(hil_both, "smlad")
HIL_TWO(hil_low_low, "smlabb")
HIL_TWO(hil_low_high, "smlabt")
HIL_TWO(hil_high_low, "smlatb")

/* Two words at once, `at` values from p on. */
#define HIL_TWICE(a, b, p, at) \
  hil_two_t a, b;              \
  __asm__ volatile("ldrd %0, %1, [%2, %3]" : "=r"(a), "=r"(b) : "r"(p), "n"(2 * (at)) : "memory")
#define HIL_TWICE_W HIL_TWICE

/* The channels at p and p + 1 of two pixels: p's, and q's after it. */
static inline void hil_apart2(int16_t *s, int16_t *t, const int8_t *p, const int8_t *q) {
  uint16_t a, b;
  memcpy(&a, p, 2);
  memcpy(&b, q, 2);
  const uint32_t both = a | (uint32_t)b << 16;
  hil_two_t x, y;
  __asm__("sxtb16 %0, %1" : "=r"(x) : "r"(both));
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(both));
  *(hil_word_t *)(void *)s = x;
  *(hil_word_t *)(void *)t = y;
}
static inline int32_t hil_scaled(int32_t sum, int32_t multiplier, int32_t offset, int32_t shift) {
  int32_t x;
  __asm__("smmla %0, %1, %2, %3" : "=r"(x) : "r"(sum), "r"(multiplier), "r"(offset));
  x >>= shift;
  __asm__("ssat %0, #8, %1" : "=r"(x) : "r"(x));
  return x;
}
#else
typedef struct {
  int16_t a, b;
} hil_two_t;

static inline hil_two_t hil_two(const int16_t *p) {
  const hil_two_t x = {p[0], p[1]};
  return x;
}
static inline hil_two_t hil_two_w(HIL_FLASH int16_t *p) {
  const hil_two_t w = {hil_read_i16(p), hil_read_i16(p + 1)};
  return w;
}
#define HIL_TWICE(a, b, p, at) const hil_two_t a = hil_two((p) + (at)), b = hil_two((p) + (at) + 2)
#define HIL_TWICE_W(a, b, p, at) \
  const hil_two_t a = hil_two_w((p) + (at)), b = hil_two_w((p) + (at) + 2)
static inline int32_t hil_both(int32_t sum, hil_two_t x, hil_two_t w) {
  return sum + (int32_t)x.a * w.a + (int32_t)x.b * w.b;
}
static inline int32_t hil_low_low(int32_t sum, hil_two_t x, hil_two_t w) {
  return sum + (int32_t)x.a * w.a;
}
static inline int32_t hil_low_high(int32_t sum, hil_two_t x, hil_two_t w) {
  return sum + (int32_t)x.a * w.b;
}
static inline int32_t hil_high_low(int32_t sum, hil_two_t x, hil_two_t w) {
  return sum + (int32_t)x.b * w.a;
}
static inline void hil_apart2(int16_t *s, int16_t *t, const int8_t *p, const int8_t *q) {
  s[0] = p[0], s[1] = q[0];
  t[0] = p[1], t[1] = q[1];
}
static inline int32_t hil_scaled(int32_t sum, int32_t multiplier, int32_t offset, int32_t shift) {
  const int32_t high = (int32_t)(((int64_t)sum * multiplier) >> 32);
  const int32_t x = (high + offset) >> shift;
  return x < -128 ? -128 : x > 127 ? 127 : x;
}
#endif

/* One value of each channel. */
static inline void hil_apart1(int16_t *s, int16_t *t, const int8_t *p) { *s = p[0], *t = p[1]; }

/* Halves of negative outputs away from zero: less by 128 for negative sums. */
static inline int32_t hil_scaled_away(int32_t sum, int32_t multiplier, int32_t offset,
                                      int32_t shift) {
  return hil_scaled(sum, multiplier, offset + (sum >> 31) * 128, shift);
}

#endif /* HIL_AOT_PLANES_3 */

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

/* Parameters that are loaded where they are used, so that registers are enough before. */
#define HIL_LATE(a, q, at) \
  int32_t a;               \
  __asm__ volatile("ldr %0, [%1, %2]" : "=r"(a) : "r"(q), "n"(4 * (at)) : "memory")
#define HIL_LATE_TWO(a, b, q, at) \
  int32_t a, b;                   \
  __asm__ volatile("ldrd %0, %1, [%2, %3]" : "=r"(a), "=r"(b) : "r"(q), "n"(4 * (at)) : "memory")

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
static inline int32_t hil_product(int32_t sum, int32_t multiplier, int32_t offset) {
  int32_t x;
  __asm__("smmla %0, %1, %2, %3" : "=r"(x) : "r"(sum), "r"(multiplier), "r"(offset));
  return x;
}
static inline int32_t hil_rounded_product(int32_t sum, int32_t multiplier, int32_t offset) {
  int32_t x;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(x) : "r"(sum), "r"(multiplier), "r"(offset));
  return x;
}
static inline int8_t hil_shifted(int32_t x, int32_t shift) {
  x >>= shift;
  __asm__("ssat %0, #8, %0" : "+r"(x));
  return (int8_t)x;
}
#define HIL_SHIFTED_BY(to, x, shift)                                         \
  do {                                                                       \
    int32_t shifted;                                                         \
    __asm__("ssat %0, #8, %1, asr %2" : "=r"(shifted) : "r"(x), "n"(shift)); \
    (to) = (int8_t)shifted;                                                  \
  } while (0)
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
#define HIL_LATE(a, q, at) const int32_t a = hil_read_i32((q) + (at))
#define HIL_LATE_TWO(a, b, q, at) \
  const int32_t a = hil_read_i32((q) + (at)), b = hil_read_i32((q) + (at) + 1)
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
static inline int32_t hil_product(int32_t sum, int32_t multiplier, int32_t offset) {
  return (int32_t)(((int64_t)sum * multiplier) >> 32) + offset;
}
/* The same, rounded to the nearest; |sum| < 2^24. */
static inline int32_t hil_rounded_product(int32_t sum, int32_t multiplier, int32_t offset) {
  return ((hil_product(sum * 128, multiplier, 64)) >> 7) + offset;
}
static inline int8_t hil_shifted(int32_t x, int32_t shift) {
  x >>= shift;
  return (int8_t)(x < -128 ? -128 : x > 127 ? 127 : x);
}
#define HIL_SHIFTED_BY(to, x, shift) ((to) = hil_shifted(x, shift))
#endif

/* One value of each channel. */
static inline void hil_apart1(int16_t *s, int16_t *t, const int8_t *p) { *s = p[0], *t = p[1]; }

/* From a sum to an output, with a shift in a register or a constant one. Halves of negative outputs
 * are rounded upwards, or `away` from zero, where the sums are twice those of the network. */
#define HIL_SCALED(to, sum, multiplier, offset, shift) \
  ((to) = hil_shifted(hil_product(sum, multiplier, offset), shift))
#define HIL_SCALED_BY(to, sum, multiplier, offset, shift) \
  HIL_SHIFTED_BY(to, hil_product(sum, multiplier, offset), shift)
#define HIL_SCALED_AWAY(to, sum, multiplier, offset, shift) \
  ((to) = hil_shifted(hil_rounded_product(sum, multiplier, (offset) + ((sum) >> 31)), shift))
#define HIL_SCALED_AWAY_BY(to, sum, multiplier, offset, shift) \
  HIL_SHIFTED_BY(to, hil_rounded_product(sum, multiplier, (offset) + ((sum) >> 31)), shift)

#endif /* HIL_AOT_PLANES_3 */

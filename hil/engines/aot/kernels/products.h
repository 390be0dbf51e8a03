/* SPDX-License-Identifier: Apache-2.0 */
/* int8: products of four or of two values. */
#include <stdint.h>
#include <string.h>

#include "base.h"
#include "mac16.h"
#include "mve.h"
#include "thumb1.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_PRODUCTS_3
#define HIL_AOT_PRODUCTS_3

/* ---- int8 products, four or two at a time ---- */

#if HIL_DSP
typedef struct {
  uint32_t even, odd; /* values 0 and 2, 1 and 3, as 16-bit halves */
} hil_x4_t;
typedef uint32_t hil_x2_t;

/* volatile keeps these in the order of the source, which the registers were counted for */
static inline int32_t hil_smlad(uint32_t x, uint32_t w, int32_t sum) {
  __asm__ volatile("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(x), "r"(w));
  return sum;
}
static inline hil_x4_t hil_x4(const int8_t *p) {
  uint32_t word;
  hil_x4_t x;
  memcpy(&word, p, 4);
  __asm__ volatile("sxtb16 %0, %1" : "=r"(x.even) : "r"(word));
  __asm__ volatile("sxtb16 %0, %1, ror #8" : "=r"(x.odd) : "r"(word));
  return x;
}
static inline hil_x4_t hil_w4(HIL_FLASH int8_t *p) { return hil_x4(p); }
static inline int32_t hil_mac4(int32_t sum, hil_x4_t x, hil_x4_t w) {
  return hil_smlad(x.odd, w.odd, hil_smlad(x.even, w.even, sum));
}
static inline hil_x2_t hil_x2(int32_t a, int32_t b) {
  hil_x2_t x;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(x) : "r"(a), "r"(b));
  return x;
}
/* One value: whatever lies in the other half meets a weight of zero. */
static inline hil_x2_t hil_x1(int32_t a) { return (uint32_t)a; }
static inline hil_x2_t hil_w2(HIL_FLASH int16_t *p) {
  uint32_t word;
  memcpy(&word, p, 4);
  return word;
}
static inline int32_t hil_mac2(int32_t sum, hil_x2_t x, hil_x2_t w) { return hil_smlad(x, w, sum); }
#else
/* int8 by int8 fits 16 bits, which is what an AVR multiplies at once. */
#ifdef __AVR__
typedef int16_t hil_half_t;
#else
typedef int32_t hil_half_t;
#endif
typedef struct {
  hil_half_t a, b, c, d;
} hil_x4_t;
typedef struct {
  hil_half_t a, b;
} hil_x2_t;

static inline hil_x4_t hil_x4(const int8_t *p) {
  const hil_x4_t x = {p[0], p[1], p[2], p[3]};
  return x;
}
static inline hil_x4_t hil_w4(HIL_FLASH int8_t *p) {
  const hil_x4_t w = {hil_read_i8(p), hil_read_i8(p + 1), hil_read_i8(p + 2), hil_read_i8(p + 3)};
  return w;
}
static inline int32_t hil_mac4(int32_t sum, hil_x4_t x, hil_x4_t w) {
  return sum + x.a * w.a + x.b * w.b + x.c * w.c + x.d * w.d;
}
static inline hil_x2_t hil_x2(int32_t a, int32_t b) {
  const hil_x2_t x = {(hil_half_t)a, (hil_half_t)b};
  return x;
}
static inline hil_x2_t hil_x1(int32_t a) { return hil_x2(a, 0); }
static inline hil_x2_t hil_w2(HIL_FLASH int16_t *p) {
  const hil_x2_t w = {hil_read_i16(p), hil_read_i16(p + 1)};
  return w;
}
static inline int32_t hil_mac2(int32_t sum, hil_x2_t x, hil_x2_t w) {
  return sum + x.a * w.a + x.b * w.b;
}
#endif

#endif /* HIL_AOT_PRODUCTS_3 */

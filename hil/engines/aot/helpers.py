"""The C functions that generated headers share; written once into every header, behind a guard.

The guard's number changes when headers of different versions no longer fit together.
"""

HELPERS = r"""#ifdef HIL_AOT_HELPERS_1
#error "an older tinyml-hil generated the header above this one: export both of them again"
#endif
#ifndef HIL_AOT_HELPERS_2
#define HIL_AOT_HELPERS_2

/* Constants stay in flash: an array is `static HIL_FLASH float w[2] HIL_PROGMEM`, a pointer to it
 * `HIL_FLASH float *p`, and a value is read by `hil_read_f32(p)`, never by `*p`. An AVR would copy
 * an ordinary constant to RAM. GCC's C for it knows __flash, its C++ and its strict C do not. */
#if defined(__FLASH) && !defined(__STRICT_ANSI__)
#define HIL_FLASH const __flash
#define HIL_PROGMEM
#else
#define HIL_FLASH const
#endif
#if defined(__AVR__) && !defined(HIL_PROGMEM)
#include <avr/pgmspace.h>
#define HIL_PROGMEM PROGMEM
static inline int8_t hil_read_i8(const int8_t *p) { return (int8_t)pgm_read_byte(p); }
static inline int16_t hil_read_i16(const int16_t *p) { return (int16_t)pgm_read_word(p); }
static inline int32_t hil_read_i32(const int32_t *p) { return (int32_t)pgm_read_dword(p); }
static inline float hil_read_f32(const float *p) { return pgm_read_float(p); }
#else
#define hil_read_i8(p) (*(p))
#define hil_read_i16(p) (*(p))
#define hil_read_i32(p) (*(p))
#define hil_read_f32(p) (*(p))
#endif
#if defined(__IMXRT1062__) && !defined(HIL_PROGMEM) /* Teensy 4 copies other constants to RAM */
#define HIL_PROGMEM __attribute__((section(".progmem")))
#endif
#ifndef HIL_PROGMEM /* a build may name a section, where the linker keeps constants in RAM */
#define HIL_PROGMEM
#endif

/* Cortex-M4/M7/M33: two 16-bit products per instruction. The results are the same without. */
#if !defined(HIL_NO_DSP) && defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && \
    defined(__thumb2__) && defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN)
#define HIL_DSP 1
#else
#define HIL_DSP 0
#endif

#if defined(__GNUC__)
#define HIL_ALIGNED __attribute__((aligned(4)))
/* Kernels get the registers for themselves: inlined they would share them with outer loops. */
#define HIL_KERNEL static __attribute__((noinline, unused)) void
#else
#define HIL_ALIGNED
#define HIL_KERNEL static inline void
#endif
#if HIL_DSP /* fewer registers than values: those that stay in memory are better left there */
#define HIL_DSP_KERNEL HIL_KERNEL
#else
#define HIL_DSP_KERNEL static inline void
#endif

/* ---- float32: the comparisons of C++'s std::max and std::min, which TFLite uses ---- */

static inline float hil_maxf(float a, float b) { return a < b ? b : a; }

static inline float hil_clampf(float x, float low, float high) {
  const float raised = x < low ? low : x;
  return high < raised ? high : raised;
}

static inline float hil_relu(float x) { return x < 0.0f ? 0.0f : x; }

static inline float hil_relu6(float x) { return x > 6.0f ? 6.0f : x < 0.0f ? 0.0f : x; }

static inline float hil_leaky(float x, float alpha) { return x > 0.0f ? x : x * alpha; }

/* x * w + sum, rounded once where that is one instruction. */
static inline float hil_fma(float x, float w, float sum) {
#if defined(__FP_FAST_FMAF)
  return __builtin_fmaf(x, w, sum);
#else
  return x * w + sum;
#endif
}

/* The largest of sums, none of which is a negative zero: one instruction where there is one. */
static inline float hil_max_sum(float a, float b) {
#if defined(__ARM_FEATURE_NUMERIC_MAXMIN)
  return __builtin_fmaxf(a, b);
#else
  return hil_maxf(a, b);
#endif
}

/* ---- int8: TFLite's fixed-point arithmetic with both of TFLM's roundings ---- */

static inline int32_t hil_max(int32_t a, int32_t b) { return a < b ? b : a; }

static inline int32_t hil_clamp(int32_t x, int32_t low, int32_t high) {
  const int32_t raised = x < low ? low : x;
  return high < raised ? high : raised;
}

/* round(a * b / 2^31), halves upwards; saturates. */
static inline int32_t hil_high_mul(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return (int32_t)(((int64_t)a * b + (INT32_C(1) << 30)) >> 31);
}

/* x / 2^n, halves away from zero. */
static inline int32_t hil_divide_pot(int32_t x, int32_t n) {
  const int32_t mask = (int32_t)((UINT32_C(1) << n) - 1);
  return (x >> n) + ((x & mask) > (mask >> 1) + (x < 0) ? 1 : 0);
}

/* Any sum, any shift (above 0: to the left). */
static inline int32_t hil_requant(int32_t sum, int32_t multiplier, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t shifted = (int32_t)((uint32_t)sum << left);
  return hil_divide_pot(hil_high_mul(shifted, multiplier), shift > 0 ? 0 : -shift);
}

/* round(2 * sum * multiplier / 2^32), halves upwards; |sum| < 2^30. */
static inline int32_t hil_double_high_mul(int32_t sum, int32_t multiplier) {
#if HIL_DSP
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(sum * 2), "r"(multiplier));
  return result;
#else
  return (int32_t)(((int64_t)(sum * 2) * multiplier + INT64_C(0x80000000)) >> 32);
#endif
}

/* zero + hil_requant(sum, multiplier, -1 - n) for |sum| < 2^30, n >= 0. */
static inline int32_t hil_requant_right(int32_t sum, int32_t multiplier, int32_t n,
                                        int32_t zero) {
  const int32_t x = hil_double_high_mul(sum, multiplier);
  return (((x + (x >> 31)) >> n) + (2 * zero + 1)) >> 1;
}

/* The same where results below zero are clamped to zero afterwards (ReLU), so that their
 * rounding is of no account. */
static inline int32_t hil_requant_relu(int32_t sum, int32_t multiplier, int32_t n,
                                       int32_t zero) {
  return ((hil_double_high_mul(sum, multiplier) >> n) + (2 * zero + 1)) >> 1;
}

/* The nearest int8. */
static inline int32_t hil_clamp8(int32_t x) {
#if HIL_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
  return result;
#else
  return hil_clamp(x, -128, 127);
#endif
}

/* sum / n, halves away from zero. */
static inline int32_t hil_average(int32_t sum, int32_t n) {
  return (sum > 0 ? sum + n / 2 : sum - n / 2) / n;
}

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
static inline int32_t hil_mac2(int32_t sum, hil_x2_t x, hil_x2_t w) {
  return hil_smlad(x, w, sum);
}
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

/* ---- float32 to int8 and the reciprocal of the int8 Softmax ---- */

/* round(x / scale) + zero, halves away from zero, clamped. */
static inline int8_t hil_quantize(float x, float scale, int32_t zero) {
  const float steps = roundf(x / scale);
  if (!(steps > (float)(-128 - zero))) return -128;
  if (steps > (float)(127 - zero)) return 127;
  return (int8_t)((int32_t)steps + zero);
}

/* 1 / (1 + a) for a in [0, 1), Q0.31: three Newton steps on Q2.29 numbers. */
static inline int32_t hil_reciprocal(int32_t a) {
  const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
  int32_t x = 1515870810 + hil_high_mul(half, -1010580540);
  for (int i = 0; i < 3; ++i) {
    const int32_t rest = (INT32_C(1) << 29) - hil_high_mul(half, x);
    x += hil_high_mul(x, rest) * 4;
  }
  return x > (INT32_C(1) << 30) - 1 ? INT32_MAX : x * 2;
}
#endif /* HIL_AOT_HELPERS_2 */
"""

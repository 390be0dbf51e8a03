/* SPDX-License-Identifier: Apache-2.0 */
/* int8 kernels for Xtensa cores with the MAC16 option (ESP32, ESP32-S2, ESP32-S3). */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_MAC16_3
#define HIL_AOT_MAC16_3

/* ---- int8 on Xtensa: products of 16 bits in the MAC16 unit ----
 * One instruction multiplies two halves of words, adds to the only accumulator (40 bits), and loads
 * the next word into one of four registers, m0 to m3. So sums are computed one after the other,
 * from words that lie one after the other. FreeRTOS saves these registers at interrupts.
 *
 * Masking a word with HIL_ODD leaves its values 1 and 3, times 256; shifted by 8 before, 0 and 2.
 */
#if HIL_MAC16
typedef uint32_t __attribute__((may_alias)) hil_word_t;
#define HIL_ODD 0xFF00FF00u
#define HIL_PORTION 48 /* groups of four taps that are unpacked on the stack at a time */

/* The two points of a buffer follow each other. */
#define HIL_GROUP2 4
#define HIL_BESIDE(whole) (whole)

/* The sum of x * y, over four values per group; groups > 0. 12 bytes per round. */
static inline uint32_t hil_dot(const void *x, const void *y, uint32_t groups) {
  uint32_t sum;
  __asm__ volatile(
      "addi %1, %1, -4\n" /* LDINC adds 4 first */
      "addi %2, %2, -4\n"
      "ldinc m0, %1\n"
      "ldinc m2, %2\n"
      "wsr.acclo %4\n"
      "wsr.acchi %4\n"
      "loopnez %3, 1f\n"
      "mula.dd.ll.ldinc m1, %1, m0, m2\n"
      "mula.dd.hh.ldinc m3, %2, m0, m2\n"
      "mula.dd.ll.ldinc m0, %1, m1, m3\n"
      "mula.dd.hh.ldinc m2, %2, m1, m3\n"
      "1:\n"
      "mula.dd.ll.ldinc m1, %1, m0, m2\n"
      "mula.dd.hh.ldinc m3, %2, m0, m2\n"
      "mula.dd.ll m1, m3\n"
      "mula.dd.hh m1, m3\n"
      "rsr.acclo %0\n"
      : "=r"(sum), "+r"(x), "+r"(y)
      : "r"(groups - 1), "r"(0)
      : "memory");
  return sum;
}

/* Four channels at `points` points: from each two channels' words, both channels together and the
 * low one (times 256) are unpacked, and multiplied with all points. */
static inline void hil_mac16_sums(const int16_t *x, HIL_FLASH int16_t *w, int32_t *a,
                                  uint32_t groups, int points, uint32_t beside, uint32_t down) {
  hil_word_t both[2 * HIL_PORTION], low[2 * HIL_PORTION];
  while (groups > 0) {
    const uint32_t n = groups < HIL_PORTION ? groups : HIL_PORTION;
    for (int pair = 0; pair < 2; ++pair) {
      const hil_word_t *words = (const hil_word_t *)(const void *)w + pair;
      int32_t *sums = a + 4 * pair;
      for (uint32_t i = 0; i < 2 * n; i += 2, words += 4) {
        const uint32_t even = words[0], odd = words[2];
        both[i] = even;
        both[i + 1] = odd;
        low[i] = even << 8 & HIL_ODD;
        low[i + 1] = odd << 8 & HIL_ODD;
      }
      for (int p = 0; p < points; ++p) {
        const int16_t *from = x + (p & 1 ? beside : 0) + (p & 2 ? down : 0);
        const uint32_t mixed = hil_dot(from, both, n);
        const int32_t second = (int32_t)hil_dot(from, low, n) >> 8;
        int32_t *sum = sums + (p & 1) + (p & 2) * 4;
        sum[0] += (int32_t)(mixed - (uint32_t)second) >> 8;
        sum[2] += second;
      }
    }
    groups -= n, x += 4 * n, w += 8 * n;
  }
}

HIL_KERNEL hil_sums2(const int16_t *x, HIL_FLASH int16_t *w, int32_t *a, uint32_t groups,
                     uint32_t beside) {
  hil_mac16_sums(x, w, a, groups, 2, beside, 0);
}

HIL_KERNEL hil_sums4(const int16_t *x, HIL_FLASH int16_t *w, int32_t *a, uint32_t groups,
                     uint32_t beside, uint32_t down) {
  hil_mac16_sums(x, w, a, groups, 4, beside, down);
}

/* One point: weights are used once, so they are unpacked in registers. */
#define HIL_DOT1(prepare0, prepare1)   \
  "addi %1, %1, -4\n"                  \
  "ldinc m0, %1\n"                     \
  "wsr.acclo %4\n"                     \
  "wsr.acchi %4\n"                     \
  "loopnez %5, 1f\n"                   \
  "l32i %0, %2, 0\n"                   \
  "l32i %3, %2, 8\n"                   \
  "addi %2, %2, 16\n" prepare0         \
  "mula.da.ll.ldinc m1, %1, m0, %0\n"  \
  "mula.da.hh m0, %0\n" prepare1       \
  "mula.da.ll.ldinc m0, %1, m1, %3\n"  \
  "mula.da.hh m1, %3\n"                \
  "1:\n"                               \
  "l32i %0, %2, 0\n"                   \
  "l32i %3, %2, 8\n" prepare0 prepare1 \
  "mula.da.ll.ldinc m1, %1, m0, %0\n"  \
  "mula.da.hh m0, %0\n"                \
  "mula.da.ll m1, %3\n"                \
  "mula.da.hh m1, %3\n"                \
  "rsr.acclo %0\n"

HIL_KERNEL hil_sums1(const int16_t *x, HIL_FLASH int16_t *w, int32_t *a, uint32_t groups) {
  for (int pair = 0; pair < 2; ++pair, w += 2, a += 2) {
    uint32_t mixed, low, t;
    const int16_t *s = x;
    HIL_FLASH int16_t *v = w;
    __asm__ volatile(HIL_DOT1("", "")
                     : "=&r"(mixed), "+r"(s), "+r"(v), "=&r"(t)
                     : "r"(0), "r"(groups - 1)
                     : "memory");
    s = x, v = w;
    __asm__ volatile(
        HIL_DOT1("slli %0, %0, 8\nand %0, %0, %6\n", "slli %3, %3, 8\nand %3, %3, %6\n")
        : "=&r"(low), "+r"(s), "+r"(v), "=&r"(t)
        : "r"(0), "r"(groups - 1), "r"(HIL_ODD)
        : "memory");
    const int32_t second = (int32_t)low >> 8;
    a[0] += (int32_t)(mixed - (uint32_t)second) >> 8;
    a[1] += second;
  }
}

static inline void hil_widen1(int16_t *s, const int8_t *p) {
  s[0] = p[0], s[1] = p[2], s[2] = p[1], s[3] = p[3];
}
static inline void hil_widen2(int16_t *s, const int8_t *p, const int8_t *q, uint32_t beside) {
  hil_widen1(s, p), hil_widen1(s + beside, q);
}
static inline void hil_widen_beside(int16_t *s, const int8_t *p) { hil_widen1(s, p); }

/* Bytes by bytes, both of them unpacked times 256. 90 bytes per round. */
#define HIL_UNPACK(word) \
  "slli %1, " word       \
  ", 8\n"                \
  "and %1, %1, %8\n"     \
  "and " word ", " word ", %8\n"
#define HIL_FOUR(word)                 \
  HIL_UNPACK(word)                     \
  "mula.da.ll.ldinc m1, %3, m0, %1\n"  \
  "mula.da.hh m0, %1\n"                \
  "mula.da.ll.ldinc m0, %3, m1, " word \
  "\n"                                 \
  "mula.da.hh m1, " word "\n"
#define HIL_DOT_BYTES(loop)                                            \
  __asm__ volatile(                                                    \
      "addi %3, %3, -4\n"                                              \
      "ldinc m0, %3\n"                                                 \
      "wsr.acclo %5\n"                                                 \
      "wsr.acchi %5\n" loop                                            \
      "rsr.acclo %0\n"                                                 \
      "rsr.acchi %1\n"                                                 \
      : "=&r"(low), "=&r"(high), "=&r"(t), "+r"(x), "+r"(w)            \
      : "r"(0), "r"(groups), "r"(step), "r"(HIL_ODD), "r"(groups >> 2) \
      : "memory")

static inline int32_t hil_dot_bytes(const hil_word_t *x, HIL_FLASH int8_t *w, uint32_t step,
                                    uint32_t groups) {
  uint32_t low, high, t;
  if (step == 16)
    HIL_DOT_BYTES(
        "loopnez %9, 1f\n"
        "l32i %0, %4, 0\n"
        "l32i %2, %4, 16\n" HIL_FOUR("%0") HIL_FOUR("%2") "l32i %0, %4, 32\n"
        "l32i %2, %4, 48\n"
        "addi %4, %4, 64\n" HIL_FOUR("%0") HIL_FOUR("%2") "1:\n"
        "extui %2, %6, 0, 2\n"
        "loopnez %2, 2f\n"
        "l32i %0, %4, 0\n"
        "addi %4, %4, 16\n" HIL_FOUR("%0") "2:\n");
  else
    HIL_DOT_BYTES(
        "loopnez %6, 1f\n"
        "l32i %0, %4, 0\n"
        "add %4, %4, %7\n" HIL_FOUR("%0") "1:\n");
  return (int32_t)(high << 16 | low >> 16);
}

/* `channels` times four weights follow each other. a: the sums of all points of channel 0, then of
 * channel 1, ... */
__attribute__((noinline, unused)) static void hil_walk(const int8_t *x, HIL_FLASH int8_t *w,
                                                       int32_t *a, uint32_t groups, int channels,
                                                       int points, int apart) {
  hil_word_t unpacked[2 * HIL_PORTION + 1]; /* LDINC reads one more */
  while (groups > 0) {
    const uint32_t n = groups < HIL_PORTION ? groups : HIL_PORTION;
    for (int p = 0; p < points; ++p) {
      const int8_t *from = x + p * apart;
      hil_word_t *to = unpacked;
      if (((uintptr_t)from & 3) == 0) {
        const hil_word_t *words = (const hil_word_t *)(const void *)from;
        for (uint32_t i = 0; i < n; ++i, to += 2) {
          const uint32_t word = *words++;
          to[0] = word << 8 & HIL_ODD;
          to[1] = word & HIL_ODD;
        }
      } else {
        for (uint32_t i = 0; i < n; ++i, to += 2, from += 4) {
          to[0] = (uint32_t)(uint8_t)from[0] << 8 | (uint32_t)(uint8_t)from[2] << 24;
          to[1] = (uint32_t)(uint8_t)from[1] << 8 | (uint32_t)(uint8_t)from[3] << 24;
        }
      }
      for (int j = 0; j < channels; ++j)
        a[j * points + p] += hil_dot_bytes(unpacked, w + 4 * j, 4 * (uint32_t)channels, n);
    }
    groups -= n, x += 4 * n, w += 4 * n * (uint32_t)channels;
  }
}

/* Steps of a sum whose weights are in registers: the first product also clears the sum. */
#define HIL_BEGIN "ldinc m0, %[x]\n" /* adds 4 to x first */
#define HIL_SUM(sum) "rsr.acclo " sum "\n"
#define HIL_LARGER(a, b) "max " a ", " a ", " b "\n"
#define HIL_FIRST(m, next, w) \
  "mul.da.ll " m ", " w       \
  "\n"                        \
  "mula.da.hh.ldinc " next ", %[x], " m ", " w "\n"
#define HIL_SINGLE(m, next, w) "mula.da.ll.ldinc " next ", %[x], " m ", " w "\n"
#define HIL_NEXT(m, next, w) HIL_SINGLE(m, next, w) "mula.da.hh " m ", " w "\n"

/* Not merged into words by the compiler, which takes more instructions. */
static inline void hil_put(int16_t *p, int32_t value) {
  __asm__ volatile("s16i %1, %0" : "=m"(*p) : "r"(value));
}
static inline uint32_t hil_word(HIL_FLASH int16_t *p) {
  return *(const hil_word_t *)(const void *)p;
}
#endif

#endif /* HIL_AOT_MAC16_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* int8 kernels for the M-profile vector extension (Cortex-M55, M85). */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_MVE_3
#define HIL_AOT_MVE_3

/* ---- int8 by vectors: eight 16-bit or sixteen 8-bit products per instruction ----
 * VLD2 and VLD4 take apart the words of two points, of two pairs of channels, or of four channels.
 */
#if HIL_MVE
#include <arm_mve.h>

#define HIL_LANES(words) vreinterpretq_s16_u32(words)
#define HIL_LOW_LANES(words)                                           \
  vmovlbq_s8(vreinterpretq_s8_u32(words)) /* the low byte of each lane \
                                           */
#define HIL_MVE_PART(both, low) ((int32_t)((uint32_t)(both) - (uint32_t)(low)) >> 8)

/* A predicate. GCC 12 gets it wrong if it knows its value. */
static inline mve_pred16_t hil_mve_mask(mve_pred16_t mask) {
  __asm__("" : "+r"(mask));
  return mask;
}

/* Adds the products of words 0 and 2 to one sum, those of words 1 and 3 to the other. */
#define HIL_MVE_TURNS(even, odd, p, y)                               \
  do {                                                               \
    const int32_t part = vmladavq_p_s16(p, y, hil_mve_mask(0x0F0F)); \
    (even) += part, (odd) += vmladavq_s16(p, y) - part;              \
  } while (0)

#define HIL_MVE_ROUND            \
  "vld20.32 {q0, q1}, [%[x]]\n"  \
  "vld21.32 {q0, q1}, [%[x]]!\n" \
  "vld20.32 {q2, q3}, [%[w]]\n"  \
  "vld21.32 {q2, q3}, [%[w]]!\n" \
  "vmladava.s16 %[s0], q0, q2\n" \
  "vmladava.s16 %[s1], q1, q2\n" \
  "vmovlb.s8 q2, q2\n"           \
  "vmladava.s16 %[s2], q0, q3\n" \
  "vmladava.s16 %[s3], q1, q3\n" \
  "vmovlb.s8 q3, q3\n"           \
  "vmladava.s16 %[l0], q0, q2\n" \
  "vmladava.s16 %[l1], q1, q2\n" \
  "vmladava.s16 %[l2], q0, q3\n" \
  "vmladava.s16 %[l3], q1, q3\n"

/* The sums of hil_pair_sums in pairs.h, which replace a: two groups at a time. 116 bytes per round
 * of four. */
HIL_KERNEL hil_mve_sums(const int16_t *x, const int16_t *w, int32_t *a, uint32_t groups) {
  const uint32_t *xs = (const uint32_t *)(const void *)x, *ws = (const uint32_t *)(const void *)w;
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, l0 = 0, l1 = 0, l2 = 0, l3 = 0;
  int16x8_t p, q, y;
  uint32_t rounds = groups >> 1;
  if (rounds > 0) /* in assembly, because its loop instruction takes a register from the sums */
    __asm__ volatile(
        "lsrs r3, %[n], #1\n"
        "beq 2f\n"
        "1:\n" HIL_MVE_ROUND HIL_MVE_ROUND
        "subs r3, #1\n"
        "bne 1b\n"
        "2:\n"
        "lsls r3, %[n], #31\n"
        "beq 3f\n" HIL_MVE_ROUND "3:\n"
        : [s0] "+Te"(s0), [s1] "+Te"(s1), [s2] "+Te"(s2), [s3] "+Te"(s3), [l0] "+Te"(l0),
          [l1] "+Te"(l1), [l2] "+Te"(l2), [l3] "+Te"(l3), [x] "+r"(xs), [w] "+r"(ws),
          [n] "+r"(rounds)
        :
        : "r3", "q0", "q1", "q2", "q3", "cc", "memory");
  if (groups & 1) { /* words of both points, and of both pairs of channels, take turns */
    const uint32x4_t v = vldrwq_u32(xs), u = vldrwq_u32(ws);
    p = HIL_LANES(v), q = HIL_LANES(vrev64q_u32(v));
    y = HIL_LANES(u);
    HIL_MVE_TURNS(s0, s3, p, y);
    HIL_MVE_TURNS(s1, s2, q, y);
    y = HIL_LOW_LANES(u);
    HIL_MVE_TURNS(l0, l3, p, y);
    HIL_MVE_TURNS(l1, l2, q, y);
  }
  a[0] = HIL_MVE_PART(s0, l0), a[1] = HIL_MVE_PART(s1, l1), a[2] = l0, a[3] = l1;
  a[4] = HIL_MVE_PART(s2, l2), a[5] = HIL_MVE_PART(s3, l3), a[6] = l2, a[7] = l3;
}
static inline void hil_pair_sums(const int16_t *x, const int16_t *w, int32_t *a, uint32_t groups) {
  int32_t b[8];
  hil_mve_sums(x, w, b, groups);
  vstrwq_s32(a, vaddq_s32(vldrwq_s32(a), vldrwq_s32(b)));
  vstrwq_s32(a + 4, vaddq_s32(vldrwq_s32(a + 4), vldrwq_s32(b + 4)));
}

HIL_KERNEL hil_sums1(const int16_t *x, const int16_t *w, int32_t *a, uint32_t groups) {
  const uint32_t *ws = (const uint32_t *)(const void *)w;
  int32_t s0 = 0, s1 = 0, l0 = 0, l1 = 0;
  for (uint32_t i = groups >> 1; i > 0; --i, x += 8, ws += 8) {
    const uint32x4x2_t u = vld2q_u32(ws);
    const int16x8_t p = vldrhq_s16(x);
    s0 = vmladavaq_s16(s0, p, HIL_LANES(u.val[0]));
    l0 = vmladavaq_s16(l0, p, HIL_LOW_LANES(u.val[0]));
    s1 = vmladavaq_s16(s1, p, HIL_LANES(u.val[1]));
    l1 = vmladavaq_s16(l1, p, HIL_LOW_LANES(u.val[1]));
  }
  if (groups & 1) {
    const uint32x4_t u = vldrwq_u32(ws); /* words of both pairs of channels take turns */
    const uint32_t *xs = (const uint32_t *)(const void *)x;
    const int16x8_t p = HIL_LANES(vdupq_m_n_u32(vdupq_n_u32(xs[1]), xs[0], hil_mve_mask(0x00FF)));
    HIL_MVE_TURNS(s0, s1, p, HIL_LANES(u));
    HIL_MVE_TURNS(l0, l1, p, HIL_LOW_LANES(u));
  }
  a[0] += HIL_MVE_PART(s0, l0), a[1] += l0, a[2] += HIL_MVE_PART(s1, l1), a[3] += l1;
}

/* Four channels at a point: four bytes of each after those of the other. */
HIL_KERNEL hil_mve_walk(const int8_t *x, const int8_t *w, int32_t *a, uint32_t groups) {
  int32_t a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
  for (uint32_t i = groups >> 2; i > 0; --i, x += 16, w += 64) {
    const uint32x4x4_t u = vld4q_u32((const uint32_t *)(const void *)w);
    const int8x16_t p = vldrbq_s8(x);
    a0 = vmladavaq_s8(a0, p, vreinterpretq_s8_u32(u.val[0]));
    a1 = vmladavaq_s8(a1, p, vreinterpretq_s8_u32(u.val[1]));
    a2 = vmladavaq_s8(a2, p, vreinterpretq_s8_u32(u.val[2]));
    a3 = vmladavaq_s8(a3, p, vreinterpretq_s8_u32(u.val[3]));
  }
  for (groups &= 3; groups > 0; --groups, x += 4, w += 16) { /* the same four values four times */
    uint32_t word;
    memcpy(&word, x, 4);
    const int8x16_t p = vreinterpretq_s8_u32(vdupq_n_u32(word)), y = vldrbq_s8(w);
    const int32_t d0 = vmladavq_p_s8(p, y, hil_mve_mask(0x000F)),
                  d1 = vmladavq_p_s8(p, y, hil_mve_mask(0x00F0));
    const int32_t d2 = vmladavq_p_s8(p, y, hil_mve_mask(0x0F00));
    a0 += d0, a1 += d1, a2 += d2, a3 += vmladavq_s8(p, y) - (d0 + d1 + d2);
  }
  a[0] = a0, a[1] = a1, a[2] = a2, a[3] = a3;
}

/* One parameter of four channels, each of which has n of them. */
static inline int32x4_t hil_mve_column(const int32_t *q, uint32_t n) {
  const uint32x4_t offsets = {0, 4 * n, 8 * n, 12 * n};
  return vldrwq_gather_offset_s32(q, offsets);
}
static inline int32x4_t hil_mve_column16(const int16_t *w, uint32_t bytes) {
  const uint32x4_t rows = {0, 1, 2, 3};
  return vldrhq_gather_offset_s32(w, vmulq_n_u32(rows, bytes));
}
static inline int32x4_t hil_mve_four(int32_t a, int32_t b, int32_t c, int32_t d) {
  int32x4_t x;
  __asm__("vmov %q0[2], %q0[0], %1, %3\n\tvmov %q0[3], %q0[1], %2, %4"
          : "=&w"(x)
          : "r"(a), "r"(b), "r"(c), "r"(d));
  return x;
}
/* Of each channel the largest of its four sums, in the order of hil_sums4. */
static inline int32x4_t hil_mve_largest(const int32_t *a) {
  const int32x4x2_t first = vld2q_s32(a), second = vld2q_s32(a + 8);
  return vmaxq_s32(vmaxq_s32(first.val[0], first.val[1]), vmaxq_s32(second.val[0], second.val[1]));
}
/* Four sums, one per channel, requantised as hil_requant_relu and hil_requant_right do it. */
static inline void hil_mve_store(int8_t *o, int32x4_t sums, int32x4_t bias, int32x4_t multiplier,
                                 int32x4_t n, int32_t zero, int negative, int32_t low,
                                 int32_t high) {
  int32x4_t x = vqrdmulhq_s32(vaddq_s32(sums, bias), multiplier);
  if (negative) x = vaddq_s32(x, vshrq_n_s32(x, 31));
  x = vaddq_n_s32(vshlq_s32(x, vnegq_s32(n)), 2 * zero + 1);
  x = vmaxq_s32(vshrq_n_s32(x, 1), vdupq_n_s32(low));
  vstrbq_s32(o, vminq_s32(x, vdupq_n_s32(high)));
}

/* Four groups of hil_widen2. */
static inline void hil_mve_widen2(int16_t *s, const int8_t *p, const int8_t *q) {
  const int8x16_t x = vldrbq_s8(p), y = vldrbq_s8(q);
  uint32x4x4_t words;
  words.val[0] = vreinterpretq_u32_s16(vmovlbq_s8(x));
  words.val[1] = vreinterpretq_u32_s16(vmovlbq_s8(y));
  words.val[2] = vreinterpretq_u32_s16(vmovltq_s8(x));
  words.val[3] = vreinterpretq_u32_s16(vmovltq_s8(y));
  vst4q_u32((uint32_t *)(void *)s, words);
}

static inline void hil_put(int16_t *p, int32_t value) { *p = (int16_t)value; }
#endif

#endif /* HIL_AOT_MVE_3 */

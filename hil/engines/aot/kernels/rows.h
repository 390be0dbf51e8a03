/* SPDX-License-Identifier: Apache-2.0 */
/* int8: all output channels of one point or two, requantised and stored (conv_gather.py). */
#include <stdint.h>
#include <string.h>

#include "pairs.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_ROWS_3
#define HIL_AOT_ROWS_3

/* ---- int8: from widened inputs to outputs ----
 * x and w are those of hil_sums2 (pairs.h). q: for each four channels 256 * b0 + b1, b1,
 * 256 * b2 + b3, b3 of their biases b, then a multiplier, an offset and a shift of each:
 * output = (256 * sum * multiplier / 2^32 + offset) >> shift, rounded down, and clamped to int8.
 * That equals both of TFLM's roundings; those named `away` also where a negative output lies
 * halfway between two integers. Every |sum| is below 2^23.
 */

#if !HIL_MAC16
/* Four values of one point, beside those of another point. */
static inline void hil_widen_beside(int16_t *s, const int8_t *p) {
#if HIL_DSP
  const hil_x4_t x = hil_x4(p);
  memcpy(s, &x.even, 4);
  memcpy(s + 4, &x.odd, 4);
#else
  s[0] = p[0], s[1] = p[2], s[4] = p[1], s[5] = p[3];
#endif
}
#endif

#if HIL_DSP && !HIL_MVE
/* clang-format off */
/* Outputs a and b are computed in turns: the next instruction would wait for the result of one. */
#define HIL_SCALE(sum, m, offset) "smmla " sum ", " sum ", " m ", " offset "\n"
#define HIL_SHIFT(sum, shift) "asr " sum ", " sum ", " shift "\n"
#define HIL_STORE(sum, o) "strb " sum ", [" o "], #1\n"
#define HIL_CLAMP(sum) "ssat " sum ", #8, " sum "\n"
#define HIL_SHIFT2(a, shift_a, o, b, shift_b, p) \
  HIL_SHIFT(a, shift_a) HIL_CLAMP(a) HIL_SHIFT(b, shift_b) HIL_STORE(a, o) HIL_CLAMP(b) \
  HIL_STORE(b, p)

#define HIL_SCALE2(a, b) /* both points of a channel */ \
  "ldm r2!, {r1, r3, r12}\n" \
  HIL_SCALE(a, "r1", "r3") HIL_SCALE(b, "r1", "r3") \
  HIL_SHIFT2(a, "r12", "r0", b, "r12", "lr")

#define HIL_SCALE_AWAY(sum, m, offset, t) \
  "asr " t ", " sum ", #31\n" \
  HIL_SCALE(sum, m, offset) \
  "add " sum ", " sum ", " t ", lsl #7\n"

#define HIL_SCALE2_AWAY(a, b) /* the shift is loaded last, because no register is left */ \
  "ldrd r1, r3, [r2], #8\n" \
  HIL_SCALE_AWAY(a, "r1", "r3", "r12") HIL_SCALE_AWAY(b, "r1", "r3", "r12") \
  "ldr r12, [r2], #4\n" \
  HIL_SHIFT2(a, "r12", "r0", b, "r12", "lr")

/* On the stack: x, bytes of a block's weights, where its first round enters the unrolled loop,
 * end of the block's weights, o, p, q, end of all weights. */
#define HIL_ROWS2(name, scale2) \
  HIL_NAKED name(const int16_t *x HIL_UNUSED, const int16_t *w HIL_UNUSED, \
                 const int32_t *q HIL_UNUSED, int8_t *o HIL_UNUSED, int8_t *p HIL_UNUSED, \
                 uint32_t channels HIL_UNUSED, uint32_t groups HIL_UNUSED) { \
    __asm__ volatile( \
        "push {r4-r11, lr}\n" \
        "ldr r8, [sp, #36]\n"           /* p */ \
        "ldrd r4, r5, [sp, #40]\n"      /* channels, groups */ \
        "lsl r5, r5, #4\n" \
        "lsr r4, r4, #2\n" \
        "mla r4, r4, r5, r1\n" \
        "rsb r6, r5, #0\n"              /* 8 bytes of weights are 48 of code */ \
        "and r6, r6, #127\n" \
        "add r6, r6, r6, lsl #1\n" \
        "adr r7, 1f\n" \
        "add r6, r7, r6, lsl #1\n" \
        "orr r6, r6, #1\n" \
        "sub sp, #32\n" \
        "str r0, [sp]\n" \
        "strd r5, r6, [sp, #4]\n" \
        "strd r3, r8, [sp, #16]\n" \
        "str r4, [sp, #28]\n" \
        "2:\n" \
        "ldm r2!, {r4, r6, r8, r10}\n" \
        "ldm sp, {r0, r3, r12}\n" \
        "add r3, r1, r3\n" \
        "str r2, [sp, #24]\n" \
        "str r3, [sp, #12]\n" \
        "mov r5, r4\n" \
        "mov r7, r6\n" \
        "mov r9, r8\n" \
        "mov r11, r10\n" \
        "bx r12\n" \
        ".balign 4\n" \
        "1:\n" \
        ".rept 16\n" HIL_TAPS2 ".endr\n" \
        "ldr r12, [sp, #12]\n" \
        "cmp r1, r12\n" \
        "bne 1b\n" \
        "ldrd r0, lr, [sp, #16]\n" \
        "ldr r2, [sp, #24]\n" \
        "sub r4, r4, r6\n" \
        "sub r5, r5, r7\n" \
        "lsl r6, r6, #8\n" \
        "lsl r7, r7, #8\n" \
        "sub r8, r8, r10\n" \
        "sub r9, r9, r11\n" \
        "lsl r10, r10, #8\n" \
        "lsl r11, r11, #8\n" \
        scale2("r4", "r5") scale2("r6", "r7") scale2("r8", "r9") scale2("r10", "r11") \
        "strd r0, lr, [sp, #16]\n" \
        "ldr r1, [sp, #12]\n" \
        "ldr r12, [sp, #28]\n" \
        "cmp r1, r12\n" \
        "bne 2b\n" \
        "add sp, #32\n" \
        "pop {r4-r11, pc}\n" ::: "memory"); \
  }

#define HIL_SCALE1(a, b) /* two channels of a point */ \
  "ldm r2!, {r8, r9, r10}\n" \
  HIL_SCALE(a, "r8", "r9") \
  "ldm r2!, {r0, r3, r12}\n" \
  HIL_SHIFT(a, "r10") \
  HIL_SCALE(b, "r0", "r3") \
  HIL_CLAMP(a) HIL_SHIFT(b, "r12") HIL_STORE(a, "r11") HIL_CLAMP(b) HIL_STORE(b, "r11")
#define HIL_SCALE1_AWAY(a, b) \
  "ldm r2!, {r8, r9, r10}\n" \
  "asr lr, " a ", #31\n" \
  HIL_SCALE(a, "r8", "r9") \
  "ldm r2!, {r0, r3, r12}\n" \
  "add " a ", " a ", lr, lsl #7\n" \
  HIL_SHIFT(a, "r10") \
  "asr lr, " b ", #31\n" \
  HIL_SCALE(b, "r0", "r3") \
  HIL_CLAMP(a) \
  "add " b ", " b ", lr, lsl #7\n" \
  HIL_STORE(a, "r11") HIL_SHIFT(b, "r12") HIL_CLAMP(b) HIL_STORE(b, "r11")

/* Eight taps, four: of widened values. */
#define HIL_TAKE8 "ldm r0!, {r8-r11}\n" HIL_TAPS1("r8", "r9") HIL_TAPS1("r10", "r11")
#define HIL_TAKE4 "ldrd r8, r9, [r0], #8\n" HIL_TAPS1("r8", "r9")
/* Of bytes, which are widened between multiplications, as in HIL_TAPS1. */
#define HIL_WIDEN8 \
  "ldm r1!, {r2, r3, r12, lr}\n" \
  "ldr r8, [r0], #4\n" \
  "ldr r10, [r0], #4\n" \
  "sxtb16 r9, r8, ror #8\n" \
  "sxtb16 r8, r8\n" \
  "sxtb16 r11, r10, ror #8\n" \
  "smlad r4, r8, r2, r4\n" \
  "smlad r6, r8, r3, r6\n" \
  "sxtb16 r2, r2\n" \
  "smlad r4, r9, r12, r4\n" \
  "sxtb16 r3, r3\n" \
  "smlad r6, r9, lr, r6\n" \
  "smlad r5, r8, r2, r5\n" \
  "sxtb16 r12, r12\n" \
  "smlad r7, r8, r3, r7\n" \
  "sxtb16 lr, lr\n" \
  "smlad r5, r9, r12, r5\n" \
  "sxtb16 r10, r10\n" \
  "smlad r7, r9, lr, r7\n" \
  HIL_TAPS1("r10", "r11")
#define HIL_WIDEN4 \
  "ldr r8, [r0], #4\n" \
  "sxtb16 r9, r8, ror #8\n" \
  "sxtb16 r8, r8\n" \
  HIL_TAPS1("r8", "r9")

/* On the stack: q, x, bytes of a block's weights, o, end of all weights, ends of the block's whole
 * eights and of all of it. */
#define HIL_ROWS1(name, type, eight, four, scale1) \
  HIL_NAKED name(const type *x HIL_UNUSED, const int16_t *w HIL_UNUSED, \
                 const int32_t *q HIL_UNUSED, int8_t *o HIL_UNUSED, \
                 uint32_t channels HIL_UNUSED, uint32_t groups HIL_UNUSED) { \
    __asm__ volatile( \
        "push {r4-r11, lr}\n" \
        "ldrd r4, r5, [sp, #36]\n"      /* channels, groups */ \
        "lsl r5, r5, #4\n" \
        "lsr r4, r4, #2\n" \
        "mla r4, r4, r5, r1\n" \
        "sub sp, #28\n" \
        "strd r0, r5, [sp, #4]\n" \
        "strd r3, r4, [sp, #12]\n" \
        "5:\n" \
        "ldm r2!, {r4, r5, r6, r7}\n" \
        "ldrd r0, r3, [sp, #4]\n" \
        "str r2, [sp]\n" \
        "add r12, r1, r3\n"             /* the end of the weights, and that of whole eights */ \
        "bic r3, r3, #127\n" \
        "add r3, r1, r3\n" \
        "strd r3, r12, [sp, #20]\n" \
        "cmp r1, r3\n" \
        "beq 2f\n" \
        "1:\n" \
        ".rept 4\n" \
        eight \
        ".endr\n" \
        "ldr r12, [sp, #20]\n" \
        "cmp r1, r12\n" \
        "bne 1b\n" \
        "2:\n" \
        "ldr r12, [sp, #24]\n" \
        "cmp r1, r12\n" \
        "beq 4f\n" \
        "3:\n" \
        four \
        "ldr r12, [sp, #24]\n" \
        "cmp r1, r12\n" \
        "bne 3b\n" \
        "4:\n" \
        "ldr r2, [sp]\n" \
        "ldr r11, [sp, #12]\n" \
        "sub r4, r4, r5\n" \
        "lsl r5, r5, #8\n" \
        "sub r6, r6, r7\n" \
        "lsl r7, r7, #8\n" \
        scale1("r4", "r5") scale1("r6", "r7") \
        "str r11, [sp, #12]\n" \
        "ldr r12, [sp, #16]\n" \
        "cmp r1, r12\n" \
        "bne 5b\n" \
        "add sp, #28\n" \
        "pop {r4-r11, pc}\n" ::: "memory"); \
  }

HIL_ROWS2(hil_rows2, HIL_SCALE2)
HIL_ROWS2(hil_rows2_away, HIL_SCALE2_AWAY)
HIL_ROWS1(hil_rows1, int16_t, HIL_TAKE8, HIL_TAKE4, HIL_SCALE1)
HIL_ROWS1(hil_rows1_away, int16_t, HIL_TAKE8, HIL_TAKE4, HIL_SCALE1_AWAY)
HIL_ROWS1(hil_direct1, int8_t, HIL_WIDEN8, HIL_WIDEN4, HIL_SCALE1)
HIL_ROWS1(hil_direct1_away, int8_t, HIL_WIDEN8, HIL_WIDEN4, HIL_SCALE1_AWAY)
/* clang-format on */
#else
static inline int32_t hil_scale(int32_t sum, HIL_FLASH int32_t *q, int away) {
  const int32_t high = (int32_t)(((int64_t)(sum * 256) * hil_read_i32(q)) >> 32);
  const int32_t x = (high + hil_read_i32(q + 1) - (sum < 0 ? away : 0)) >> hil_read_i32(q + 2);
  return x < -128 ? -128 : x > 127 ? 127 : x;
}

/* The biases of four channels, `points` times each. */
static inline void hil_biases(int32_t *a, int points, HIL_FLASH int32_t *q) {
  for (int pair = 0; pair < 2; ++pair, q += 2)
    for (int i = 0; i < points; ++i) {
      const int32_t low = hil_read_i32(q + 1);
      a[2 * pair * points + i] = (int32_t)((uint32_t)hil_read_i32(q) - (uint32_t)low) >> 8;
      a[(2 * pair + 1) * points + i] = low;
    }
}

#if HIL_MVE
/* hil_scale of all four channels at once. */
static inline void hil_scale4(int8_t *o, int32x4_t sums, const int32x4_t *q, int away) {
  int32x4_t x = vaddq_s32(vmulhq_s32(vshlq_n_s32(sums, 8), q[0]), q[1]);
  if (away) x = vaddq_s32(x, vshlq_n_s32(vshrq_n_s32(sums, 31), 7)); /* away is 128 */
  x = vmaxq_s32(vshlq_s32(x, q[2]), vdupq_n_s32(-128));
  vstrbq_s32(o, vminq_s32(x, vdupq_n_s32(127)));
}
/* Of four channels: multipliers, offsets, and shifts to the left. */
#define HIL_SCALES(name, q)                                                          \
  const int32x4_t name[3] = {hil_mve_column((q) + 4, 3), hil_mve_column((q) + 5, 3), \
                             vnegq_s32(hil_mve_column((q) + 6, 3))}
static inline void hil_finish1(int8_t *o, const int32_t *a, const int32_t *q, int away) {
  HIL_SCALES(scales, q);
  hil_scale4(o, vldrwq_s32(a), scales, away);
}
static inline void hil_finish2(int8_t *o, int8_t *p, const int32_t *a, const int32_t *q, int away) {
  HIL_SCALES(scales, q);
  const int32x4x2_t sums = vld2q_s32(a);
  hil_scale4(o, sums.val[0], scales, away);
  hil_scale4(p, sums.val[1], scales, away);
}
#else
static inline void hil_finish1(int8_t *o, const int32_t *a, HIL_FLASH int32_t *q, int away) {
  for (int i = 0; i < 4; ++i) o[i] = (int8_t)hil_scale(a[i], q + 4 + 3 * i, away);
}
static inline void hil_finish2(int8_t *o, int8_t *p, const int32_t *a, HIL_FLASH int32_t *q,
                               int away) {
  for (int i = 0; i < 4; ++i) {
    o[i] = (int8_t)hil_scale(a[2 * i], q + 4 + 3 * i, away);
    p[i] = (int8_t)hil_scale(a[2 * i + 1], q + 4 + 3 * i, away);
  }
}
#endif

#define HIL_ROWS2(name, away)                                                              \
  HIL_KERNEL name(const int16_t *x, HIL_FLASH int16_t *w, HIL_FLASH int32_t *q, int8_t *o, \
                  int8_t *p, uint32_t channels, uint32_t groups) {                         \
    for (uint32_t c = 0; c < channels; c += 4, w += 8 * groups, q += 16, o += 4, p += 4) { \
      int32_t a[8];                                                                        \
      hil_biases(a, 2, q);                                                                 \
      hil_sums2(x, w, a, groups, 4 * groups);                                              \
      hil_finish2(o, p, a, q, away);                                                       \
    }                                                                                      \
  }
#define HIL_ROWS1(name, type, sums, away)                                               \
  HIL_KERNEL name(const type *x, HIL_FLASH int16_t *w, HIL_FLASH int32_t *q, int8_t *o, \
                  uint32_t channels, uint32_t groups) {                                 \
    for (uint32_t c = 0; c < channels; c += 4, w += 8 * groups, q += 16, o += 4) {      \
      int32_t a[4];                                                                     \
      hil_biases(a, 1, q);                                                              \
      sums(x, w, a, groups);                                                            \
      hil_finish1(o, a, q, away);                                                       \
    }                                                                                   \
  }
#if HIL_MVE
/* hil_sums1 of values that are not widened: 16 at a time, whose even and odd ones VMOVL widens. */
static inline void hil_sums_direct(const int8_t *x, const int16_t *w, int32_t *a, uint32_t groups) {
  const uint32_t *ws = (const uint32_t *)(const void *)w;
  int32_t s0 = 0, s1 = 0, l0 = 0, l1 = 0;
  int16_t s[12] HIL_ALIGNED;
  for (uint32_t i = groups >> 2; i > 0; --i, x += 16, ws += 16) {
    const uint32x4x4_t u = vld4q_u32(ws);
    const int8x16_t v = vldrbq_s8(x);
    const int16x8_t even = vmovlbq_s8(v), odd = vmovltq_s8(v);
    s0 = vmladavaq_s16(s0, even, HIL_LANES(u.val[0]));
    l0 = vmladavaq_s16(l0, even, HIL_LOW_LANES(u.val[0]));
    s1 = vmladavaq_s16(s1, even, HIL_LANES(u.val[1]));
    l1 = vmladavaq_s16(l1, even, HIL_LOW_LANES(u.val[1]));
    s0 = vmladavaq_s16(s0, odd, HIL_LANES(u.val[2]));
    l0 = vmladavaq_s16(l0, odd, HIL_LOW_LANES(u.val[2]));
    s1 = vmladavaq_s16(s1, odd, HIL_LANES(u.val[3]));
    l1 = vmladavaq_s16(l1, odd, HIL_LOW_LANES(u.val[3]));
  }
  a[0] += HIL_MVE_PART(s0, l0), a[1] += l0, a[2] += HIL_MVE_PART(s1, l1), a[3] += l1;
  groups &= 3;
  if (groups == 0) return;
  for (uint32_t i = 0; i < groups; ++i) hil_widen1(s + 4 * i, x + 4 * i);
  hil_sums1(s, (const int16_t *)(const void *)ws, a, groups);
}
#else
/* hil_sums1 of values that are not widened, of 32 at a time. */
static inline void hil_sums_direct(const int8_t *x, HIL_FLASH int16_t *w, int32_t *a,
                                   uint32_t groups) {
  for (uint32_t done = 0; done < groups; done += 8) {
    int16_t s[32] HIL_ALIGNED;
    const uint32_t count = groups - done < 8 ? groups - done : 8;
    for (uint32_t i = 0; i < count; ++i, x += 4) hil_widen1(s + 4 * i, x);
    hil_sums1(s, w, a, count);
    w += 8 * count;
  }
}
#endif
HIL_ROWS2(hil_rows2, 0)
HIL_ROWS2(hil_rows2_away, 128)
HIL_ROWS1(hil_rows1, int16_t, hil_sums1, 0)
HIL_ROWS1(hil_rows1_away, int16_t, hil_sums1, 128)
HIL_ROWS1(hil_direct1, int8_t, hil_sums_direct, 0)
HIL_ROWS1(hil_direct1_away, int8_t, hil_sums_direct, 128)
#endif

#endif /* HIL_AOT_ROWS_3 */

/* SPDX-License-Identifier: Apache-2.0 */
/* int8: sums of four channels from inputs that were widened to 16 bits (conv_gather.py). */
#include <stdint.h>
#include <string.h>

#include "mac16.h"
#include "products.h"
#include "rv32.h"
#include "thumb1.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_PAIRS_3
#define HIL_AOT_PAIRS_3

/* ---- int8: four channels at one point or two, two channels to a weight word ----
 * A weight word holds two channels: w = 256 * high + low. From the sums of x * w and of x * low,
 * the high channel's sum is their difference / 256: one widening instruction serves four weights.
 * Sums wrap at 32 bits, so the high channel's must stay below 2^23, which the generator proves.
 *
 * x: taps 0 and 2 of each point, then taps 1 and 3, then the next group of four.
 * a: the sums of all points of channel 0, then of channel 1, ...; the products are added to them.
 */

#if !HIL_MAC16 /* values from a group to the next, from a value of a point to the other point's */
#define HIL_GROUP2 8
#define HIL_BESIDE(whole) 2
#endif

#if HIL_DSP
#if !HIL_MVE
/* In assembly, because GCC does not keep all of this in the core's 14 registers. */
/* clang-format off */
#define HIL_TAPS2 \
  "ldrd r2, r3, [r0], #8\n"   /* two taps of both points */ \
  "ldrd r12, lr, [r1], #8\n"  /* of four channels */ \
  "smlad r4, r2, r12, r4\n" \
  "smlad r5, r3, r12, r5\n" \
  "sxtb16 r12, r12\n" \
  "smlad r8, r2, lr, r8\n" \
  "smlad r9, r3, lr, r9\n" \
  "sxtb16 lr, lr\n" \
  "smlad r6, r2, r12, r6\n" \
  "smlad r7, r3, r12, r7\n" \
  "smlad r10, r2, lr, r10\n" \
  "smlad r11, r3, lr, r11\n"

HIL_NAKED hil_pair_sums(const int16_t *x HIL_UNUSED, const int16_t *w HIL_UNUSED,
                    int32_t *a HIL_UNUSED, uint32_t groups HIL_UNUSED) {
  __asm__ volatile(
      "push {r2, r4-r11, lr}\n"
      "ldm r2, {r4-r11}\n"
      "add r4, r6, r4, lsl #8\n"
      "add r5, r7, r5, lsl #8\n"
      "add r8, r10, r8, lsl #8\n"
      "add r9, r11, r9, lsl #8\n"
      "add r12, r1, r3, lsl #4\n" /* the end of the weights, and that of whole eights */
      "bic r3, r3, #7\n"
      "add r3, r1, r3, lsl #4\n"
      "push {r3, r12}\n"
      "cmp r1, r3\n"
      "beq 2f\n"
      "1:\n"
      ".rept 16\n" HIL_TAPS2 ".endr\n"
      "ldr r12, [sp]\n"
      "cmp r1, r12\n"
      "bne 1b\n"
      "2:\n"
      "ldr r12, [sp, #4]\n"
      "cmp r1, r12\n"
      "beq 4f\n"
      "3:\n"
      HIL_TAPS2 HIL_TAPS2
      "ldr r12, [sp, #4]\n"
      "cmp r1, r12\n"
      "bne 3b\n"
      "4:\n"
      "ldr r2, [sp, #8]\n"
      "add sp, #12\n"
      "sub r4, r4, r6\n"
      "asr r4, r4, #8\n"
      "sub r5, r5, r7\n"
      "asr r5, r5, #8\n"
      "sub r8, r8, r10\n"
      "asr r8, r8, #8\n"
      "sub r9, r9, r11\n"
      "asr r9, r9, #8\n"
      "stm r2, {r4-r11}\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}

/* Four taps of one point, in registers a and b. A Cortex-M7 issues a multiplication together with
 * another instruction, so they take turns. */
#define HIL_TAPS1(a, b) \
  "ldm r1!, {r2, r3, r12, lr}\n" \
  "smlad r4, " a ", r2, r4\n" \
  "smlad r6, " a ", r3, r6\n" \
  "sxtb16 r2, r2\n" \
  "smlad r4, " b ", r12, r4\n" \
  "sxtb16 r3, r3\n" \
  "smlad r5, " a ", r2, r5\n" \
  "smlad r7, " a ", r3, r7\n" \
  "sxtb16 r12, r12\n" \
  "smlad r6, " b ", lr, r6\n" \
  "sxtb16 lr, lr\n" \
  "smlad r5, " b ", r12, r5\n" \
  "smlad r7, " b ", lr, r7\n"

HIL_NAKED hil_sums1(const int16_t *x HIL_UNUSED, const int16_t *w HIL_UNUSED,
                    int32_t *a HIL_UNUSED, uint32_t groups HIL_UNUSED) {
  __asm__ volatile(
      "push {r2, r4-r11, lr}\n"
      "ldm r2, {r4-r7}\n"
      "add r4, r5, r4, lsl #8\n"
      "add r6, r7, r6, lsl #8\n"
      "add r12, r1, r3, lsl #4\n" /* the end of the weights, and that of whole eights */
      "bic r3, r3, #7\n"
      "add r3, r1, r3, lsl #4\n"
      "push {r3, r12}\n"
      "cmp r1, r3\n"
      "beq 2f\n"
      "1:\n"
      ".rept 4\n"
      "ldm r0!, {r8-r11}\n"
      HIL_TAPS1("r8", "r9") HIL_TAPS1("r10", "r11")
      ".endr\n"
      "ldr r12, [sp]\n"
      "cmp r1, r12\n"
      "bne 1b\n"
      "2:\n"
      "ldr r12, [sp, #4]\n"
      "cmp r1, r12\n"
      "beq 4f\n"
      "3:\n"
      "ldrd r8, r9, [r0], #8\n"
      HIL_TAPS1("r8", "r9")
      "ldr r12, [sp, #4]\n"
      "cmp r1, r12\n"
      "bne 3b\n"
      "4:\n"
      "ldr r2, [sp, #8]\n"
      "add sp, #12\n"
      "sub r4, r4, r5\n"
      "asr r4, r4, #8\n"
      "sub r6, r6, r7\n"
      "asr r6, r6, #8\n"
      "stm r2, {r4-r7}\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}
/* clang-format on */
#endif

static inline void hil_widen1(int16_t *s, const int8_t *p) {
  const hil_x4_t x = hil_x4(p);
  memcpy(s, &x.even, 4);
  memcpy(s + 2, &x.odd, 4);
}
static inline void hil_widen2(int16_t *s, const int8_t *p, const int8_t *q, uint32_t beside) {
  const hil_x4_t x = hil_x4(p), y = hil_x4(q);
  (void)beside;
  memcpy(s, &x.even, 4);
  memcpy(s + 2, &y.even, 4);
  memcpy(s + 4, &x.odd, 4);
  memcpy(s + 6, &y.odd, 4);
}
#elif !HIL_MAC16
#ifdef __AVR__ /* multiplies bytes: channels are kept apart */
#define HIL_HIGH(x, h, l) ((x) * (hil_half_t)(int8_t)(((h) - (l)) >> 8))
#define HIL_MIX(high, low) (high)
#define HIL_PART(high, low) (int32_t)(high)
#else
#define HIL_HIGH(x, h, l) ((x) * (h))
#define HIL_MIX(high, low) (((high) << 8) + (low))
#define HIL_PART(high, low) ((int32_t)((high) - (low)) >> 8)
#endif

/* Load a weight word, which has two channels; add its products with one tap to their sums. */
#if defined(__riscv) && !defined(__riscv_zbb) /* two instructions extend a sign, one loads it */
#define HIL_LOW(i, h) (*(const int8_t *)(w + (i)))
#else
#define HIL_LOW(i, h) ((int8_t)(h))
#endif
#define HIL_WORD(i) h = hil_read_i16(w + (i)), l = HIL_LOW(i, h)
#define HIL_ADD(high, low, x) (high) += (uint32_t)HIL_HIGH(x, h, l), (low) += (uint32_t)((x) * l)

HIL_KERNEL hil_pair_sums(const int16_t *x, HIL_FLASH int16_t *w, int32_t *a, uint32_t groups) {
  uint32_t a00 = (uint32_t)a[0], a01 = (uint32_t)a[1], a10 = (uint32_t)a[2], a11 = (uint32_t)a[3];
  uint32_t a20 = (uint32_t)a[4], a21 = (uint32_t)a[5], a30 = (uint32_t)a[6], a31 = (uint32_t)a[7];
  a00 = HIL_MIX(a00, a10), a01 = HIL_MIX(a01, a11);
  a20 = HIL_MIX(a20, a30), a21 = HIL_MIX(a21, a31);
  for (uint32_t i = 0; i < 2 * groups; ++i, x += 4, w += 4) {
    const hil_half_t x00 = x[0], x01 = x[1], x10 = x[2], x11 = x[3];
    hil_half_t h, l;
    HIL_WORD(0);
    HIL_ADD(a00, a10, x00);
    HIL_ADD(a01, a11, x10);
    HIL_IN_ORDER;
    HIL_WORD(1);
    HIL_ADD(a00, a10, x01);
    HIL_ADD(a01, a11, x11);
    HIL_IN_ORDER;
    HIL_WORD(2);
    HIL_ADD(a20, a30, x00);
    HIL_ADD(a21, a31, x10);
    HIL_IN_ORDER;
    HIL_WORD(3);
    HIL_ADD(a20, a30, x01);
    HIL_ADD(a21, a31, x11);
  }
  a[0] = HIL_PART(a00, a10), a[1] = HIL_PART(a01, a11);
  a[2] = (int32_t)a10, a[3] = (int32_t)a11;
  a[4] = HIL_PART(a20, a30), a[5] = HIL_PART(a21, a31);
  a[6] = (int32_t)a30, a[7] = (int32_t)a31;
}

HIL_KERNEL hil_sums1(const int16_t *x, HIL_FLASH int16_t *w, int32_t *a, uint32_t groups) {
  uint32_t a00 = (uint32_t)a[0], a10 = (uint32_t)a[1], a20 = (uint32_t)a[2], a30 = (uint32_t)a[3];
  a00 = HIL_MIX(a00, a10), a20 = HIL_MIX(a20, a30);
  for (uint32_t i = 0; i < 2 * groups; ++i, x += 2, w += 4) {
    const hil_half_t x00 = x[0], x01 = x[1];
    hil_half_t h, l;
    HIL_WORD(0);
    HIL_ADD(a00, a10, x00);
    HIL_IN_ORDER;
    HIL_WORD(1);
    HIL_ADD(a00, a10, x01);
    HIL_IN_ORDER;
    HIL_WORD(2);
    HIL_ADD(a20, a30, x00);
    HIL_IN_ORDER;
    HIL_WORD(3);
    HIL_ADD(a20, a30, x01);
  }
  a[0] = HIL_PART(a00, a10), a[1] = (int32_t)a10;
  a[2] = HIL_PART(a20, a30), a[3] = (int32_t)a30;
}

static inline void hil_widen1(int16_t *s, const int8_t *p) {
  s[0] = p[0], s[1] = p[2], s[2] = p[1], s[3] = p[3];
}
static inline void hil_widen2(int16_t *s, const int8_t *p, const int8_t *q, uint32_t beside) {
  (void)beside;
  s[0] = p[0], s[1] = p[2], s[2] = q[0], s[3] = q[2];
  s[4] = p[1], s[5] = p[3], s[6] = q[1], s[7] = q[3];
}
#endif

#if !HIL_MAC16
/* Four channels at two points, and at two more, whose inputs are `down` values later. */
#define hil_sums2(x, w, a, groups, beside) hil_pair_sums(x, w, a, groups)
#ifndef hil_sums4
#define hil_sums4(x, w, a, groups, beside, down) \
  (hil_pair_sums(x, w, a, groups), hil_pair_sums((x) + (down), w, (a) + 8, groups))
#endif
#endif

#endif /* HIL_AOT_PAIRS_3 */

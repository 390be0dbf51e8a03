/* SPDX-License-Identifier: Apache-2.0 */
/* int8 kernel for the Cortex-M0 and M0+: four channels at four points. */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_THUMB1_3
#define HIL_AOT_THUMB1_3

/* ---- int8 in Thumb-1: four sums at a time ----
 * Eight registers can be loaded and multiplied; sums may also be in others. So a pass has one
 * channel, or two that share a word (pairs.h), and four points. Inputs and weights have the same
 * offsets from their bases, r2 and r2 + 4, so that two registers serve all loads. 124 bytes per
 * round.
 */
#if HIL_THUMB1
/* clang-format off */
#define HIL_THUMB1_ADD(base, offset, sum) \
  "ldrsh r5, [" base ", " offset "]\n" \
  "muls r5, r4\n" \
  "add " sum ", r5\n"
#define HIL_THUMB1_TAP(load, step) \
  load " r4, [r6, r2]\n" \
  HIL_THUMB1_ADD("r0", "r2", "r7") HIL_THUMB1_ADD("r0", "r3", "r8") \
  HIL_THUMB1_ADD("r1", "r2", "r9") HIL_THUMB1_ADD("r1", "r3", "r10") \
  "adds r2, #" step "\n" \
  "adds r3, #" step "\n"

/* r0: x, r1: x of the other two points, r2: w, r3: where the sums go, stack: bytes of w */
#define HIL_THUMB1_PASS(name, load) \
  HIL_NAKED name(const int16_t *x HIL_UNUSED, const int16_t *y HIL_UNUSED, \
                 const int16_t *w HIL_UNUSED, uint32_t *sums HIL_UNUSED, \
                 uint32_t bytes HIL_UNUSED) { \
    __asm__ volatile( \
        ".syntax unified\n" \
        "push {r3-r7, lr}\n" \
        "mov r4, r8\n" \
        "mov r5, r9\n" \
        "mov r6, r10\n" \
        "push {r4-r6}\n" \
        "ldr r7, [sp, #36]\n" \
        "mov r12, r7\n" \
        "mov r6, r2\n" \
        "movs r2, #0\n" \
        "movs r3, #4\n" \
        "movs r7, #0\n" \
        "mov r8, r7\n" \
        "mov r9, r7\n" \
        "mov r10, r7\n" \
        "1:\n" \
        HIL_THUMB1_TAP(load, "2") HIL_THUMB1_TAP(load, "6") \
        HIL_THUMB1_TAP(load, "2") HIL_THUMB1_TAP(load, "6") \
        "cmp r2, r12\n" \
        "bne 1b\n" \
        "ldr r0, [sp, #12]\n" \
        "mov r1, r8\n" \
        "mov r2, r9\n" \
        "mov r3, r10\n" \
        "str r7, [r0]\n" \
        "str r1, [r0, #4]\n" \
        "str r2, [r0, #8]\n" \
        "str r3, [r0, #12]\n" \
        "pop {r4-r6}\n" \
        "mov r8, r4\n" \
        "mov r9, r5\n" \
        "mov r10, r6\n" \
        "pop {r3-r7, pc}\n" ::: "memory"); \
  }
HIL_THUMB1_PASS(hil_thumb1_both, "ldrsh") /* 256 * even channel + odd channel */
HIL_THUMB1_PASS(hil_thumb1_odd, "ldrsb")

#define HIL_THUMB1_X(reg, at) "ldrb " reg ", [r0, #" at "]\n" "sxtb " reg ", " reg "\n"
#define HIL_THUMB1_NEXT(x, sum) \
  "asrs r6, r6, #8\n" "sxtb r7, r6\n" "muls r7, " x "\n" "add " sum ", r7\n"
#define HIL_THUMB1_FOUR(sum) /* four taps of a channel */ \
  "ldmia r1!, {r6}\n" \
  "sxtb r7, r6\n" "muls r7, r2\n" "add " sum ", r7\n" \
  HIL_THUMB1_NEXT("r3", sum) HIL_THUMB1_NEXT("r4", sum) \
  "asrs r6, r6, #8\n" "muls r6, r5\n" "add " sum ", r6\n"

/* Four channels at a point: four bytes of each after those of the other. 142 bytes per round. */
HIL_NAKED hil_thumb1_walk(const int8_t *x HIL_UNUSED, const int8_t *w HIL_UNUSED,
                          int32_t *a HIL_UNUSED, uint32_t groups HIL_UNUSED) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r2, r4-r7, lr}\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "push {r4-r7}\n"
      "lsls r3, r3, #4\n"
      "adds r3, r1\n"
      "mov r12, r3\n" /* the end of the weights */
      "ldmia r2!, {r4-r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "1:\n"
      HIL_THUMB1_X("r2", "0") HIL_THUMB1_X("r3", "1")
      HIL_THUMB1_X("r4", "2") HIL_THUMB1_X("r5", "3")
      HIL_THUMB1_FOUR("r8") HIL_THUMB1_FOUR("r9")
      HIL_THUMB1_FOUR("r10") HIL_THUMB1_FOUR("r11")
      "adds r0, #4\n"
      "cmp r1, r12\n"
      "bne 1b\n"
      "ldr r2, [sp, #16]\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "stmia r2!, {r4-r7}\n"
      "pop {r4-r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "pop {r2, r4-r7, pc}\n" ::: "memory");
}
/* clang-format on */

HIL_KERNEL hil_thumb1_sums4(const int16_t *x, const int16_t *y, const int16_t *w, int32_t *a,
                            uint32_t groups) {
  uint32_t both[4], odd[4];
  for (int pair = 0; pair < 2; ++pair, w += 2, a += 4) {
    hil_thumb1_both(x, y, w, both, 16 * groups);
    hil_thumb1_odd(x, y, w, odd, 16 * groups);
    for (int p = 0; p < 4; ++p) {
      int32_t *sum = a + (p & 1) + (p & 2) * 4;
      sum[0] += (int32_t)(both[p] - odd[p]) >> 8;
      sum[2] += (int32_t)odd[p];
    }
  }
}
#define hil_sums4(x, w, a, groups, beside, down) hil_thumb1_sums4(x, (x) + (down), w, a, groups)
#endif

#endif /* HIL_AOT_THUMB1_3 */

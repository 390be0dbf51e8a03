/* SPDX-License-Identifier: Apache-2.0 */
/* int8 kernel for RISC-V with 31 registers: four channels at four points. */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_RV32_3
#define HIL_AOT_RV32_3

/* ---- int8 on RV32: sixteen sums in registers ----
 * Weights and inputs are those of pairs.h. In assembly, because GCC loads all inputs of an unrolled
 * loop first, and then keeps the sums on the stack. Two registers for products, so that no addition
 * follows its own multiplication. 516 bytes per round.
 */
#if HIL_RV32
/* clang-format off */
#define HIL_RV32_ADD(x, high, low) \
  "mul a3, " x ", t1\n" \
  "mul ra, " x ", t2\n" \
  "add " high ", " high ", a3\n" \
  "add " low ", " low ", ra\n"
#define HIL_RV32_WORD(at) "lh t1, " at "(a2)\n" "lb t2, " at "(a2)\n"
#define HIL_RV32_TAP(at, second) /* both points of a tap, and the weights, are 4 bytes apart */ \
  "lh a5, " at "(a0)\n" \
  "lh a6, " second "(a0)\n" \
  "lh a7, " at "(a1)\n" \
  "lh t0, " second "(a1)\n" \
  HIL_RV32_WORD(at) \
  HIL_RV32_ADD("a5", "s0", "s2") HIL_RV32_ADD("a6", "s1", "s3") \
  HIL_RV32_ADD("a7", "s8", "s10") HIL_RV32_ADD("t0", "s9", "s11") \
  HIL_RV32_WORD(second) \
  HIL_RV32_ADD("a5", "s4", "s6") HIL_RV32_ADD("a6", "s5", "s7") \
  HIL_RV32_ADD("a7", "t3", "t5") HIL_RV32_ADD("t0", "t4", "t6")
#define HIL_RV32_MIX(high, low) "slli " high ", " high ", 8\n" "add " high ", " high ", " low "\n"
#define HIL_RV32_PART(high, low) "sub " high ", " high ", " low "\n" "srai " high ", " high ", 8\n"
#define HIL_RV32_EACH(two) \
  two("s0", "s2") two("s1", "s3") two("s4", "s6") two("s5", "s7") \
  two("s8", "s10") two("s9", "s11") two("t3", "t5") two("t4", "t6")
#define HIL_RV32_SUMS(op) /* in the order of a */ \
  op " s0, 0(a3)\n" op " s1, 4(a3)\n" op " s2, 8(a3)\n" op " s3, 12(a3)\n" \
  op " s4, 16(a3)\n" op " s5, 20(a3)\n" op " s6, 24(a3)\n" op " s7, 28(a3)\n" \
  op " s8, 32(a3)\n" op " s9, 36(a3)\n" op " s10, 40(a3)\n" op " s11, 44(a3)\n" \
  op " t3, 48(a3)\n" op " t4, 52(a3)\n" op " t5, 56(a3)\n" op " t6, 60(a3)\n"
#define HIL_RV32_SAVED(op) \
  op " ra, 0(sp)\n" op " a3, 4(sp)\n" op " s0, 8(sp)\n" op " s1, 12(sp)\n" op " s2, 16(sp)\n" \
  op " s3, 20(sp)\n" op " s4, 24(sp)\n" op " s5, 28(sp)\n" op " s6, 32(sp)\n" \
  op " s7, 36(sp)\n" op " s8, 40(sp)\n" op " s9, 44(sp)\n" op " s10, 48(sp)\n" op " s11, 52(sp)\n"

/* a0: x, a1: x of the other two points, a2: w, a3: a, a4: groups > 0 */
HIL_NAKED hil_rv32_sums4(const int16_t *x HIL_UNUSED, const int16_t *y HIL_UNUSED,
                         const int16_t *w HIL_UNUSED, int32_t *a HIL_UNUSED,
                         uint32_t groups HIL_UNUSED) {
  __asm__ volatile(
      "addi sp, sp, -64\n" HIL_RV32_SAVED("sw")
      "slli a4, a4, 4\n"
      "add a4, a4, a2\n" /* the end of the weights */
      HIL_RV32_SUMS("lw")
      HIL_RV32_EACH(HIL_RV32_MIX)
      "1:\n"
      HIL_RV32_TAP("0", "4") HIL_RV32_TAP("2", "6")
      HIL_RV32_TAP("8", "12") HIL_RV32_TAP("10", "14")
      "addi a0, a0, 16\n"
      "addi a1, a1, 16\n"
      "addi a2, a2, 16\n"
      "bne a2, a4, 1b\n"
      HIL_RV32_EACH(HIL_RV32_PART)
      "lw a3, 4(sp)\n"
      HIL_RV32_SUMS("sw") HIL_RV32_SAVED("lw")
      "addi sp, sp, 64\n"
      "ret\n" ::: "memory");
}
/* clang-format on */
#define hil_sums4(x, w, a, groups, beside, down) hil_rv32_sums4(x, (x) + (down), w, a, groups)
#endif

#endif /* HIL_AOT_RV32_3 */

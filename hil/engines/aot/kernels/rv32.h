/* SPDX-License-Identifier: Apache-2.0 */
/* int8 kernels for RISC-V with 31 registers: four channels at four points, eight at one. */
#include <stdint.h>

#include "base.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_RV32_3
#define HIL_AOT_RV32_3

/* ---- int8 on RV32: sixteen sums in registers, or eight ----
 * Weights and inputs are those of pairs.h. In assembly, because GCC loads all inputs of an unrolled
 * loop first, and then keeps the sums on the stack. Several registers for products, so that no
 * addition follows its own multiplication. A round has two groups, and an odd number of them starts
 * with the second one. 1,040 and 686 bytes per round.
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

#define HIL_RV32_TWO_TAPS(a, b, c, d) HIL_RV32_TAP(a, c) HIL_RV32_TAP(b, d)
/* a0: x, a1: x of the other two points, a2: w, a4: groups > 0 */
#define HIL_RV32_ROUNDS \
  "andi a5, a4, 1\n" \
  "slli a4, a4, 4\n" \
  "add a4, a4, a2\n" /* the end of the weights */ \
  "beqz a5, 1f\n" \
  "addi a0, a0, -16\n" \
  "addi a1, a1, -16\n" \
  "addi a2, a2, -16\n" \
  "j 2f\n" \
  "1:\n" HIL_RV32_TWO_TAPS("0", "2", "4", "6") HIL_RV32_TWO_TAPS("8", "10", "12", "14") \
  "2:\n" HIL_RV32_TWO_TAPS("16", "18", "20", "22") HIL_RV32_TWO_TAPS("24", "26", "28", "30") \
  "addi a0, a0, 32\n" \
  "addi a1, a1, 32\n" \
  "addi a2, a2, 32\n" \
  "bne a2, a4, 1b\n"

/* a3: a */
HIL_NAKED hil_rv32_sums4(const int16_t *x HIL_UNUSED, const int16_t *y HIL_UNUSED,
                         const int16_t *w HIL_UNUSED, int32_t *a HIL_UNUSED,
                         uint32_t groups HIL_UNUSED) {
  __asm__ volatile(
      "addi sp, sp, -64\n" HIL_RV32_SAVED("sw")
      HIL_RV32_SUMS("lw")
      HIL_RV32_EACH(HIL_RV32_MIX)
      HIL_RV32_ROUNDS
      HIL_RV32_EACH(HIL_RV32_PART)
      "lw a3, 4(sp)\n"
      HIL_RV32_SUMS("sw") HIL_RV32_SAVED("lw")
      "addi sp, sp, 64\n"
      "ret\n" ::: "memory");
}

#define HIL_RV32_ZERO(high, low) "li " high ", 0\n" "li " low ", 0\n"
#define HIL_RV32_LARGER(a, b) "bge " a ", " b ", 3f\n" "mv " a ", " b "\n" "3:\n"
#define HIL_RV32_LARGEST(a, b, c, d, at) \
  HIL_RV32_LARGER(a, b) HIL_RV32_LARGER(c, d) HIL_RV32_LARGER(a, c) "sw " a ", " at "(a3)\n"

/* Of each channel the largest sum of products; a3: where they go. */
HIL_NAKED hil_rv32_largest4(const int16_t *x HIL_UNUSED, const int16_t *y HIL_UNUSED,
                            const int16_t *w HIL_UNUSED, int32_t *largest HIL_UNUSED,
                            uint32_t groups HIL_UNUSED) {
  __asm__ volatile(
      "addi sp, sp, -64\n" HIL_RV32_SAVED("sw")
      HIL_RV32_EACH(HIL_RV32_ZERO)
      HIL_RV32_ROUNDS
      HIL_RV32_EACH(HIL_RV32_PART)
      "lw a3, 4(sp)\n"
      HIL_RV32_LARGEST("s0", "s1", "s8", "s9", "0")
      HIL_RV32_LARGEST("s2", "s3", "s10", "s11", "4")
      HIL_RV32_LARGEST("s4", "s5", "t3", "t4", "8")
      HIL_RV32_LARGEST("s6", "s7", "t5", "t6", "12")
      HIL_RV32_SAVED("lw")
      "addi sp, sp, 64\n"
      "ret\n" ::: "memory");
}

#define HIL_RV32_WORDS(w, first, second, c0, c1, c2, c3) /* of four channels, times t1 */ \
  "lh t2, " first "(" w ")\n" \
  "lb ra, " first "(" w ")\n" \
  "lh s0, " second "(" w ")\n" \
  "lb s1, " second "(" w ")\n" \
  "mul t2, t2, t1\n" \
  "mul ra, ra, t1\n" \
  "mul s0, s0, t1\n" \
  "mul s1, s1, t1\n" \
  "add " c0 ", " c0 ", t2\n" \
  "add " c1 ", " c1 ", ra\n" \
  "add " c2 ", " c2 ", s0\n" \
  "add " c3 ", " c3 ", s1\n"
#define HIL_RV32_TAP8(x, first, second) \
  "lh t1, " x "(a0)\n" \
  HIL_RV32_WORDS("a1", first, second, "t3", "t4", "t5", "t6") \
  HIL_RV32_WORDS("a2", first, second, "a5", "a6", "a7", "t0")
#define HIL_RV32_EACH8(two) two("t3", "t4") two("t5", "t6") two("a5", "a6") two("a7", "t0")
#define HIL_RV32_SUMS8(op) \
  op " t3, 0(a3)\n" op " t4, 4(a3)\n" op " t5, 8(a3)\n" op " t6, 12(a3)\n" \
  op " a5, 16(a3)\n" op " a6, 20(a3)\n" op " a7, 24(a3)\n" op " t0, 28(a3)\n"

/* hil_sums1 of eight channels. a0: x, a1: w, a2: w of the other four, a3: a, a4: groups > 0 */
HIL_NAKED hil_rv32_sums8(const int16_t *x HIL_UNUSED, const int16_t *w HIL_UNUSED,
                         const int16_t *v HIL_UNUSED, int32_t *a HIL_UNUSED,
                         uint32_t groups HIL_UNUSED) {
  __asm__ volatile(
      "addi sp, sp, -16\n"
      "sw ra, 0(sp)\n"
      "sw s0, 4(sp)\n"
      "sw s1, 8(sp)\n"
      HIL_RV32_SUMS8("lw")
      HIL_RV32_EACH8(HIL_RV32_MIX)
      "andi t1, a4, 1\n"
      "slli a4, a4, 4\n"
      "add a4, a4, a1\n" /* the end of the weights */
      "beqz t1, 1f\n"
      "addi a0, a0, -8\n"
      "addi a1, a1, -16\n"
      "addi a2, a2, -16\n"
      "j 2f\n"
      "1:\n"
      HIL_RV32_TAP8("0", "0", "4") HIL_RV32_TAP8("2", "2", "6")
      HIL_RV32_TAP8("4", "8", "12") HIL_RV32_TAP8("6", "10", "14")
      "2:\n"
      HIL_RV32_TAP8("8", "16", "20") HIL_RV32_TAP8("10", "18", "22")
      HIL_RV32_TAP8("12", "24", "28") HIL_RV32_TAP8("14", "26", "30")
      "addi a0, a0, 16\n"
      "addi a1, a1, 32\n"
      "addi a2, a2, 32\n"
      "bne a1, a4, 1b\n"
      HIL_RV32_EACH8(HIL_RV32_PART)
      HIL_RV32_SUMS8("sw")
      "lw ra, 0(sp)\n"
      "lw s0, 4(sp)\n"
      "lw s1, 8(sp)\n"
      "addi sp, sp, 16\n"
      "ret\n" ::: "memory");
}
/* clang-format on */
#define hil_sums4(x, w, a, groups, beside, down) hil_rv32_sums4(x, (x) + (down), w, a, groups)
#endif

#endif /* HIL_AOT_RV32_3 */

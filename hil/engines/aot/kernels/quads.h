/* SPDX-License-Identifier: Apache-2.0 */
/* int8: pointwise convolutions at four points, whose inputs share words (conv_gather.py). */
#include <stdint.h>
#include <string.h>

#include "rows.h"

/* ==== what generated headers contain ==== */
#ifndef HIL_AOT_QUADS_3
#define HIL_AOT_QUADS_3

/* ---- int8: four points in three sums ----
 * Of points a, b, c and d, three words hold 128 * a + b, 128 * b + c and 128 * c + d. Of their sums
 * S1, S2 and S3 of products, S3 - 128 * S2 + 2^14 * S1 is D + 2^21 * A. So its low 21 bits are D,
 * and C, B and A follow. Every sum must be between -2^20 and 2^20, which the generator proves. Two
 * channels at a time; weights and q are those of hil_rows2. 646 bytes per round.
 */
#if HIL_DSP && !HIL_MVE
typedef struct {
  uint32_t even, odd; /* as unsigned bytes, so that no sum has a carry */
} hil_bytes_t;
static inline hil_bytes_t hil_bytes(const int8_t *p) {
  uint32_t word;
  hil_bytes_t x;
  memcpy(&word, p, 4);
  word ^= 0x80808080u;
  x.even = word & 0x00FF00FFu;
  __asm__("uxtb16 %0, %1, ror #8" : "=r"(x.odd) : "r"(word));
  return x;
}
static inline void hil_shared_word(int16_t *s, uint32_t a, uint32_t b) {
  uint32_t word; /* less 128 * 128 + 128 */
  __asm__("ssub16 %0, %1, %2" : "=r"(word) : "r"((a << 7) + b), "r"(0x40804080));
  memcpy(s, &word, 4);
}
/* Four values of each point to s. */
static inline void hil_share(int16_t *s, const int8_t *p, const int8_t *p1, const int8_t *p2,
                             const int8_t *p3) {
  const hil_bytes_t a = hil_bytes(p), b = hil_bytes(p1);
  hil_shared_word(s, a.even, b.even);
  hil_shared_word(s + 6, a.odd, b.odd);
  const hil_bytes_t c = hil_bytes(p2);
  hil_shared_word(s + 2, b.even, c.even);
  hil_shared_word(s + 8, b.odd, c.odd);
  const hil_bytes_t d = hil_bytes(p3);
  hil_shared_word(s + 4, c.even, d.even);
  hil_shared_word(s + 10, c.odd, d.odd);
}

/* clang-format off */
#define HIL_QUAD_TAPS /* two taps of four points and two channels */ \
  "ldr r10, [r1], #8\n" \
  "ldm r0!, {r2, r3, r12}\n" \
  "sxtb16 r11, r10\n" \
  "smlad r7, r2, r11, r7\n" \
  "smlad r8, r3, r11, r8\n" \
  "sxtb16 r10, r10, ror #8\n" \
  "smlad r9, r12, r11, r9\n" \
  "smlad r4, r2, r10, r4\n" \
  "smlad r5, r3, r10, r5\n" \
  "smlad r6, r12, r10, r6\n"

/* From three sums to 128 times four of them, and to outputs. q has 256 times as its unit. The four
 * are computed in turns: the next instruction would wait for the result of one. */
#define HIL_QUAD(a, b, c) \
  "sub lr, " c ", " b ", lsl #7\n" \
  "add lr, lr, " a ", lsl #14\n" \
  "lsl lr, lr, #11\n" \
  "sub " c ", " c ", lr, asr #11\n" \
  "ldm r2!, {r3, r10, r11}\n" \
  "sub " b ", " b ", " c ", asr #7\n" \
  "sub r11, r11, #1\n" \
  "asr r10, r10, #1\n" \
  "sub " a ", " a ", " b ", asr #7\n" \
  HIL_SCALE(c, "r3", "r10") \
  "asr lr, lr, #4\n" \
  HIL_SCALE(a, "r3", "r10") \
  HIL_SHIFT(c, "r11") \
  HIL_SCALE("lr", "r3", "r10") \
  HIL_SHIFT(a, "r11") \
  HIL_SCALE(b, "r3", "r10") \
  "ldrd r3, r10, [sp, #36]\n" \
  HIL_SHIFT("lr", "r11") \
  HIL_CLAMP("lr") \
  HIL_SHIFT(b, "r11") \
  HIL_CLAMP(c) \
  "strb lr, [r0, r10]\n" \
  HIL_CLAMP(b) \
  "strb " c ", [r0, r3]\n" \
  HIL_CLAMP(a) \
  "strb " b ", [r0, r12]\n" \
  HIL_STORE(a, "r0")

/* On the stack: x, bytes of four channels' weights, where their first round enters the unrolled
 * loop, biases, scales, the end of the four channels' weights, o, channels, the end of all weights. */
HIL_NAKED hil_rows4(const int16_t *x HIL_UNUSED, const int16_t *w HIL_UNUSED,
                    const int32_t *q HIL_UNUSED, int8_t *o HIL_UNUSED,
                    uint32_t channels HIL_UNUSED, uint32_t groups HIL_UNUSED,
                    uint32_t points HIL_UNUSED) {
  __asm__ volatile(
      "push {r4-r11, lr}\n"
      "ldrd r4, r6, [sp, #36]\n"      /* channels, groups */
      "ldr r10, [sp, #44]\n"          /* points */
      "lsl r6, r6, #4\n"
      "rsb r7, r6, #0\n"              /* 8 bytes of weights are 40 of code */
      "and r7, r7, #127\n"
      "add r7, r7, r7, lsl #2\n"
      "adr r8, 1f\n"
      "add r7, r7, r8\n"
      "orr r7, r7, #1\n"
      "lsr r5, r4, #2\n"
      "mla r5, r5, r6, r1\n"
      "add r8, r2, #16\n"
      "add r9, r1, r6\n"
      "sub sp, #44\n"
      "str r0, [sp]\n"
      "strd r6, r7, [sp, #4]\n"
      "strd r2, r8, [sp, #12]\n"
      "str r9, [sp, #20]\n"
      "subs r10, r10, #1\n"           /* the others' outputs are those of the last one */
      "it ne\n"
      "movne r12, r4\n"
      "it eq\n"
      "moveq r12, #0\n"
      "strd r3, r12, [sp, #24]\n"
      "cmp r10, #2\n"
      "it ge\n"
      "lslge r12, r4, #1\n"
      "str r12, [sp, #36]\n"
      "it gt\n"
      "addgt r12, r12, r4\n"
      "str r12, [sp, #40]\n"
      "str r5, [sp, #32]\n"
      "mov r11, r2\n"
      "2:\n"
      "ldrd r4, r7, [r11]\n"
      "ldm sp, {r0, r10, r11}\n"
      "sub r4, r4, r7\n"
      "asr r4, r4, #8\n"
      "add r4, r4, r4, lsl #7\n"      /* 129 times the bias */
      "add r7, r7, r7, lsl #7\n"
      "add lr, r1, r10\n"
      "mov r5, r4\n"
      "mov r6, r4\n"
      "mov r8, r7\n"
      "mov r9, r7\n"
      "bx r11\n"
      ".balign 4\n"
      "1:\n"
      ".rept 16\n" HIL_QUAD_TAPS ".endr\n"
      "cmp r1, lr\n"
      "bne 1b\n"
      "ldr r2, [sp, #16]\n"
      "ldrd r0, r12, [sp, #24]\n"
      HIL_QUAD("r4", "r5", "r6") HIL_QUAD("r7", "r8", "r9")
      "str r0, [sp, #24]\n"
      "ldr r10, [sp, #4]\n"
      "ldr r11, [sp, #12]\n"
      "ldr r12, [sp, #20]\n"
      "cmp r1, r12\n"
      "bne 3f\n"
      "sub r1, r1, r10\n"             /* the other two of four channels */
      "add r1, #4\n"
      "add r11, #8\n"
      "strd r11, r2, [sp, #12]\n"
      "b 2b\n"
      "3:\n"
      "mov r1, r12\n"
      "add r12, r12, r10\n"
      "add r11, #56\n"
      "add r2, #16\n"
      "strd r11, r2, [sp, #12]\n"
      "str r12, [sp, #20]\n"
      "ldr r3, [sp, #32]\n"
      "cmp r1, r3\n"
      "bne 2b\n"
      "add sp, #44\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}
/* clang-format on */
#endif

#endif /* HIL_AOT_QUADS_3 */

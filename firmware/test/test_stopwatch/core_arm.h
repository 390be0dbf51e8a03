/* SPDX-License-Identifier: Apache-2.0 */
/* The Cortex-M7 of mps2: CMSDK timer 0 runs at 25 MHz, an instruction takes 1,024 ns. */
#ifndef CORE_ARM_H
#define CORE_ARM_H

enum { TICKS_IN_10_INSTRUCTIONS = 256 }; /* 25 MHz, 1024 ns an instruction */

enum { BESIDES_THE_LOOP = 3 };
__asm__(
    ".syntax unified\n"
    ".thumb_func\n"
    ".type loop_invoke, %function\n"
    "loop_invoke:\n"
    "  movw r3, #:lower16:loop_rounds\n"
    "  movt r3, #:upper16:loop_rounds\n"
    "  ldr r3, [r3]\n"
    "1: subs r3, #1\n"
    "  bne 1b\n"
    "  movs r0, #0\n"
    "  bx lr\n"
    ".size loop_invoke, . - loop_invoke\n");

static uint32_t instructions_of(uint64_t ticks) {
  return (uint32_t)((ticks * 10 + TICKS_IN_10_INSTRUCTIONS / 2) / TICKS_IN_10_INSTRUCTIONS);
}

static void a_wrapped_counter_is_reported(void) {
  boot();
  /* 2^32 ticks are 167,772,160 instructions, 83,886,080 rounds. */
  CHECK(ticks_of(83886000u) != HIL_TICKS_WRAPPED);
  CHECK_EQUAL(HIL_TICKS_WRAPPED, ticks_of(83886200u));
  CHECK(ticks_of(1000u) < 60000u);
}

#endif

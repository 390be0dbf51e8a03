/* SPDX-License-Identifier: Apache-2.0 */
/* A Cortex-M of QEMU: the port converts its timer's ticks to one tick per instruction. */
#ifndef CORE_ARM_H
#define CORE_ARM_H

enum { BESIDES_THE_LOOP = 2 };
__asm__(
    ".syntax unified\n"
    ".thumb_func\n"
    ".type loop_invoke, %function\n"
    "loop_invoke:\n"
    "  ldr r3, rounds\n"
    "  ldr r3, [r3]\n"
    "1: subs r3, #1\n"
    "  bne 1b\n"
    "  movs r0, #0\n"
    "  bx lr\n"
    ".balign 4\n"
    "rounds: .word loop_rounds\n"
    ".size loop_invoke, . - loop_invoke\n");

#define WORD_AT(address) (*(volatile uint32_t *)(address))

#ifdef MPS2_FPGAIO
/* Moves both counters of the clock ahead by loop_rounds hundredths of a second. */
static hil_engine_status_t late_invoke(const hil_model_t *self, const void *input, void *output,
                                       void *arena, uint32_t *needed) {
  (void)self, (void)input, (void)output, (void)arena, (void)needed;
  WORD_AT(MPS2_FPGAIO + 0x14u) += loop_rounds;
  WORD_AT(MPS2_FPGAIO + 0x18u) += loop_rounds * (HIL_CLOCK_KHZ * 10u);
  return HIL_ENGINE_OK;
}

/* Runs the loop and lets the watchdog's interrupt come loop_rounds % 4 times. */
static hil_engine_status_t interrupted_invoke(const hil_model_t *self, const void *input,
                                              void *output, void *arena, uint32_t *needed) {
  uint32_t times;

  for (times = loop_rounds % 4u; times > 0; times--) {
    WORD_AT(0xE000ED04u) = 0x80000000u; /* ICSR: NMIPENDSET */
  }
  return loop_invoke(self, input, output, arena, needed);
}

static void a_wrapped_counter_is_reported(void) {
  const uint32_t a_second = 1000000000u >> HIL_ICOUNT_SHIFT; /* in instructions */
  uint32_t seconds, ticks;

  boot();
  loop_model.invoke = late_invoke;
  for (seconds = 1; seconds < 512; seconds *= 2) { /* the fast counter wraps after 172 s or more */
    ticks = ticks_of(seconds * 100);
    CHECK(ticks >= seconds * a_second && ticks < seconds * a_second + 100u);
  }
  CHECK_EQUAL(HIL_TICKS_WRAPPED, ticks_of(100u * (0xFFFFFFFFu / a_second + 1u)));
  loop_model.invoke = loop_invoke;
  CHECK_EQUAL(2000 + BESIDES_THE_LOOP, ticks_of(1000));
}

static void interrupts_of_the_watchdog_do_not_count(void) {
  uint32_t rounds, before = 0, ticks;

  boot();
  loop_model.invoke = interrupted_invoke;
  for (rounds = 4; rounds < 8; rounds++) {
    ticks = ticks_of(rounds) - 2 * rounds;
    CHECK(before == 0 || ticks - before < 6u); /* what the loop around the store takes */
    CHECK(before == 0 || ticks > before);
    before = ticks;
  }
}
#else
/* TIMER0 of an nRF51, 32 bits at 16 MHz. Its CLEAR task takes it to where it wraps to. */
static hil_engine_status_t late_invoke(const hil_model_t *self, const void *input, void *output,
                                       void *arena, uint32_t *needed) {
  WORD_AT(0x4000800Cu) = 1;
  return loop_invoke(self, input, output, arena, needed);
}

static void a_wrapped_counter_is_reported(void) {
  const uint32_t most = 2097152000u; /* 2^32 ticks */
  uint32_t ticks;

  boot();
  WORD_AT(0x4000800Cu) = 1;
  loop_model.invoke = late_invoke;
  ticks = ticks_of(10);
  CHECK(ticks > most - 10000u && ticks < most);
  CHECK_EQUAL(HIL_TICKS_WRAPPED, ticks_of(10000));
  loop_model.invoke = loop_invoke;
  CHECK_EQUAL(2000 + BESIDES_THE_LOOP, ticks_of(1000));
}
#endif

#endif

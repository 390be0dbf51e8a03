/* SPDX-License-Identifier: Apache-2.0 */
/* The LX106 of QEMU sim: the port converts 2.56 ticks of CCOUNT to one tick, an instruction. */
#ifndef CORE_XTENSA_H
#define CORE_XTENSA_H

enum { BESIDES_THE_LOOP = 2 };
__asm__(
    ".type loop_invoke, @function\n"
    "loop_invoke:\n"
    "  movi a2, loop_rounds\n" /* one L32R */
    "  l32i a2, a2, 0\n"
    "1: addi a2, a2, -1\n"
    "  bnez a2, 1b\n"
    "  movi a2, 0\n"
    "  ret\n"
    ".size loop_invoke, . - loop_invoke\n");

/* Sets CCOUNT to loop_rounds before the start of the stopwatch, then runs 64 instructions. */
static hil_engine_status_t late_invoke(const hil_model_t *self, const void *input, void *output,
                                       void *arena, uint32_t *needed) {
  uint32_t value;

  (void)self, (void)input, (void)output, (void)arena, (void)needed;
  __asm__ volatile(
      "rsr.ccompare0 %0\n\t"
      "sub %0, %0, %1\n\t"
      "wsr.ccount %0\n\t"
      "movi %0, 32\n"
      "1: addi %0, %0, -1\n\t"
      "bnez %0, 1b"
      : "=&r"(value)
      : "r"(loop_rounds));
  return HIL_ENGINE_OK;
}

/* CCOUNT wraps three times in four steps, as in a long series of inferences without a request. */
static void the_clock_continues_when_the_counter_wraps(void) {
  const uint32_t step = 0xC0000000u, ticks_in_a_us = 40;
  const uint32_t before = hil_port_board.now_us();
  uint32_t value, taken, i;

  for (i = 0; i < 4; i++) {
    __asm__ volatile("rsr.ccount %0\n\tadd %0, %0, %1\n\twsr.ccount %0" : "=&r"(value) : "r"(step));
    hil_port_board.alive();
  }
  taken = hil_port_board.now_us() - before;
  CHECK(taken >= 4 * (step / ticks_in_a_us) && taken < 4 * (step / ticks_in_a_us) + 1000);
}

/* The counter is set to just before it wraps: running 2^32 ticks takes seconds. */
static void a_wrapped_counter_is_reported(void) {
  const uint32_t most = 1677721600u; /* 2^32 ticks of CCOUNT */
  uint32_t ticks;

  the_clock_continues_when_the_counter_wraps();
  boot();
  loop_model.invoke = late_invoke;
  ticks = ticks_of(2560);
  CHECK(ticks > most - 1000u && ticks < most - 900u);
  CHECK_EQUAL(HIL_TICKS_WRAPPED, ticks_of(64));
  loop_model.invoke = loop_invoke;
  CHECK_EQUAL(2000 + BESIDES_THE_LOOP, ticks_of(1000));
}

#endif

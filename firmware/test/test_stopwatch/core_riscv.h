/* SPDX-License-Identifier: Apache-2.0 */
/* The rv32imc core of QEMU virt: a tick is an instruction, counted in minstret. */
#ifndef CORE_RISCV_H
#define CORE_RISCV_H

enum { BESIDES_THE_LOOP = 3 };
__asm__(
    ".option push\n"
    ".option norelax\n" /* the address always takes two instructions */
    ".type loop_invoke, @function\n"
    "loop_invoke:\n"
    "  la a5, loop_rounds\n"
    "  lw a5, 0(a5)\n"
    "1: addi a5, a5, -1\n"
    "  bnez a5, 1b\n"
    "  li a0, 0\n"
    "  ret\n"
    ".size loop_invoke, . - loop_invoke\n"
    ".option pop\n");

/* Advances the low or the high half of the counter by loop_rounds. */
#define CSR_ADD(csr)                                                         \
  do {                                                                       \
    uint32_t value;                                                          \
    __asm__ volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, " csr \
                     "\n\tadd %0, %0, %1\n\tcsrw " csr ", %0\n\t.option pop" \
                     : "=&r"(value)                                          \
                     : "r"(loop_rounds));                                    \
  } while (0)

static hil_engine_status_t low_invoke(const hil_model_t *self, const void *input, void *output,
                                      void *arena, uint32_t *needed) {
  (void)self, (void)input, (void)output, (void)arena, (void)needed;
  CSR_ADD("minstret");
  return HIL_ENGINE_OK;
}

static hil_engine_status_t high_invoke(const hil_model_t *self, const void *input, void *output,
                                       void *arena, uint32_t *needed) {
  (void)self, (void)input, (void)output, (void)arena, (void)needed;
  CSR_ADD("minstreth");
  return HIL_ENGINE_OK;
}

/* The counter is set close to a wrap of its low half: running 2^32 instructions takes seconds. */
static void a_wrapped_counter_is_reported(void) {
  const uint32_t most = 0xE0000000u;
  uint32_t ticks;

  boot();
  loop_model.invoke = high_invoke;
  CHECK_EQUAL(HIL_TICKS_WRAPPED, ticks_of(1));
  CHECK(ticks_of(0) < 100);
  loop_model.invoke = low_invoke;
  ticks = ticks_of(most); /* few instructions ran before: no carry */
  CHECK(ticks >= most && ticks < most + 100);
  CHECK(ticks_of(0) < 100);
}

#endif

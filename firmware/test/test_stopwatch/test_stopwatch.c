/* SPDX-License-Identifier: Apache-2.0 */
/* Boards that count instructions: what the session reports for a loop whose instructions are known.
 */
#include <stdint.h>
#include <string.h>

#include "asking.h"
#include "hil_session/hil_port.h"
#include "hil_session/hil_session.h" /* for PlatformIO, which finds libraries by this file's includes */
#include "hil_test.h"

/* Each core's loop_invoke has `loop_rounds` rounds of two instructions and BESIDES_THE_LOOP more,
 * without the two of an empty invoke, which the session subtracts. */
hil_engine_status_t loop_invoke(const hil_model_t *self, const void *input, void *output,
                                void *arena, uint32_t *needed);
extern uint32_t loop_rounds;
uint32_t loop_rounds;

static hil_engine_status_t prepare(const hil_model_t *self, void *arena, uint32_t size,
                                   uint32_t *needed) {
  (void)self;
  (void)arena;
  (void)size;
  (void)needed;
  return HIL_ENGINE_OK;
}

static hil_model_t loop_model;

static uint32_t ticks_of(uint32_t rounds) {
  static const uint8_t input[4] = {1, 2, 3, 4};
  hil_result_t result;

  loop_rounds = rounds;
  CHECK(infer(0, HIL_ENC_INT8, input, sizeof input));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, reply.header.type);
  memcpy(&result, reply.payload, sizeof result);
  CHECK_EQUAL(0, result.micros);
  return result.ticks;
}

static void boot(void) {
  hil_setup_t setup;

  fake_boot(0);
  setup = fake.session.setup;
  loop_model = hil_models[FAKE_INT8];
  loop_model.prepare = prepare;
  loop_model.invoke = loop_invoke;
  setup.models = &loop_model;
  setup.board = &hil_port_board;
  hil_session_init(&fake.session, &setup);
}

#if defined(__riscv)
#include "core_riscv.h"
#elif defined(__XTENSA__)
#include "core_xtensa.h"
#else
#include "core_arm.h"
#endif

static void instructions_are_counted_one_by_one(void) {
  static const uint32_t counts[] = {1, 2, 3, 10, 99, 1000, 123456, 5000000};
  size_t i;

  boot();
  for (i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    CHECK_EQUAL(2 * counts[i] + BESIDES_THE_LOOP, ticks_of(counts[i]));
  }
}

extern uint32_t _stack_bottom[], _stack_top[]; /* from the linker */

/* Fills `bytes` bytes of stack; returns the depth of the last one. */
static uint32_t __attribute__((noinline)) use_stack(uint32_t bytes) {
  volatile uint8_t *const block = (volatile uint8_t *)__builtin_alloca(bytes);
  uint32_t i;

  for (i = 0; i < bytes; i++) {
    block[i] = (uint8_t)i;
  }
  return (uint32_t)((uintptr_t)_stack_top - (uintptr_t)block);
}

static uint32_t stack_used(void) {
  hil_memory_t memory;

  hil_port_board.memory(&memory);
  CHECK_EQUAL((uint32_t)(_stack_top - _stack_bottom) * 4u, memory.stack_size);
  CHECK(memory.ram_static > 0 && memory.ram_static < 65536);
  return memory.stack_used;
}

static void the_stack_mark_is_exact_to_the_word(void) {
  static const uint32_t depths[] = {1536, 1200, 900}; /* a micro:bit has 2,048 bytes */
  uint32_t before, deepest;
  size_t i;

  hil_port_board.reset_marks();
  before = stack_used();
  CHECK(before > 0 && before < 900);
  for (i = 0; i < sizeof depths / sizeof depths[0]; i++) {
    hil_port_board.reset_marks();
    deepest = use_stack(depths[i]);
    CHECK_EQUAL((deepest + 3u) / 4u * 4u, stack_used());
  }
  hil_port_board.reset_marks();
  CHECK(stack_used() < 900);
}

int main(void) {
  hil_port_init(HIL_BAUD);
  RUN(instructions_are_counted_one_by_one);
  RUN(a_wrapped_counter_is_reported);
#ifdef MPS2_WATCHDOG
  RUN(interrupts_of_the_watchdog_do_not_count);
#endif
  RUN(the_stack_mark_is_exact_to_the_word);
  return FINISH();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory marks of an emulated board, from the symbols of its linker script. The stack is painted;
 * the paint that remains shows its deepest use. */
#ifndef HIL_MEMORY_H
#define HIL_MEMORY_H

#include "hil_board.h"

enum { PAINT = 0xA5A5A5A5u };

extern uint32_t _stack_bottom[], _stack_top[];
extern uint8_t _data_start[], _data_end[], _bss_start[], _bss_end[];

/* Of the bsp, if it has a heap. An image of models never allocates. */
#ifndef HIL_WITH_IMAGE
extern uint32_t hil_heap_used __attribute__((weak));
#endif

static void __attribute__((noinline)) paint_stack(void) {
  uint32_t *const here = (uint32_t *)__builtin_frame_address(0);
  volatile uint32_t *word;

  for (word = _stack_bottom; word < here - 16; word++) { /* below this function's own frame */
    *word = PAINT;
  }
}

static void memory(hil_memory_t *out) {
  const uint32_t *word = _stack_bottom;

  while (word < _stack_top && *word == PAINT) {
    word++;
  }
  out->ram_static = (uint32_t)(_data_end - _data_start) + (uint32_t)(_bss_end - _bss_start);
  out->stack_used = (uint32_t)(_stack_top - word) * 4u;
  out->stack_size = (uint32_t)(_stack_top - _stack_bottom) * 4u;
#ifdef HIL_WITH_IMAGE
  out->heap_used = 0;
#else
  out->heap_used = &hil_heap_used ? hil_heap_used : 0;
#endif
}

#endif

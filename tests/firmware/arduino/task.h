/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the port on its own stack, whose end the operating system watches. */
#ifndef FAKE_TASK_STACK_H
#define FAKE_TASK_STACK_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "hil_port.h"

enum { TASK_STACK = 65536, DEEP = 20000, WATCHED = 0x3C };

alignas(64) static uint8_t task_memory[TASK_STACK + 64];
static uint8_t *task_stack; /* its lowest byte */

/* Uses DEEP bytes of the stack. */
static uint32_t __attribute__((noinline)) go_deep(void) {
  volatile uint8_t bytes[DEEP];
  uint32_t sum = 0;

  for (int i = 0; i < DEEP; i++) {
    bytes[i] = 1;
    sum += bytes[i];
  }
  return sum;
}

static uint32_t stack_used(void) {
  hil_memory_t memory;

  hil_port_board.memory(&memory);
  return memory.stack_used;
}

/* Prints NAME=BYTES lines. `first` is the first byte of the stack that may be painted. */
static void say_stack_marks(size_t first) {
  hil_memory_t memory;

  hil_port_board.memory(&memory);
  printf("size=%u\nbooted=%u\n", (unsigned)memory.stack_size, (unsigned)memory.stack_used);
  printf("sum=%u\n", (unsigned)go_deep());
  printf("deep=%u\n", (unsigned)stack_used());
  hil_port_board.reset_marks();
  printf("reset=%u\n", (unsigned)stack_used());
  task_stack[first] = 0;
  printf("almost_full=%u\n", (unsigned)stack_used());
  hil_port_board.reset_marks();
  memset(task_stack + first, 0, 64);
  printf("full=%u\n", (unsigned)stack_used());
  hil_port_board.reset_marks();
}

/* Runs `body` on a stack that starts `offset` bytes after a multiple of 64. */
static void run_task(size_t offset, void (*body)(void)) {
  static ucontext_t here, task;

  task_stack = task_memory + offset;
  memset(task_stack, 0xA5, TASK_STACK);
  getcontext(&task);
  task.uc_stack.ss_sp = task_stack;
  task.uc_stack.ss_size = TASK_STACK;
  task.uc_link = &here;
  makecontext(&task, body, 0);
  swapcontext(&here, &task);
}

#endif

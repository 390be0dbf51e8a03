/* SPDX-License-Identifier: Apache-2.0 */
/* Reset: enables the FPU, initialises memory, calls main. A fault ends the emulator instead of
 * hanging it. */
#include <stdint.h>

#include "bare_metal/start_up.h"
#include "leave.h"

extern uint32_t _stack_top[];

int main(void);
void __libc_init_array(void);
void Reset_Handler(void);

static void fault(void) {
  leave(70u);
  for (;;) {
  }
}

static void idle(void) {}

/* Replaced in a port that starts the watchdog. */
void NMI_Handler(void) __attribute__((weak, alias("fault")));

void Reset_Handler(void) {
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: CP10 and CP11, the FPU */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  initialise_memory();
  __libc_init_array();
  leave((uint32_t)main());
  for (;;) {
  }
}

typedef void (*vector_t)(void);

/* The sixteen vectors of the core; the firmware enables no interrupt. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    (vector_t)(uintptr_t)_stack_top,
    Reset_Handler,
    NMI_Handler,
    fault, /* HardFault */
    fault, /* MemManage */
    fault, /* BusFault */
    fault, /* UsageFault */
    0,
    0,
    0,
    0,
    idle,  /* SVCall */
    fault, /* DebugMonitor */
    0,
    idle, /* PendSV */
    idle, /* SysTick */
};

/* newlib's start code and C++ require these. */
void *__dso_handle = 0;
void _init(void);
void _fini(void);
void _init(void) {}
void _fini(void) {}

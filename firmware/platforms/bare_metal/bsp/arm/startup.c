/* SPDX-License-Identifier: Apache-2.0 */
/* Reset: enables FPU and MVE, initialises memory, calls main. A fault ends the emulator instead of
 * hanging it. */
#include <stdint.h>

#include "bare_metal/start_up.h"
#include "leave.h"

extern uint32_t _stack_top[];

int main(void);
void __libc_init_array(void);
void _start(void);

static void fault(void) {
  leave(70u);
  for (;;) {
  }
}

static void idle(void) {}

/* Replaced in a port that starts the watchdog. */
void NMI_Handler(void) __attribute__((weak, alias("fault")));

typedef void (*vector_t)(void);

/* The sixteen vectors of the core; the firmware enables no interrupt. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    (vector_t)(uintptr_t)_stack_top,
    _start,
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

#ifdef HIL_BOOT
/* The core reads its first two vectors here, in a memory too small for the code. */
__attribute__((section(".boot"), used)) static const vector_t boot[2] = {
    (vector_t)(uintptr_t)_stack_top,
    _start,
};
#endif

void _start(void) {
#ifdef HIL_BOOT
  *(volatile uint32_t *)0xE000ED08u = (uint32_t)(uintptr_t)vectors; /* VTOR */
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: CP10 and CP11, FPU and MVE */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
  initialise_memory();
  __libc_init_array();
  leave((uint32_t)main());
  for (;;) {
  }
}

/* newlib's start code and C++ require these. */
void *__dso_handle = 0;
void _init(void);
void _fini(void);
void _init(void) {}
void _fini(void) {}

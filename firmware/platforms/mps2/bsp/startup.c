/* Reset: FPU on, data copied, bss cleared, then main. Faults end the emulator instead of
 * hanging it. */
#include <stdint.h>

#include "leave.h"

extern uint32_t _stack_top[];
extern uint32_t _data_start[], _data_end[], _bss_start[], _bss_end[];
extern const uint32_t _data_load[];

int main(void);
void __libc_init_array(void);
void Reset_Handler(void);

static void fault(void) {
  leave(70u);
  for (;;) {
  }
}

static void idle(void) {}

/* The watchdog's, in a port that starts it. */
void NMI_Handler(void) __attribute__((weak, alias("fault")));

void Reset_Handler(void) {
  const uint32_t *from = _data_load;
  uint32_t *to;

  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: CP10 and CP11, the FPU */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  for (to = _data_start; to < _data_end;) {
    *to++ = *from++;
  }
  for (to = _bss_start; to < _bss_end;) {
    *to++ = 0u;
  }
  __libc_init_array();
  leave((uint32_t)main());
  for (;;) {
  }
}

typedef void (*vector_t)(void);

/* The sixteen of the core; the firmware enables no interrupt. */
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

/* What newlib's start code and C++ expect of a board. */
void *__dso_handle = 0;
void _init(void);
void _fini(void);
void _init(void) {}
void _fini(void) {}

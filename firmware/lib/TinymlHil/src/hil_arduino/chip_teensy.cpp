// SPDX-License-Identifier: Apache-2.0
/* Teensy 4.0 and 4.1 (i.MX RT1062, Cortex-M7), with PJRC's core. Its API has no watchdog. */
#include "chip.h"

#ifdef HIL_CHIP_TEENSY
#include <Arduino.h>
#include <malloc.h>

#include "cycles.h"

#ifdef ARDUINO_TEENSY41
char hil_chip_name[] = "Teensy 4.1 (i.MX RT1062, Cortex-M7)";
#else
char hil_chip_name[] = "Teensy 4 (i.MX RT1062, Cortex-M7)";
#endif

extern "C" {
extern uint8_t _sdata, _ebss, _estack; /* from the linker: data and bss in DTCM, stack above */
}

void hil_chip_init(void) { cycles_start(); }

uint32_t hil_chip_cycles(void) { return cycles_read(); }

hil_stack_t hil_chip_stack(void) {
  const hil_stack_t stack = {&_ebss, &_estack};
  return stack;
}

/* NOLINTNEXTLINE(clang-analyzer-security.PointerSub): one section follows the other */
uint32_t hil_chip_ram_static(void) { return (uint32_t)(&_ebss - &_sdata); }

uint32_t hil_chip_heap_used(void) { return (uint32_t)mallinfo().uordblks; }

void hil_chip_idle(void) { yield(); }
#endif

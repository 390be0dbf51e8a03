// SPDX-License-Identifier: Apache-2.0
/* Any other Arduino core: answers, micros() and the processor's cycle counter, but no memory marks.
 */
#include "chip.h"

#ifdef HIL_CHIP_OTHER
#include <Arduino.h>

#include "cycles.h"

char hil_chip_name[] = "Arduino board";

void hil_chip_init(void) { cycles_start(); }

hil_stack_t hil_chip_stack(void) {
  const hil_stack_t unknown = {nullptr, nullptr};
  return unknown;
}

uint32_t hil_chip_ram_static(void) { return 0; }

uint32_t hil_chip_heap_used(void) { return HIL_HEAP_UNKNOWN; }

uint32_t hil_chip_cycles(void) { return cycles_read(); }

void hil_chip_idle(void) { yield(); }
#endif

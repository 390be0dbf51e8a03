/* Any other chip: answers and micros(), no memory marks; mcycle where the core is RISC-V. */
#include "chip.h"

#if defined(HIL_CHIP_OTHER) || defined(HIL_CHIP_RISCV)
#include <Arduino.h>

char hil_chip_name[] = "Arduino board";

void hil_chip_init(void) {}

hil_stack_t hil_chip_stack(void) {
  const hil_stack_t unknown = {nullptr, nullptr};
  return unknown;
}

uint32_t hil_chip_ram_static(void) { return 0; }

uint32_t hil_chip_heap_used(void) { return HIL_HEAP_UNKNOWN; }

uint32_t hil_chip_cycles(void) {
#ifdef HIL_CHIP_RISCV
  register uint32_t cycles __asm__("a0");
  /* csrr a0, mcycle: as a word, for old assemblers know no Zicsr and new ones insist on it */
  __asm__ volatile(".word 0xB0002573" : "=r"(cycles));
  return cycles;
#else
  return 0;
#endif
}

void hil_chip_idle(void) {}
#endif

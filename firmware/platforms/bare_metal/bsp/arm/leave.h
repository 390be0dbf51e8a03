/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the emulator. */
#ifndef LEAVE_H
#define LEAVE_H

#include <stdint.h>

/* Semihosting SYS_EXIT_EXTENDED: QEMU ends with this exit code. */
static inline void leave(uint32_t code) {
  uint32_t block[2] = {0x20026u, code};
  register uint32_t operation __asm__("r0") = 0x20u;
  register uint32_t *argument __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
}

#endif

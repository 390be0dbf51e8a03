/* SPDX-License-Identifier: Apache-2.0 */
/* Arm semihosting: a breakpoint that the emulator (or a debug probe) handles as a call. */
#ifndef HIL_SEMIHOSTING_H
#define HIL_SEMIHOSTING_H

#include <stdint.h>

enum { SYS_WRITEC = 0x03, SYS_WRITE0 = 0x04, SYS_READC = 0x07 };

static inline uint32_t semihosting_call(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;

  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

/* Reads one character from the console; sleeps until it comes.
 *
 * QEMU 7.1 to 7.2 stores the character just below the stack pointer, but returns the byte that was
 * there before the call (observed on 7.2.22: every READC was one character late). So a known byte
 * is stored there first. If the call changes it, it is the character; if not, r0 is. That works in
 * every version. Nothing else writes there, because the firmware enables no interrupt. */
static inline uint8_t semihosting_read_char(void) {
  register uint32_t r0 __asm__("r0") = SYS_READC;
  register uint32_t r1 __asm__("r1") = 0;
  uint32_t below = 0x55u;

  __asm__ volatile(
      "strb %[below], [sp, #-1]\n\t"
      "bkpt 0xab\n\t"
      "ldrb %[below], [sp, #-1]"
      : "+r"(r0), [below] "+r"(below)
      : "r"(r1)
      : "memory");
  return (uint8_t)(below != 0x55u ? below : r0);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* RISC-V semihosting: three instructions that the emulator (or a debug probe) handles as a call. */
#ifndef HIL_SEMIHOSTING_H
#define HIL_SEMIHOSTING_H

#include <stdint.h>

enum { SYS_WRITEC = 0x03, SYS_WRITE0 = 0x04, SYS_READC = 0x07 };

/* Uncompressed and within one page of memory, because the emulator reads all three. The alignment
 * must come before norvc: after it, the linker would align two-byte code with four-byte nops. */
#define HIL_SEMIHOSTING_TRAP \
  ".balign 16\n\t"           \
  ".option push\n\t"         \
  ".option norvc\n\t"        \
  "slli x0, x0, 0x1f\n\t"    \
  "ebreak\n\t"               \
  "srai x0, x0, 7\n\t"       \
  ".option pop\n\t"

static inline uint32_t semihosting_call(uint32_t operation, const void *argument) {
  register uint32_t a0 __asm__("a0") = operation;
  register const void *a1 __asm__("a1") = argument;

  __asm__ volatile(HIL_SEMIHOSTING_TRAP : "+r"(a0) : "r"(a1) : "memory");
  return a0;
}

/* Reads one character from the console; sleeps until it comes.
 *
 * QEMU 7.1 to 7.2 stores the character just below the stack pointer, but returns the byte that was
 * there before the call. So a known byte is stored there first. If the call changes it, it is the
 * character; if not, a0 is. That works in every version. Nothing else writes there, because no
 * interrupt is enabled. */
static inline uint8_t semihosting_read_char(void) {
  register uint32_t a0 __asm__("a0") = SYS_READC;
  register uint32_t a1 __asm__("a1") = 0;
  uint32_t below = 0x55u;

  __asm__ volatile("sb %[below], -1(sp)\n\t" HIL_SEMIHOSTING_TRAP "lbu %[below], -1(sp)"
                   : "+r"(a0), [below] "+r"(below)
                   : "r"(a1)
                   : "memory");
  return (uint8_t)(below != 0x55u ? below : a0);
}

#endif

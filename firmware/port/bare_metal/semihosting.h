/* SPDX-License-Identifier: Apache-2.0 */
/* Semihosting on Arm and RISC-V: a breakpoint that the emulator (or a debug probe) handles as a
 * call. Xtensa's is another (port/lx106/semihosting.h). */
#ifndef HIL_SEMIHOSTING_H
#define HIL_SEMIHOSTING_H

#include <stdint.h>

enum { SYS_WRITEC = 0x03, SYS_WRITE0 = 0x04, SYS_READC = 0x07 };

#if defined(__riscv)
#define SEMIHOSTING_OPERATION "a0"
#define SEMIHOSTING_ARGUMENT "a1"
/* Uncompressed and within one page of memory, because the emulator reads all three. The alignment
 * must come before norvc: after it, the linker would align two-byte code with four-byte nops. */
#define SEMIHOSTING_TRAP  \
  ".balign 16\n\t"        \
  ".option push\n\t"      \
  ".option norvc\n\t"     \
  "slli x0, x0, 0x1f\n\t" \
  "ebreak\n\t"            \
  "srai x0, x0, 7\n\t"    \
  ".option pop\n\t"
#define SEMIHOSTING_READ_CHAR \
  "addi %[at], sp, -1\n\tsb %[below], 0(%[at])\n\t" SEMIHOSTING_TRAP "lbu %[below], 0(%[at])"
#define SEMIHOSTING_REGISTER "r"
#else
#define SEMIHOSTING_OPERATION "r0"
#define SEMIHOSTING_ARGUMENT "r1"
#define SEMIHOSTING_TRAP "bkpt 0xab\n\t"
/* A Cortex-M0 stores a byte relative to r0 to r7 only. */
#define SEMIHOSTING_BELOW ".syntax unified\n\tmov %[at], sp\n\tsubs %[at], #1\n\t"
#define SEMIHOSTING_STORE "strb %[below], [%[at]]\n\t"
#define SEMIHOSTING_READ_CHAR \
  SEMIHOSTING_BELOW SEMIHOSTING_STORE SEMIHOSTING_TRAP "ldrb %[below], [%[at]]"
#define SEMIHOSTING_REGISTER "l"
#endif

static inline uint32_t semihosting_call(uint32_t operation, const void *argument) {
  register uint32_t what __asm__(SEMIHOSTING_OPERATION) = operation;
  register const void *with __asm__(SEMIHOSTING_ARGUMENT) = argument;

  __asm__ volatile(SEMIHOSTING_TRAP : "+r"(what) : "r"(with) : "memory");
  return what;
}

/* Reads one character from the console; sleeps until it comes.
 *
 * QEMU 7.1 to 7.2 stores the character just below the stack pointer, but returns the byte that was
 * there before the call (observed on 7.2.22: every READC was one character late). So a known byte
 * is stored there first. If the call changes it, it is the character; if not, the result is. That
 * works in every version. Nothing else writes there, because the firmware enables no interrupt. */
static inline uint8_t semihosting_read_char(void) {
  register uint32_t what __asm__(SEMIHOSTING_OPERATION) = SYS_READC;
  register uint32_t with __asm__(SEMIHOSTING_ARGUMENT) = 0;
  uint32_t below = 0x55u, at;

  __asm__ volatile(
      SEMIHOSTING_READ_CHAR
      : "+r"(what), [below] "+" SEMIHOSTING_REGISTER(below), [at] "=&" SEMIHOSTING_REGISTER(at)
      : "r"(with)
      : "memory", "cc");
  return (uint8_t)(below != 0x55u ? below : what);
}

#endif

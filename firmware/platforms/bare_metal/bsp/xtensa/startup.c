/* SPDX-License-Identifier: Apache-2.0 */
/* Reset: sets exception vectors and stack, initialises memory, calls main. An exception ends the
 * emulator instead of hanging it. */
#include <stdint.h>

#include "bare_metal/start_up.h"

int main(void);
void reset(void);
void abort(void);

/* Semihosting's exit with code 70. */
#define LEAVE       \
  "  movi a2, 1\n"  \
  "  movi a3, 70\n" \
  "  simcall\n"

/* At the start of the ROM, where the core also starts after a reset. */
__asm__(
    ".section .vectors, \"ax\"\n"
    ".globl vectors\n"
    "vectors:\n"
    "  j _start\n"
    "  .org 0x10\n" LEAVE /* debug */
    "  .org 0x20\n" LEAVE /* NMI */
    "  .org 0x30\n" LEAVE /* kernel */
    "  .org 0x50\n" LEAVE /* user */
    "  .org 0x70\n" LEAVE /* double */
    ".previous\n");

/* The constants for L32R are placed by hand, because the assembler would put them in another
 * section. PS: no exception pending, user mode, all interrupts masked. */
__asm__(
    ".section .init.start, \"ax\"\n"
    ".balign 4\n"
    "base: .word vectors\n"
    "stack: .word _stack_top\n"
    "entry: .word reset\n"
    ".globl _start\n"
    "_start:\n"
    "  l32r a1, stack\n"
    "  l32r a2, base\n"
    "  wsr.vecbase a2\n"
    "  movi a2, 0x2f\n"
    "  wsr.ps a2\n"
    "  rsync\n"
    "  l32r a0, entry\n"
    "  jx a0\n"
    ".previous\n");

__attribute__((noreturn)) static void leave(uint32_t code) {
  register uint32_t a2 __asm__("a2") = 1; /* semihosting: exit */
  register uint32_t a3 __asm__("a3") = code;

  for (;;) {
    __asm__ volatile("simcall" : : "r"(a2), "r"(a3) : "memory");
  }
}

void reset(void) {
  initialise_memory();
  call_constructors();
  leave((uint32_t)main());
}

void abort(void) { leave(70u); }

void *__dso_handle = 0; /* C++ requires it */

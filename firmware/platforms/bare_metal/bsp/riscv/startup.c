/* SPDX-License-Identifier: Apache-2.0 */
/* Reset: sets stack and global pointer, enables the FPU, initialises memory, calls main. A trap
 * ends the emulator instead of hanging it. */
#include <stdint.h>

#include "bare_metal/start_up.h"

int main(void);
void reset(void);
void trap(void);
void abort(void);

#ifdef __riscv_flen
#define ENABLE_FPU    \
  "  li t0, 0x2000\n" \
  "  csrs mstatus, t0\n" /* FS: initial */
#else
#define ENABLE_FPU
#endif

__asm__(
    ".section .init.start, \"ax\"\n"
    ".option push\n"
    ".option arch, +zicsr\n" /* in -march it would select the wrong C library */
    ".globl _start\n"
    "_start:\n"
    ".option norelax\n"
    "  la gp, __global_pointer$\n"
    ".option relax\n"
    "  la sp, _stack_top\n"
    "  la t0, trap\n"
    "  csrw mtvec, t0\n" ENABLE_FPU
    "  j reset\n"
    ".option pop\n"
    ".previous\n");

/* QEMU's test device: ends the emulator with this exit code. */
__attribute__((noreturn)) static void leave(uint32_t code) {
  *(volatile uint32_t *)0x00100000u = code == 0 ? 0x5555u : (code << 16 | 0x3333u);
  for (;;) {
  }
}

/* mtvec requires a multiple of four. */
__attribute__((aligned(4))) void trap(void) { leave(70u); }

void reset(void) {
  initialise_memory();
  call_constructors();
  leave((uint32_t)main());
}

/* TFLM calls it. The C library's version raises a signal, and there are no signals here. */
void abort(void) { leave(70u); }

void *__dso_handle = 0; /* C++ requires it */

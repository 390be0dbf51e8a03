/* Reset: stack and global pointer set, data copied, bss cleared, then main. A trap ends the
 * emulator instead of hanging it. */
#include <stdint.h>

extern uint32_t _data_start[], _data_end[], _bss_start[], _bss_end[];
extern const uint32_t _data_load[];
extern void (*const __preinit_array_start[])(void);
extern void (*const __init_array_end[])(void);

int main(void);
void reset(void);
void trap(void);
void abort(void);

__asm__(
    ".section .init.start, \"ax\"\n"
    ".option push\n"
    ".option arch, +zicsr\n" /* in -march it would pick the wrong C library */
    ".globl _start\n"
    "_start:\n"
    ".option norelax\n"
    "  la gp, __global_pointer$\n"
    ".option relax\n"
    "  la sp, _stack_top\n"
    "  la t0, trap\n"
    "  csrw mtvec, t0\n"
    "  j reset\n"
    ".option pop\n"
    ".previous\n");

/* QEMU's test device: the emulator leaves with this exit code. */
__attribute__((noreturn)) static void leave(uint32_t code) {
  *(volatile uint32_t *)0x00100000u = code == 0 ? 0x5555u : (code << 16 | 0x3333u);
  for (;;) {
  }
}

/* mtvec wants a multiple of four. */
__attribute__((aligned(4))) void trap(void) { leave(70u); }

void reset(void) {
  const uint32_t *from = _data_load;
  void (*const *initialise)(void);
  uint32_t *to;

  for (to = _data_start; to < _data_end;) {
    *to++ = *from++;
  }
  for (to = _bss_start; to < _bss_end;) {
    *to++ = 0u;
  }
  for (initialise = __preinit_array_start; initialise < __init_array_end; initialise++) {
    (*initialise)();
  }
  leave((uint32_t)main());
}

/* The C library's raises a signal, of which there are none here: TFLM calls it. */
void abort(void) { leave(70u); }

void *__dso_handle = 0; /* C++ expects it of a board */

/* Reset: exception vectors and stack set, data copied, bss cleared, then main. An exception ends
 * the emulator instead of hanging it. */
#include <stdint.h>

extern uint32_t _data_start[], _data_end[], _bss_start[], _bss_end[];
extern const uint32_t _data_load[];
extern void (*const __preinit_array_start[])(void);
extern void (*const __init_array_end[])(void);

int main(void);
void reset(void);
void abort(void);

/* Semihosting's exit with code 70. */
#define LEAVE       \
  "  movi a2, 1\n"  \
  "  movi a3, 70\n" \
  "  simcall\n"

/* At the start of the ROM, where the core begins after a reset as well. */
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

/* What L32R loads stands here by hand: the assembler would put it in a section of its own.
 * PS: no exception pending, user mode, every interrupt masked. */
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

void abort(void) { leave(70u); }

void *__dso_handle = 0; /* C++ expects it of a board */

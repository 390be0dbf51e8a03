/* SPDX-License-Identifier: Apache-2.0 */
/* Xtensa semihosting: QEMU handles `simcall` as a system call on its own descriptors. */
#ifndef HIL_SEMIHOSTING_H
#define HIL_SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

enum { SYS_EXIT = 1, SYS_READ = 3, SYS_WRITE = 4, SYS_SELECT_ONE = 29 };
enum { SELECT_READ = 1 };
enum { STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR };

static inline int32_t semihosting_call(uint32_t operation, uint32_t first, uint32_t second,
                                       uint32_t third) {
  register uint32_t a2 __asm__("a2") = operation;
  register uint32_t a3 __asm__("a3") = first; /* and errno, on return */
  register uint32_t a4 __asm__("a4") = second;
  register uint32_t a5 __asm__("a5") = third;

  __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
  return (int32_t)a2;
}

/* Writes everything to a descriptor, which may take only a part per call. */
static inline void semihosting_write(uint32_t descriptor, const void *data, size_t length) {
  const uint8_t *rest = (const uint8_t *)data;

  while (length > 0) {
    const int32_t sent =
        semihosting_call(SYS_WRITE, descriptor, (uint32_t)(uintptr_t)rest, (uint32_t)length);

    if (sent <= 0) {
      return; /* the other end is closed */
    }
    rest += sent;
    length -= (size_t)sent;
  }
}

#endif

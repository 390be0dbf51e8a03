/* SPDX-License-Identifier: Apache-2.0 */
/* What the start-up code of emulated boards shares. The symbols are from their linker scripts. */
#ifndef HIL_START_UP_H
#define HIL_START_UP_H

#include <stdint.h>

extern uint32_t _data_start[], _data_end[], _bss_start[], _bss_end[];
extern const uint32_t _data_load[];
extern void (*const __preinit_array_start[])(void);
extern void (*const __init_array_end[])(void);

/* Copies .data from its load address and clears .bss. */
static inline void initialise_memory(void) {
  const uint32_t *from = _data_load;
  uint32_t *to;

  for (to = _data_start; to < _data_end;) {
    *to++ = *from++;
  }
  for (to = _bss_start; to < _bss_end;) {
    *to++ = 0u;
  }
}

/* Calls the constructors, for a C library without __libc_init_array. */
static inline void call_constructors(void) {
  void (*const *constructor)(void);

  for (constructor = __preinit_array_start; constructor < __init_array_end; constructor++) {
    (*constructor)();
  }
}

#endif

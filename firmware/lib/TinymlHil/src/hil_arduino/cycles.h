/* SPDX-License-Identifier: Apache-2.0 */
/* The cycle counter of the processor, which does not depend on the Arduino core. HIL_CYCLES is
 * defined if there is one: Cortex-M3 and above have DWT CYCCNT; M0, M0+, M1 and M23 have none. */
#ifndef HIL_CYCLES_H
#define HIL_CYCLES_H

#include <stdint.h>

#if defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__) || \
    defined(__ARM_ARCH_8_1M_MAIN__)
#define HIL_CYCLES 1

static inline volatile uint32_t *cycles_register(uint32_t address) {
  return (volatile uint32_t *)address;
}

static inline void cycles_start(void) {
  *cycles_register(0xE000EDFCu) |= 1u << 24;   /* DEMCR, TRCENA */
  *cycles_register(0xE0001FB0u) = 0xC5ACCE55u; /* DWT_LAR: unlocks an M7, no effect elsewhere */
  *cycles_register(0xE0001004u) = 0;           /* DWT_CYCCNT */
  *cycles_register(0xE0001000u) |= 1u;         /* DWT_CTRL, CYCCNTENA */
}

static inline uint32_t cycles_read(void) { return *cycles_register(0xE0001004u); }

#elif defined(__riscv)
#define HIL_CYCLES 1

static inline void cycles_start(void) {}

static inline uint32_t cycles_read(void) {
  register uint32_t cycles __asm__("a0");
  /* csrr a0, mcycle, as a word: old assemblers do not know Zicsr, new ones require it */
  __asm__ volatile(".word 0xB0002573" : "=r"(cycles));
  return cycles;
}

#else
static inline void cycles_start(void) {}

static inline uint32_t cycles_read(void) { return 0; }
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU sim, lx106, under -icount shift=6: an instruction takes 64 ns of virtual time. CCOUNT runs
 * at 40 MHz and wraps every 107 s. */
#include <string.h>

#include "bare_metal/board.h"
#include "hil_messages.h"
#include "hil_port.h"
#include "semihosting.h"

enum { TIMER_0 = 1 << 6 }; /* in INTERRUPT: CCOUNT has reached CCOMPARE0 */

static inline uint32_t counter_now(void) {
  uint32_t value;

  __asm__ volatile("rsr.ccount %0" : "=r"(value) : : "memory");
  return value;
}

static inline void alarm_set(uint32_t at) {
  __asm__ volatile("wsr.ccompare0 %0\n\tesync" : : "r"(at) : "memory");
}

static inline int alarm_seen(void) {
  uint32_t pending;

  __asm__ volatile("rsr.interrupt %0" : "=r"(pending) : : "memory");
  return (pending & TIMER_0) != 0u;
}

#include "bare_metal/counter.h"

/* ---- The line: standard input and output of the emulator, which the harness connects to a pty.
 * The processor sleeps in SELECT while it waits. It wakes ten times a second, because QEMU can be
 * ended only while it is awake. */
size_t hil_port_read(uint8_t *data, size_t limit) {
  static uint8_t received[64] __attribute__((aligned(64))); /* within one page: see below */
  static const uint32_t tenth[2] = {0, 100000};             /* seconds, microseconds */
  const uint32_t most = limit < sizeof received ? (uint32_t)limit : sizeof received;
  int32_t got;

  while (semihosting_call(SYS_SELECT_ONE, STANDARD_INPUT, SELECT_READ,
                          (uint32_t)(uintptr_t)tenth) == 0) {
  }
  alive();
  /* QEMU reads page by page: after data that ends at a page boundary it would wait for more */
  got = semihosting_call(SYS_READ, STANDARD_INPUT, (uint32_t)(uintptr_t)received, most);
  if (got <= 0) { /* the other end is closed */
    (void)semihosting_call(SYS_EXIT, 0, 0, 0);
  }
  memcpy(data, received, (size_t)got);
  return (size_t)got;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  semihosting_write(STANDARD_OUTPUT, data, length);
}

void hil_port_init(uint32_t baud) {
  (void)baud;
  static const char ready[] = "ready\n"; /* the board file's `ready`: QEMU accepted its arguments */

  semihosting_write(STANDARD_ERROR, ready, sizeof ready - 1);
  paint_stack();
}

const hil_board_t hil_port_board = {
    BARE_METAL_BOARD,
    .name = HIL_BOARD_NAME,
    .tick_hz = INSTRUCTIONS_A_SECOND,
    .alive = alive,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU sim, lx106, under -icount shift=6: an instruction takes 64 ns of virtual time. CCOUNT runs
 * at 40 MHz, so 25 instructions take 64 of its ticks. */
#include <string.h>

#include "bare_metal/board.h"
#include "hil_messages.h"
#include "hil_port.h"
#include "semihosting.h"

enum { TICKS = 64, INSTRUCTIONS = 25, INSTRUCTIONS_A_SECOND = 15625000 };
enum { CCOUNT_IN_A_MS = 40000, CCOUNT_IN_A_US = 40 };
enum { TIMER_0 = 1 << 6 }; /* in INTERRUPT: CCOUNT has reached CCOMPARE0 */

static inline uint32_t ccount(void) {
  uint32_t value;

  __asm__ volatile("rsr.ccount %0" : "=r"(value) : : "memory");
  return value;
}

/* ---- Time. CCOUNT wraps every 107 s of virtual time. It is read before every inference, so an
 * inference must be shorter than that. */
static uint64_t elapsed;

static uint64_t clock_now(void) {
  elapsed += (uint32_t)(ccount() - (uint32_t)elapsed);
  return elapsed;
}

static void alive(void) { (void)clock_now(); }

static uint32_t uptime_ms(void) { return (uint32_t)(clock_now() / CCOUNT_IN_A_MS); }

static uint32_t now_us(void) { return (uint32_t)(clock_now() / CCOUNT_IN_A_US); }

/* ---- The stopwatch: CCOUNT reaches CCOMPARE0, which is its start value, only if it wraps. */
static uint32_t started;

static void stopwatch_start(void) {
  started = ccount();
  __asm__ volatile("wsr.ccompare0 %0\n\tesync" : : "r"(started) : "memory");
}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  const uint32_t taken = ccount() - started;
  uint32_t pending;

  __asm__ volatile("rsr.interrupt %0" : "=r"(pending) : : "memory");
  *micros = 0;
  *ticks = (pending & TIMER_0) != 0u
               ? HIL_TICKS_WRAPPED
               : (uint32_t)(((uint64_t)taken * INSTRUCTIONS + TICKS / 2) / TICKS);
}

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
    .name = "sim lx106",
    .tick_hz = INSTRUCTIONS_A_SECOND,
    .alive = alive,
};

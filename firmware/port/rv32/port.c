/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU virt under -icount shift=0: an instruction takes a nanosecond of virtual time. */
#include "bare_metal/board.h"
#include "bare_metal/console.h"
#include "hil_messages.h"
#include "hil_port.h"

/* The machine timer of the CLINT, at 10 MHz of virtual time. */
#define MTIME_LOW (*(volatile uint32_t *)0x0200BFF8u)
#define MTIME_HIGH (*(volatile uint32_t *)0x0200BFFCu)
enum { MTIME_TICKS_IN_A_MS = 10000, MTIME_TICKS_IN_A_US = 10 };

static uint64_t started;

static uint64_t instructions(void) {
  uint32_t low, high, again;

  /* repeat if the low half carried into the high half between the reads */
  do { /* NOLINT(bugprone-infinite-loop) */
    __asm__ volatile(
        ".option push\n\t"
        ".option arch, +zicsr\n\t" /* in -march it would select the wrong C library */
        "csrr %[high], minstreth\n\t"
        "csrr %[low], minstret\n\t"
        "csrr %[again], minstreth\n\t"
        ".option pop"
        : [low] "=r"(low), [high] "=r"(high), [again] "=r"(again)
        :
        : "memory");
  } while (high != again);
  return (uint64_t)high << 32 | low;
}

static void stopwatch_start(void) { started = instructions(); }

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  const uint64_t taken = instructions() - started;

  *micros = 0;
  *ticks = taken < HIL_TICKS_WRAPPED ? (uint32_t)taken : HIL_TICKS_WRAPPED;
}

static uint64_t mtime(void) {
  uint32_t low, high;

  do {
    high = MTIME_HIGH;
    low = MTIME_LOW;
  } while (high != MTIME_HIGH);
  return (uint64_t)high << 32 | low;
}

static uint32_t uptime_ms(void) { return (uint32_t)(mtime() / MTIME_TICKS_IN_A_MS); }

static uint32_t now_us(void) { return (uint32_t)(mtime() / MTIME_TICKS_IN_A_US); }

void hil_port_init(uint32_t baud) {
  (void)baud;
  paint_stack();
}

const hil_board_t hil_port_board = {
    BARE_METAL_BOARD,
    .name = HIL_BOARD_NAME,
    .tick_hz = 1000000000u,
};

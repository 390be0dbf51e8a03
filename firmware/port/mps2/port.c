/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's MPS2 and MPS3 boards under -icount. The board's JSON file defines the addresses. */
#include "bare_metal/board.h"
#include "bare_metal/icount.h"
#include "bare_metal/semihosting.h"
#include "hil_messages.h"
#include "hil_port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* ---- Time, of two counters that start at zero together: one wraps at 2^32 ticks, the other at
 * 2^32 hundredths of a second. */
#define FPGAIO_CLK100HZ REGISTER(MPS2_FPGAIO + 0x14u)
#define FPGAIO_COUNTER REGISTER(MPS2_FPGAIO + 0x18u) /* PRESCALE is 0 after a reset */

static uint64_t ticks_now(void) {
  const uint64_t rough = (uint64_t)FPGAIO_CLK100HZ * (HIL_CLOCK_KHZ * 10u);

  return rough + (uint64_t)(int32_t)(FPGAIO_COUNTER - (uint32_t)rough);
}

/* Milliseconds, or microseconds, in 32 bits: hundredths, and the ticks since. One hundredth more
 * and less, because the counters may be read in the other order. */
static uint32_t time_in(uint32_t of_a_hundredth, uint32_t ticks) {
  const uint32_t rough = FPGAIO_CLK100HZ;
  const uint32_t rest = FPGAIO_COUNTER - rough * (HIL_CLOCK_KHZ * 10u) + HIL_CLOCK_KHZ * 10u;

  return rough * of_a_hundredth + rest / ticks - of_a_hundredth;
}

static uint32_t uptime_ms(void) { return time_in(10, HIL_CLOCK_KHZ); }

static uint32_t now_us(void) { return time_in(10000, HIL_CLOCK_KHZ / 1000u); }

/* ---- CMSDK watchdog: counts down and raises the NMI at zero, which resets the board after the
 * last round. At 180 million emulated instructions per second, 8 rounds are a minute; the host
 * waits 20 s. It runs from an inference until the firmware waits for the host, because virtual time
 * jumps ahead during that wait. Its built-in reset at the second zero is not usable: QEMU counts on
 * while the watchdog is off, and never clears a second zero. */
#define WATCHDOG_LOAD REGISTER(MPS2_WATCHDOG)
#define WATCHDOG_CTRL REGISTER(MPS2_WATCHDOG + 0x08u)
#define WATCHDOG_INTCLR REGISTER(MPS2_WATCHDOG + 0x0Cu)
#define ICSR REGISTER(0xE000ED04u)
#define AIRCR REGISTER(0xE000ED0Cu)
#ifndef MPS2_WATCHDOG_KHZ
#define MPS2_WATCHDOG_KHZ HIL_CLOCK_KHZ
#endif
#ifndef HIL_WATCHDOG_MS /* of virtual time */
#define HIL_WATCHDOG_MS 170000u
enum { ROUNDS = 8 };
#else
enum { ROUNDS = 1 };
#endif
enum { WATCHDOG_INTEN = 1, AIRCR_SYSRESETREQ = 0x05FA0004 };
#define ICSR_NMIPENDSET 0x80000000u

static volatile uint8_t rounds;

void NMI_Handler(void);
void NMI_Handler(void) {
  WATCHDOG_INTCLR = 1; /* it restarts from LOAD */
  rounds++;
  if (rounds == ROUNDS) {
    AIRCR = AIRCR_SYSRESETREQ;
  }
}

static uint8_t armed;

static void alive(void) {
  rounds = 0;
  WATCHDOG_LOAD = HIL_WATCHDOG_MS * MPS2_WATCHDOG_KHZ;
  WATCHDOG_INTCLR = 1;
  WATCHDOG_CTRL = WATCHDOG_INTEN;
  armed = 1;
}

static uint8_t read_char(void) {
  if (armed) {
    armed = 0;
    WATCHDOG_CTRL = 0;
  }
  return semihosting_read_char();
}

#define CONSOLE_READ_CHAR read_char
#include "bare_metal/console.h"

/* ---- The stopwatch. What the watchdog's interrupts take is not counted. */
static uint64_t started;
static uint8_t rounds_before;
static uint32_t nmi_takes; /* instructions */

static void stopwatch_start(void) {
  rounds_before = rounds;
  started = ticks_now();
}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  const uint32_t taken = instructions_in(ticks_now() - started);

  *micros = 0;
  *ticks = taken;
  if (taken != HIL_TICKS_WRAPPED) {
    *ticks -= (uint8_t)(rounds - rounds_before) * nmi_takes;
  }
}

/* Instructions around a write to ICSR. */
static uint32_t __attribute__((noinline)) around_icsr(uint32_t value) {
  const uint64_t before = ticks_now();

  ICSR = value;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  return instructions_in(ticks_now() - before);
}

#ifdef HIL_MARKER_PIN
/* ---- The marker: a user LED, 0 or 1, because QEMU has none of the board's GPIO. */
#define FPGAIO_LED0 REGISTER(MPS2_FPGAIO)
HIL_STATIC_ASSERT(HIL_MARKER_PIN <= 1, "HIL_MARKER_PIN is the number of a user LED: 0 or 1");

static void mark(uint8_t high) { FPGAIO_LED0 = high ? 1u << HIL_MARKER_PIN : 0u; }
#endif

void hil_port_init(uint32_t baud) {
  (void)baud;
  rounds = ROUNDS; /* so the NMI does not reset */
  nmi_takes = around_icsr(ICSR_NMIPENDSET);
  nmi_takes -= around_icsr(0);
#ifdef HIL_MARKER_PIN
  mark(0);
#endif
  paint_stack();
}

const hil_board_t hil_port_board = {
    BARE_METAL_BOARD,
#ifdef HIL_MARKER_PIN
    .mark = mark,
#endif
    .name = HIL_BOARD_NAME, .tick_hz = INSTRUCTIONS_A_SECOND, .alive = alive,
};

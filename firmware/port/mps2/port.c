/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU mps2-an500 under -icount. */
#include "bare_metal/board.h"
#include "hil_messages.h"
#include "hil_port.h"
#include "semihosting.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* CMSDK timer 0, 25 MHz, counting down. */
#define TIMER_CTRL REGISTER(0x40000000u)
#define TIMER_VALUE REGISTER(0x40000004u)
#define TIMER_RELOAD REGISTER(0x40000008u)
#define TIMER_INTSTATUS REGISTER(0x4000000Cu)
enum { TIMER_ENABLE = 1, TIMER_IRQ_ENABLE = 8 }; /* without IRQ_ENABLE, a wrap sets no flag */

#define FPGAIO_CLK100HZ REGISTER(0x40028014u)
/* Counts at 25 MHz divided by one more than PRESCALE. */
#define FPGAIO_COUNTER REGISTER(0x40028018u)
#define FPGAIO_PRESCALE REGISTER(0x4002801Cu)

/* CMSDK watchdog: counts down at 25 MHz and raises the NMI at zero, which resets the board after
 * the last round. A round is as long as the range of the stopwatch, so the NMI does not disturb
 * what that can measure. At 180 million emulated instructions per second, 64 rounds are a minute;
 * the host waits 20 s. It runs from an inference until the firmware waits for the host, because
 * virtual time jumps ahead during that wait. Its built-in reset at the second zero is not usable:
 * QEMU counts on while the watchdog is off, and never clears a second zero. */
#define WATCHDOG_LOAD REGISTER(0x40008000u)
#define WATCHDOG_CTRL REGISTER(0x40008008u)
#define WATCHDOG_INTCLR REGISTER(0x4000800Cu)
#define AIRCR REGISTER(0xE000ED0Cu)
enum { WATCHDOG_INTEN = 1, AIRCR_SYSRESETREQ = 0x05FA0004 };
#ifndef HIL_WATCHDOG_MS /* of virtual time */
#define WATCHDOG_TICKS 0xFFFFFFFFu
enum { WATCHDOG_ROUNDS = 64 };
#else
#define WATCHDOG_TICKS (HIL_WATCHDOG_MS * 25000u)
enum { WATCHDOG_ROUNDS = 1 };
#endif

static volatile uint8_t rounds_left;

void NMI_Handler(void);
void NMI_Handler(void) {
  WATCHDOG_INTCLR = 1; /* it restarts from LOAD */
  if (--rounds_left == 0) {
    AIRCR = AIRCR_SYSRESETREQ;
  }
}

static uint8_t armed;

static void alive(void) {
  rounds_left = WATCHDOG_ROUNDS;
  WATCHDOG_LOAD = WATCHDOG_TICKS;
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

static void stopwatch_start(void) {
  TIMER_CTRL = 0;
  TIMER_INTSTATUS = 1;
  TIMER_RELOAD = 0xFFFFFFFFu;
  TIMER_VALUE = 0xFFFFFFFFu;
  TIMER_CTRL = TIMER_ENABLE | TIMER_IRQ_ENABLE; /* the NVIC masks the interrupt */
}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  const uint32_t value = TIMER_VALUE;
  const uint32_t wrapped = TIMER_INTSTATUS & 1u;

  TIMER_CTRL = 0;
  *micros = 0;
  *ticks = wrapped ? HIL_TICKS_WRAPPED : 0xFFFFFFFFu - value;
}

static uint32_t uptime_ms(void) { return FPGAIO_CLK100HZ * 10u; }

static uint32_t now_us(void) { return FPGAIO_COUNTER; }

void hil_port_init(uint32_t baud) {
  (void)baud;
  FPGAIO_PRESCALE = 25u - 1u;
  paint_stack();
}

const hil_board_t hil_port_board = {
    BARE_METAL_BOARD,
    .name = "mps2-an500",
    .tick_hz = 25000000u,
    .alive = alive,
};

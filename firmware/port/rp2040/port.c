/* SPDX-License-Identifier: Apache-2.0 */
/* A bare RP2040, on its UART0 (GPIO 0 and 1), 12 MHz from the crystal. Only tried in rp2040js; for
 * a physical board use env pico.
 *
 * The runner (firmware/platforms/rp2040/runner) gives each instruction a microsecond of the timer,
 * so the timer counts instructions. */
#include "bare_metal/board.h"
#include "hil_messages.h"
#include "hil_port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CLEAR 0x3000u /* added to an address: the bits written are cleared */

#define RESETS_RESET REGISTER(0x4000C000u + CLEAR)
#define RESETS_DONE REGISTER(0x4000C008u)
enum { RESET_IO_BANK0 = 1 << 5, RESET_PADS_BANK0 = 1 << 8, RESET_UART0 = 1 << 22 };
#define RESET_TIMER (1u << 21)

#define XOSC_CTRL REGISTER(0x40024000u)
#define XOSC_STATUS REGISTER(0x40024004u)
#define XOSC_STARTUP REGISTER(0x4002400Cu)
enum { XOSC_ON = 0x00FABAA0, XOSC_DELAY = 47 }; /* 1 to 15 MHz; 1 ms in units of 256 cycles */

#define CLK_REF_CTRL REGISTER(0x40008030u)
#define CLK_REF_SELECTED REGISTER(0x40008038u)
#define CLK_PERI_CTRL REGISTER(0x40008048u)
enum { CLK_REF_XOSC = 2, CLK_PERI_ENABLE = 1 << 11, CLK_PERI_XOSC = 4 << 5 };

#define WATCHDOG_TICK REGISTER(0x4005802Cu)
enum { TICK_ENABLE = 1 << 9, XOSC_MHZ = 12 };

#define TIMER_RAW_HIGH REGISTER(0x40054024u)
#define TIMER_RAW_LOW REGISTER(0x40054028u)

#define GPIO0_CTRL REGISTER(0x40014004u)
#define GPIO1_CTRL REGISTER(0x4001400Cu)
enum { FUNCTION_UART = 2 };

#define UART_DATA REGISTER(0x40034000u)
#define UART_FLAGS REGISTER(0x40034018u)
#define UART_IBRD REGISTER(0x40034024u)
#define UART_FBRD REGISTER(0x40034028u)
#define UART_LCR_H REGISTER(0x4003402Cu)
#define UART_CR REGISTER(0x40034030u)
#define UART_IMSC REGISTER(0x40034038u)
enum { UART_RX_EMPTY = 1 << 4, UART_TX_FULL = 1 << 5 };
enum { UART_8N1_FIFO = 0x70, UART_ON = 0x301, UART_RX_INTERRUPTS = 0x50 };

#define NVIC_CLEAR_PENDING REGISTER(0xE000E280u)
#define SCR REGISTER(0xE000ED10u)
enum { UART0_IRQ = 1 << 20, SCR_SEVONPEND = 1 << 4 };

#ifdef HIL_MARKER_PIN
/* ---- The marker pin, GPIO 2 to 29: 0 and 1 are the UART. */
#define GPIO_CTRL(pin) REGISTER(0x40014004u + 8u * (pin))
#define SIO_GPIO_OUT_SET REGISTER(0xD0000014u)
#define SIO_GPIO_OUT_CLR REGISTER(0xD0000018u)
#define SIO_GPIO_OE_SET REGISTER(0xD0000024u)
enum { FUNCTION_SIO = 5 };
HIL_STATIC_ASSERT(HIL_MARKER_PIN >= 2 && HIL_MARKER_PIN <= 29, "HIL_MARKER_PIN is 2 to 29");

static void mark(uint8_t high) {
  if (high) {
    SIO_GPIO_OUT_SET = 1u << HIL_MARKER_PIN;
  } else {
    SIO_GPIO_OUT_CLR = 1u << HIL_MARKER_PIN;
  }
}
#endif

void hil_port_init(uint32_t baud) {
  const uint32_t wanted = RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_UART0 | RESET_TIMER;
  const uint32_t divisor = (XOSC_MHZ * 1000000u * 4u + baud / 2u) / baud; /* in 64ths of 16 */

  XOSC_STARTUP = XOSC_DELAY;
  XOSC_CTRL = XOSC_ON;
  while (XOSC_STATUS >> 31 == 0) { /* not stable */
  }
  CLK_REF_CTRL = CLK_REF_XOSC; /* the processor's clock is clk_ref after reset */
  while ((CLK_REF_SELECTED & 1u << CLK_REF_XOSC) == 0) {
  }
  CLK_PERI_CTRL = CLK_PERI_ENABLE | CLK_PERI_XOSC;
  WATCHDOG_TICK = TICK_ENABLE | XOSC_MHZ; /* the timer counts microseconds */
  RESETS_RESET = wanted;
  while ((RESETS_DONE & wanted) != wanted) {
  }
  GPIO0_CTRL = FUNCTION_UART;
  GPIO1_CTRL = FUNCTION_UART;
  UART_IBRD = divisor >> 6;
  UART_FBRD = divisor & 63u;
  UART_LCR_H = UART_8N1_FIFO;
  UART_CR = UART_ON;
  UART_IMSC = UART_RX_INTERRUPTS;
  SCR = SCR_SEVONPEND; /* a pending interrupt wakes the processor; none is ever taken */
#ifdef HIL_MARKER_PIN
  mark(0);
  SIO_GPIO_OE_SET = 1u << HIL_MARKER_PIN;
  GPIO_CTRL(HIL_MARKER_PIN) = FUNCTION_SIO;
#endif
  paint_stack();
}

size_t hil_port_read(uint8_t *data, size_t limit) {
  size_t count = 0;

  if (UART_FLAGS & UART_RX_EMPTY) {
    NVIC_CLEAR_PENDING = UART0_IRQ;
    if (UART_FLAGS & UART_RX_EMPTY) { /* a byte may have come before the line above */
      __asm__ volatile("wfe" ::: "memory");
    }
  }
  while (count < limit && (UART_FLAGS & UART_RX_EMPTY) == 0) {
    data[count++] = (uint8_t)UART_DATA;
  }
  return count;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  for (; length > 0; length--) {
    while (UART_FLAGS & UART_TX_FULL) {
    }
    UART_DATA = *data++;
  }
}

static uint64_t timer(void) {
  uint32_t low, high;

  do {
    high = TIMER_RAW_HIGH;
    low = TIMER_RAW_LOW;
  } while (high != TIMER_RAW_HIGH);
  return (uint64_t)high << 32 | low;
}

static uint64_t started;

static void stopwatch_start(void) { started = timer(); }

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  const uint64_t taken = timer() - started;

  *micros = 0;
  *ticks = taken < HIL_TICKS_WRAPPED ? (uint32_t)taken : HIL_TICKS_WRAPPED;
}

static uint32_t uptime_ms(void) { return (uint32_t)(timer() / 1000u); }

static uint32_t now_us(void) { return TIMER_RAW_LOW; }

const hil_board_t hil_port_board = {
    BARE_METAL_BOARD,
#ifdef HIL_MARKER_PIN
    .mark = mark,
#endif
    .name = "rp2040",
    .tick_hz = 1000000u,
};

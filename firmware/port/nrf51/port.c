/* SPDX-License-Identifier: Apache-2.0 */
/* The nRF51 of QEMU's microbit under -icount: a Cortex-M0 with its UART and TIMER0. */
#include "bare_metal/board.h"
#include "hil_messages.h"
#include "hil_port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* ---- TIMER0: 32 bits at 16 MHz. */
#define TIMER0 0x40008000u
#define TIMER_START REGISTER(TIMER0)
#define TIMER_CAPTURE(n) REGISTER(TIMER0 + 0x040u + 4u * (n))
#define TIMER_COMPARE(n) REGISTER(TIMER0 + 0x140u + 4u * (n))
#define TIMER_BITMODE REGISTER(TIMER0 + 0x508u)
#define TIMER_PRESCALER REGISTER(TIMER0 + 0x510u)
#define TIMER_CC(n) REGISTER(TIMER0 + 0x540u + 4u * (n))
enum { NOW, ALARM }; /* which of the four CC */
enum { BITMODE_32 = 3 };

static inline uint32_t counter_now(void) {
  TIMER_CAPTURE(NOW) = 1;
  return TIMER_CC(NOW);
}

/* One tick earlier: QEMU would see an alarm at the current value at once. */
static inline void alarm_set(uint32_t at) {
  TIMER_CC(ALARM) = at - 1u;
  TIMER_COMPARE(ALARM) = 0;
}

static inline int alarm_seen(void) { return TIMER_COMPARE(ALARM) != 0u; }

#include "bare_metal/counter.h"

/* ---- The UART. QEMU passes on a byte when the firmware has read the one before it, so the line
 * makes the host wait. */
#define UART 0x40002000u
#define UART_STARTRX REGISTER(UART)
#define UART_STARTTX REGISTER(UART + 0x008u)
#define UART_RXDRDY REGISTER(UART + 0x108u)
#define UART_TXDRDY REGISTER(UART + 0x11Cu)
#define UART_INTENSET REGISTER(UART + 0x304u)
#define UART_ENABLE REGISTER(UART + 0x500u)
#define UART_PSELTXD REGISTER(UART + 0x50Cu)
#define UART_PSELRXD REGISTER(UART + 0x514u)
#define UART_RXD REGISTER(UART + 0x518u)
#define UART_TXD REGISTER(UART + 0x51Cu)
#define UART_BAUDRATE REGISTER(UART + 0x524u)
#define NVIC_ISER REGISTER(0xE000E100u)
#define NVIC_ICPR REGISTER(0xE000E280u)
enum { ENABLED = 4, BAUD_115200 = 0x01D7E000, PIN_TXD = 24, PIN_RXD = 25 };
enum { INTEN_RXDRDY = 1 << 2, IRQ_UART = 1 << 2 };

/* The processor sleeps until a byte comes: its interrupt is pending, and PRIMASK keeps it so. */
size_t hil_port_read(uint8_t *data, size_t limit) {
  if (limit == 0) {
    return 0;
  }
  while (UART_RXDRDY == 0u) {
    __asm__ volatile("wfi" ::: "memory");
  }
  UART_RXDRDY = 0;
  data[0] = (uint8_t)UART_RXD; /* sets RXDRDY again if there is another */
  NVIC_ICPR = IRQ_UART;
  return 1;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  for (; length > 0; length--) {
    UART_TXDRDY = 0;
    UART_TXD = *data++;
    while (UART_TXDRDY == 0u) {
    }
  }
}

#ifdef HIL_MARKER_PIN
/* ---- The marker pin, P0.00 to P0.31 without those of the UART. */
#define GPIO_OUTSET REGISTER(0x50000508u)
#define GPIO_OUTCLR REGISTER(0x5000050Cu)
#define GPIO_DIRSET REGISTER(0x50000518u)
HIL_STATIC_ASSERT(HIL_MARKER_PIN <= 31 && HIL_MARKER_PIN != PIN_TXD && HIL_MARKER_PIN != PIN_RXD,
                  "HIL_MARKER_PIN is 0 to 31, without the pins of the UART");

static void mark(uint8_t high) {
  if (high) {
    GPIO_OUTSET = 1u << HIL_MARKER_PIN;
  } else {
    GPIO_OUTCLR = 1u << HIL_MARKER_PIN;
  }
}
#endif

void hil_port_init(uint32_t baud) {
  (void)baud;
  TIMER_BITMODE = BITMODE_32;
  TIMER_PRESCALER = 0;
  TIMER_START = 1;
  __asm__ volatile("cpsid i" ::: "memory");
  UART_PSELTXD = PIN_TXD;
  UART_PSELRXD = PIN_RXD;
  UART_BAUDRATE = BAUD_115200;
  UART_ENABLE = ENABLED;
  UART_INTENSET = INTEN_RXDRDY;
  NVIC_ISER = IRQ_UART;
  UART_STARTTX = 1;
  UART_STARTRX = 1;
#ifdef HIL_MARKER_PIN
  mark(0);
  GPIO_DIRSET = 1u << HIL_MARKER_PIN;
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

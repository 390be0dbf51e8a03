/* SPDX-License-Identifier: Apache-2.0 */
/* A bare STM32H743 or H753 on a Nucleo-144: USART3 (PD8 and PD9, the debugger's serial port), 64
 * MHz from the internal oscillator. For Renode, whose UART keeps bytes until they are read; a
 * physical one would lose them during an inference. Never run. */
#include "bare_metal/board.h"
#include "hil_messages.h"
#include "hil_port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
enum { OSCILLATOR_MHZ = 64 };

#define RCC_AHB4ENR REGISTER(0x580244E0u)
#define RCC_APB1LENR REGISTER(0x580244E8u)
enum { GPIOD_ON = 1 << 3, USART3_ON = 1 << 18, TIM2_ON = 1 << 0 };

#define GPIOD_MODER REGISTER(0x58020C00u)
#define GPIOD_AFRH REGISTER(0x58020C24u)

#define USART_CR1 REGISTER(0x40004800u)
#define USART_BRR REGISTER(0x4000480Cu)
#define USART_ISR REGISTER(0x4000481Cu)
#define USART_ICR REGISTER(0x40004820u)
#define USART_RDR REGISTER(0x40004824u)
#define USART_TDR REGISTER(0x40004828u)
enum { USART_ON = 1 << 0 | 1 << 2 | 1 << 3 }; /* UE, RE, TE */
enum { ISR_OVERRUN = 1 << 3, ISR_RECEIVED = 1 << 5, ISR_MAY_SEND = 1 << 7 };

#define TIM2_CR1 REGISTER(0x40000000u)
#define TIM2_EGR REGISTER(0x40000014u)
#define TIM2_CNT REGISTER(0x40000024u)
#define TIM2_PSC REGISTER(0x40000028u)
#define TIM2_ARR REGISTER(0x4000002Cu)

#ifdef HIL_MARKER_PIN
/* ---- The marker pin: 16 for each port before its own, so 0 is PA0 and 16 PB0. */
#define GPIO_OF(offset) REGISTER(0x58020000u + 0x400u * (HIL_MARKER_PIN / 16u) + (offset))
#define GPIO_MODER GPIO_OF(0x00u)
#define GPIO_BSRR GPIO_OF(0x18u)
enum { MARKER = HIL_MARKER_PIN % 16 };
HIL_STATIC_ASSERT(HIL_MARKER_PIN <= 175 && HIL_MARKER_PIN != 56 && HIL_MARKER_PIN != 57,
                  "HIL_MARKER_PIN is 0 to 175, without PD8 and PD9");

static void mark(uint8_t high) { GPIO_BSRR = 1u << (high ? MARKER : MARKER + 16); }
#endif

void hil_port_init(uint32_t baud) {
  RCC_AHB4ENR |= GPIOD_ON;
  RCC_APB1LENR |= USART3_ON | TIM2_ON;
  (void)RCC_APB1LENR; /* the clocks are on when this returns */
  GPIOD_MODER = (GPIOD_MODER & ~(0xFu << 16)) | 0xAu << 16; /* alternate function */
  GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 0x77u;               /* AF7: USART3 */
  USART_BRR = (OSCILLATOR_MHZ * 1000000u + baud / 2u) / baud;
  USART_CR1 = USART_ON;
  TIM2_PSC = OSCILLATOR_MHZ - 1; /* microseconds */
  TIM2_ARR = 0xFFFFFFFFu;
  TIM2_EGR = 1;
  TIM2_CR1 = 1;
#ifdef HIL_MARKER_PIN
  RCC_AHB4ENR |= 1u << (HIL_MARKER_PIN / 16u);
  (void)RCC_AHB4ENR;
  mark(0);
  GPIO_MODER = (GPIO_MODER & ~(3u << (2 * MARKER))) | 1u << (2 * MARKER); /* output */
#endif
  paint_stack();
}

size_t hil_port_read(uint8_t *data, size_t limit) {
  size_t count = 0;

  if (USART_ISR & ISR_OVERRUN) {
    USART_ICR = ISR_OVERRUN;
  }
  while (count < limit && (USART_ISR & ISR_RECEIVED) != 0) {
    data[count++] = (uint8_t)USART_RDR;
  }
  return count;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  for (; length > 0; length--) {
    while ((USART_ISR & ISR_MAY_SEND) == 0) {
    }
    USART_TDR = *data++;
  }
}

/* Renode's time says nothing about the chip: no ticks. */
static void stopwatch_start(void) {}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  *micros = 0;
  *ticks = 0;
}

static uint32_t now_us(void) { return TIM2_CNT; }

static uint32_t uptime_ms(void) { return TIM2_CNT / 1000u; }

const hil_board_t hil_port_board = {
    BARE_METAL_BOARD,
#ifdef HIL_MARKER_PIN
    .mark = mark,
#endif
    .name = HIL_BOARD_NAME,
};

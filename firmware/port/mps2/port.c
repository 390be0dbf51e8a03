/* QEMU mps2-an500 under -icount. */
#include "bare_metal/console.h"
#include "bare_metal/memory.h"
#include "hil_messages.h"
#include "hil_port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* CMSDK timer 0, 25 MHz, counting down. */
#define TIMER_CTRL REGISTER(0x40000000u)
#define TIMER_VALUE REGISTER(0x40000004u)
#define TIMER_RELOAD REGISTER(0x40000008u)
#define TIMER_INTSTATUS REGISTER(0x4000000Cu)
enum { TIMER_ENABLE = 1, TIMER_IRQ_ENABLE = 8 }; /* without the latter a wrap leaves no mark */

#define FPGAIO_CLK100HZ REGISTER(0x40028014u)
/* Counts at 25 MHz divided by one more than PRESCALE. */
#define FPGAIO_COUNTER REGISTER(0x40028018u)
#define FPGAIO_PRESCALE REGISTER(0x4002801Cu)

static void stopwatch_start(void) {
  TIMER_CTRL = 0;
  TIMER_INTSTATUS = 1;
  TIMER_RELOAD = 0xFFFFFFFFu;
  TIMER_VALUE = 0xFFFFFFFFu;
  TIMER_CTRL = TIMER_ENABLE | TIMER_IRQ_ENABLE; /* the NVIC lets nothing through */
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

void hil_port_init(void) {
  FPGAIO_PRESCALE = 25u - 1u;
  paint_stack();
}

const hil_board_t hil_port_board = {
    "mps2-an500",   4,      HIL_ROOM_WAITS, 0,         25000000u, stopwatch_start,
    stopwatch_stop, memory, paint_stack,    uptime_ms, now_us};

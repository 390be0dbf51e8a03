/* QEMU mps2-an500 under -icount.
 *
 * The serial line is the semihosting console, which QEMU shows as a pty: a character costs an
 * instruction of the guest instead of a turn of QEMU's main loop, which the CMSDK UART needs
 * for each (25 kB/s; the console takes above 2,000), and the processor sleeps while it waits. */
#include <string.h>

#include "hil_messages.h"
#include "hil_port.h"
#include "semihosting.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* CMSDK timer 0, 25 MHz, counting down. */
#define TIMER_CTRL REGISTER(0x40000000u)
#define TIMER_VALUE REGISTER(0x40000004u)
#define TIMER_RELOAD REGISTER(0x40000008u)
#define TIMER_INTSTATUS REGISTER(0x4000000Cu)
enum { TIMER_ENABLE = 1, TIMER_IRQ_ENABLE = 8 }; /* without the latter a wrap leaves no mark */

#define FPGAIO_CLK100HZ REGISTER(0x40028014u)

enum { PAINT = 0xA5A5A5A5u };

extern uint32_t _stack_bottom[], _stack_top[];
extern uint8_t _data_start[], _data_end[], _bss_start[], _bss_end[];

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

static void __attribute__((noinline)) paint_stack(void) {
  uint32_t *const here = (uint32_t *)__builtin_frame_address(0);
  volatile uint32_t *word;

  for (word = _stack_bottom; word < here - 16; word++) { /* clear of this frame's own words */
    *word = PAINT;
  }
}

static void memory(hil_memory_t *out) {
  const uint32_t *word = _stack_bottom;

  while (word < _stack_top && *word == PAINT) {
    word++;
  }
  out->ram_static = (uint32_t)(_data_end - _data_start) + (uint32_t)(_bss_end - _bss_start);
  out->stack_used = (uint32_t)(_stack_top - word) * 4u;
  out->stack_size = (uint32_t)(_stack_top - _stack_bottom) * 4u;
  out->heap_used = 0;
}

static uint32_t uptime_ms(void) { return FPGAIO_CLK100HZ * 10u; }

void hil_port_init(void) { paint_stack(); }

size_t hil_port_read(uint8_t *data, size_t limit) {
  if (limit == 0) {
    return 0;
  }
  data[0] = semihosting_read_char(); /* one: the console does not say whether there is a second */
  return 1;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  static char text[256];

  (void)context;
  while (length > 0) { /* runs without a zero go out in one call, zeros one by one */
    const size_t limit = length < sizeof text - 1u ? length : sizeof text - 1u;
    const uint8_t *zero = (const uint8_t *)memchr(data, 0, limit);
    size_t run = zero ? (size_t)(zero - data) : limit;

    if (run > 0) {
      memcpy(text, data, run);
      text[run] = '\0';
      (void)semihosting_call(SYS_WRITE0, text);
    } else {
      (void)semihosting_call(SYS_WRITEC, data);
      run = 1;
    }
    data += run;
    length -= run;
  }
}

const hil_board_t hil_port_board = {"mps2-an500",   4,      0,           25000000u, stopwatch_start,
                                    stopwatch_stop, memory, paint_stack, uptime_ms};

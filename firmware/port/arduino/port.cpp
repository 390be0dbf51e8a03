/* Any board that Arduino runs on: Serial, micros() and millis(), unchanged on all of them. */
#include <Arduino.h>

#include "chip.h"
#include "hil_messages.h"
#include "hil_port.h"

#ifndef HIL_BAUD
#define HIL_BAUD 115200
#endif

enum { PAINT = 0xA5, MARGIN = 96 }; /* margin: what this function and an interrupt put there */

static uint32_t started_us, started_cycles;

static void stopwatch_start(void) {
  started_us = micros();
  started_cycles = hil_chip_cycles();
}

static void stopwatch_stop(uint32_t *micros_taken, uint32_t *ticks) {
  const uint32_t cycles = hil_chip_cycles() - started_cycles;
  const uint32_t taken = micros() - started_us;
  const uint32_t mhz = HIL_CHIP_CYCLE_HZ / 1000000u;

  *micros_taken = taken;
  /* 2^32 cycles are a few seconds: the slower clock tells whether they wrapped */
  *ticks = mhz > 0 && taken >= 0xFFFFFFFFu / (mhz ? mhz : 1u) ? HIL_TICKS_WRAPPED : cycles;
}

static void __attribute__((noinline)) paint_stack(void) {
  const hil_stack_t stack = hil_chip_stack();
  uint8_t *const here = (uint8_t *)__builtin_frame_address(0) - MARGIN;
  volatile uint8_t *byte;

  if (here > stack.top) {
    return; /* not the stack that the chip named, or none */
  }
  for (byte = stack.bottom + HIL_CHIP_STACK_GUARD; byte < here; byte++) {
    *byte = PAINT;
  }
}

static void memory(hil_memory_t *out) {
  const hil_stack_t stack = hil_chip_stack();
  const size_t size = (size_t)(stack.top - stack.bottom);
  size_t unused = HIL_CHIP_STACK_GUARD;

  while (unused < size && stack.bottom[unused] == PAINT) {
    unused++;
  }
  out->ram_static = hil_chip_ram_static();
  /* no paint left: the stack is full, or has overflowed */
  out->stack_used = (uint32_t)(unused > HIL_CHIP_STACK_GUARD ? size - unused : size);
  out->stack_size = (uint32_t)size;
  out->heap_used = hil_chip_heap_used();
}

static uint32_t uptime_ms(void) { return millis(); }

static uint32_t now_us(void) { return micros(); }

void hil_port_init(void) {
  hil_chip_init();
  paint_stack();
  HIL_CHIP_BEGIN(HIL_BAUD);
#ifdef HIL_CHIP_WATCHDOG
  hil_chip_watch();
#endif
}

size_t hil_port_read(uint8_t *data, size_t limit) {
  size_t count = 0;

#ifdef HIL_CHIP_WATCHDOG
  hil_chip_alive();
#endif
  while (count < limit && Serial.available() > 0) {
    data[count++] = (uint8_t)Serial.read();
  }
  if (count == 0) {
    hil_chip_idle();
  }
  return count;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  Serial.write(data, length);
}

#ifdef HIL_CHIP_HAS_RATE
uint8_t hil_port_set_baud(uint32_t baud, uint8_t apply) {
  if (apply) {
    Serial.flush(); /* the reply goes out at the old rate */
  }
  return hil_chip_set_rate(baud == 0 ? HIL_BAUD : baud, apply);
}
#endif

#ifdef HIL_CHIP_WATCHDOG
#define ALIVE hil_chip_alive
#else
#define ALIVE nullptr
#endif

const hil_board_t hil_port_board = {hil_chip_name,     HIL_CHIP_WINDOW, HIL_CHIP_ROOM,  1,
                                    HIL_CHIP_CYCLE_HZ, stopwatch_start, stopwatch_stop, memory,
                                    paint_stack,       uptime_ms,       now_us,         ALIVE};

// SPDX-License-Identifier: Apache-2.0
/* Any Arduino board: Serial, micros() and millis(), which are the same on all of them. */
#ifdef ARDUINO
#include <Arduino.h>

#include "chip.h"
#include "hil_session/hil_port.h"
#include "hil_wire/hil_messages.h"

enum { PAINT = 0xA5, MARGIN = 96 }; /* margin: for this function and an interrupt */

static uint32_t started_us, started_cycles;
static uint32_t boot_baud;

#ifdef HIL_MARKER_PIN
static void mark(uint8_t high) { digitalWrite(HIL_MARKER_PIN, high ? HIGH : LOW); }
#define HIL_MARK mark
#else
#define HIL_MARK nullptr
#endif

static void stopwatch_start(void) {
  started_us = micros();
  started_cycles = hil_chip_cycles();
}

static void stopwatch_stop(uint32_t *micros_taken, uint32_t *ticks) {
  const uint32_t cycles = hil_chip_cycles() - started_cycles;
  const uint32_t taken = micros() - started_us;
  const uint32_t mhz = HIL_CHIP_CYCLE_HZ / 1000000u;

  *micros_taken = taken;
  /* 2^32 cycles are a few seconds: the slower clock shows whether they wrapped */
  *ticks = mhz > 0 && taken >= 0xFFFFFFFFu / (mhz ? mhz : 1u) ? HIL_TICKS_WRAPPED : cycles;
}

static void __attribute__((noinline)) paint_stack(void) {
  const hil_stack_t stack = hil_chip_stack();
  uint8_t *const here = (uint8_t *)__builtin_frame_address(0) - MARGIN;
  volatile uint8_t *byte;

  if (here > stack.top) {
    return; /* the chip named another stack, or none */
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
  /* no paint left: the stack is full or has overflowed */
  out->stack_used = (uint32_t)(unused > HIL_CHIP_STACK_GUARD ? size - unused : size);
  out->stack_size = (uint32_t)size;
  out->heap_used = hil_chip_heap_used();
}

static uint32_t uptime_ms(void) { return millis(); }

static uint32_t now_us(void) { return micros(); }

void hil_port_init(uint32_t baud) {
  boot_baud = baud;
#ifdef HIL_MARKER_PIN
  pinMode(HIL_MARKER_PIN, OUTPUT);
  mark(0);
#endif
  hil_chip_init();
  paint_stack();
  HIL_CHIP_BEGIN(baud);
  if (hil_chip_watch) {
    hil_chip_watch();
  }
}

#ifdef HIL_CHIP_HAS_RATE
static void send_rest(void) {}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  Serial.write(data, length);
}
#else
/* Over USB each write takes at least one packet, and a frame is hundreds of writes. So bytes are
 * collected until a packet is full, or until the frame (0) or the line of text (CR LF) ends. After
 * a full packet a host may wait for more, and not every core sends the empty packet that ends that
 * wait, so the last packet is never full. */
enum { PACKET = 64 };

static uint8_t packet[PACKET];
static uint8_t waiting; /* bytes in it */

static void send_rest(void) {
  const uint8_t last = waiting == PACKET ? 1 : 0;

  if (waiting > 0) {
    Serial.write((const uint8_t *)packet, (size_t)(waiting - last));
  }
  if (last > 0) {
    Serial.write((const uint8_t *)packet + PACKET - 1, 1);
  }
  waiting = 0;
}

/* The end of a frame or of a line of text. */
static bool is_end(const uint8_t *data, size_t length) {
  if (length > 0 && data[length - 1] == 0) {
    return true;
  }
  return length > 1 && data[length - 2] == '\r' && data[length - 1] == '\n';
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  size_t i;

  (void)context;
  for (i = 0; i < length; i++) {
    if (waiting == PACKET) {
      Serial.write((const uint8_t *)packet, PACKET);
      waiting = 0;
    }
    packet[waiting++] = data[i];
  }
  if (is_end(data, length)) {
    send_rest();
  }
}
#endif

size_t hil_port_read(uint8_t *data, size_t limit) {
  size_t count = 0;

  if (hil_chip_alive) {
    hil_chip_alive();
  }
  while (count < limit && Serial.available() > 0) {
    data[count++] = (uint8_t)Serial.read();
  }
  if (count == 0) {
    send_rest();
    hil_chip_idle();
  }
  return count;
}

#ifdef HIL_CHIP_HAS_RATE
uint8_t hil_port_set_baud(uint32_t baud, uint8_t apply) {
  if (apply) {
    Serial.flush(); /* the reply is sent at the old rate */
  }
  return hil_chip_set_rate(baud == 0 ? boot_baud : baud, apply);
}
#endif

/* __extension__: before C++20, designated initialisers are one of GCC and clang. */
__extension__ const hil_board_t hil_port_board = {
    .name = hil_chip_name,
    .window = HIL_CHIP_WINDOW,
    .room = HIL_CHIP_ROOM,
    .has_micros = 1,
    .tick_hz = HIL_CHIP_CYCLE_HZ,
    .stopwatch_start = stopwatch_start,
    .stopwatch_stop = stopwatch_stop,
    .memory = memory,
    .reset_marks = paint_stack,
    .uptime_ms = uptime_ms,
    .now_us = now_us,
    .alive = hil_chip_alive,
    .mark = HIL_MARK,
};
#endif

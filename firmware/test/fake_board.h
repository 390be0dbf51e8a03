/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated board. A test feeds bytes to its session and finds the answers in `reply`. */
#ifndef FAKE_BOARD_H
#define FAKE_BOARD_H

#include <string.h>

#include "hil_engine/hil_engine.h"
#include "hil_image.h"
#include "hil_session/hil_context.h" /* tests look at the state too */
#include "hil_session/hil_session.h"

enum {
  FAKE_MAX_PAYLOAD = HIL_MAX_PAYLOAD_WITH(HIL_INPUT_ELEMENTS, HIL_INPUT_BYTES),
  FAKE_GUARD = 16
};
enum { FAKE_RX_BYTES = HIL_RX_BYTES(FAKE_MAX_PAYLOAD) + HIL_LOAD_BYTES(HIL_INPUT_ELEMENTS) };

typedef struct {
  hil_session_t session;
  uint8_t reply[2048];
  uint32_t reply_length;
  uint32_t marks_reset;
  uint32_t fed; /* how often the watchdog was fed */
  uint32_t overflowed;
  uint32_t edges;         /* of the marker pin */
  uint8_t marked;         /* its level */
  uint32_t baud;          /* 0: the boot rate */
  uint32_t reply_at_baud; /* reply bytes sent before the last change of rate */
} fake_board_t;

static fake_board_t fake;
static hil_session_t *fake_session = &fake.session; /* receives what is fed */
/* Each buffer is followed by guard bytes that nothing may overwrite. */
static _Alignas(16) uint8_t fake_rx[FAKE_RX_BYTES + FAKE_GUARD];
static _Alignas(16) uint8_t fake_arena[HIL_ARENA_BYTES + FAKE_GUARD];
static _Alignas(16) uint8_t fake_output[HIL_OUTPUT_BYTES + FAKE_GUARD];
static uint32_t fake_now = 0xFFFFFFFFu; /* ms since boot */
static uint32_t fake_now_more;          /* its increment per reading */
static uint32_t fake_us;                /* before the next reading */
static uint32_t fake_ticks;             /* the next reading of the stopwatch */
static uint32_t fake_ticks_more;        /* its increment per reading */

static inline void fake_write(void *context, const uint8_t *data, size_t length) {
  fake_board_t *board = (fake_board_t *)context;

  if (board->reply_length + length > sizeof board->reply) {
    board->overflowed = 1;
    return;
  }
  memcpy(board->reply + board->reply_length, data, length);
  board->reply_length += (uint32_t)length;
}

static inline void fake_start(void) {}

static inline void fake_stop(uint32_t *micros, uint32_t *ticks) {
  *micros = 0;
  *ticks = fake_ticks;
  fake_ticks += fake_ticks_more;
}

static inline void fake_memory(hil_memory_t *memory) {
  memory->ram_static = 12345;
  memory->stack_used = 678;
  memory->stack_size = 65536;
  memory->heap_used = 0;
}

static inline void fake_mark(uint8_t high) {
  fake.edges += high != fake.marked;
  fake.marked = high;
}

static inline void fake_alive(void) { fake.fed++; }

static inline void fake_reset_marks(void) { fake.marks_reset++; }

static inline uint32_t fake_uptime_ms(void) { return fake_now += fake_now_more; }

/* Advances by 1000 per reading. */
static inline uint32_t fake_now_us(void) { return fake_us += 1000; }

/* The line supports at most 2 Mbaud. */
static inline uint8_t fake_set_baud(uint32_t baud, uint8_t apply) {
  if (baud > 2000000u) {
    return 0;
  }
  if (apply) {
    fake.baud = baud;
    fake.reply_at_baud = fake.reply_length;
  }
  return 1;
}

static const hil_board_t fake_board = {
    .name = "fake",
    .window = 2,
    .room = 9,
    .has_micros = 0,
    .tick_hz = 25000000u,
    .stopwatch_start = fake_start,
    .stopwatch_stop = fake_stop,
    .memory = fake_memory,
    .reset_marks = fake_reset_marks,
    .uptime_ms = fake_uptime_ms,
    .now_us = fake_now_us,
    .alive = fake_alive,
    .mark = fake_mark,
};

/* Starts a new session with the fake image; an empty invoke takes `overhead` ticks. */
static inline void fake_boot(uint32_t overhead) {
  const hil_setup_t setup = {
      .board = &fake_board,
      .firmware = "fake 1",
      .toolchain = "none",
      .models = hil_models,
      .model_count = HIL_MODEL_COUNT,
      .rx = fake_rx,
      .max_payload = FAKE_MAX_PAYLOAD,
      .arena = fake_arena,
      .arena_size = HIL_ARENA_BYTES,
      .output = fake_output,
      .convert = hil_input_convert,
      .write = fake_write,
      .write_context = &fake,
      .set_baud = fake_set_baud,
      .rx_size = FAKE_RX_BYTES,
  };

  memset(&fake, 0, sizeof fake);
  memset(fake_rx, 0x77, sizeof fake_rx);
  memset(fake_arena, 0x77, sizeof fake_arena);
  memset(fake_output, 0x77, sizeof fake_output);
  fake_ticks = overhead;
  fake_ticks_more = 0;
  fake_now_more = 0;
  hil_session_init(&fake.session, &setup);
}

/* A hil_write_t that feeds the session with what an encoder sends. */
static inline void fake_feed(void *context, const uint8_t *data, size_t length) {
  size_t i;

  (void)context;
  for (i = 0; i < length; i++) {
    hil_session_feed(fake_session, data[i]);
  }
}

static inline int fake_guards_stand(void) {
  uint32_t i;

  for (i = 0; i < FAKE_GUARD; i++) {
    if (fake_rx[FAKE_RX_BYTES + i] != 0x77 || fake_arena[HIL_ARENA_BYTES + i] != 0x77 ||
        fake_output[HIL_OUTPUT_BYTES + i] != 0x77) {
      return 0;
    }
  }
  for (i = 0; i < HIL_RX_LEAD; i++) {
    if (fake_rx[i] != 0x77) {
      return 0;
    }
  }
  return !fake.overflowed;
}

#endif

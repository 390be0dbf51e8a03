/* A board of memory: what a session test sends goes in, what it answers lies in `reply`. */
#ifndef FAKE_BOARD_H
#define FAKE_BOARD_H

#include <string.h>

#include "hil_context.h" /* tests look at the state too */
#include "hil_engine.h"
#include "hil_image.h"
#include "hil_session.h"

enum { FAKE_MAX_PAYLOAD = HIL_MAX_PAYLOAD_OF(HIL_INPUT_ELEMENTS), FAKE_GUARD = 16 };
enum { FAKE_RX_BYTES = HIL_RX_BYTES(FAKE_MAX_PAYLOAD) + HIL_LOAD_BYTES(HIL_INPUT_ELEMENTS) };

typedef struct {
  hil_session_t session;
  uint8_t reply[2048];
  uint32_t reply_length;
  uint32_t marks_reset;
  uint32_t fed; /* the watchdog */
  uint32_t overflowed;
  uint32_t baud;          /* 0: the rate of boot */
  uint32_t reply_at_baud; /* reply bytes that were out when the rate last changed */
} fake_board_t;

static fake_board_t fake;
/* One byte too many behind each is written by nobody. */
static _Alignas(16) uint8_t fake_rx[FAKE_RX_BYTES + FAKE_GUARD];
static _Alignas(16) uint8_t fake_arena[HIL_ARENA_BYTES + FAKE_GUARD];
static _Alignas(16) uint8_t fake_output[HIL_OUTPUT_BYTES + FAKE_GUARD];
static uint32_t fake_now = 0xFFFFFFFFu; /* ms since boot */
static uint32_t fake_us;                /* before it is asked */
static uint32_t fake_ticks;             /* what the stopwatch says next */
static uint32_t fake_ticks_more;        /* ... and how much more each time */

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

static inline void fake_alive(void) { fake.fed++; }

static inline void fake_reset_marks(void) { fake.marks_reset++; }

static inline uint32_t fake_uptime_ms(void) { return fake_now; }

/* 1000 more each time it is asked. */
static inline uint32_t fake_now_us(void) { return fake_us += 1000; }

/* A line that does 2 Mbaud at most. */
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

static const hil_board_t fake_board = {"fake",
                                       2,
                                       9,
                                       0,
                                       25000000u,
                                       fake_start,
                                       fake_stop,
                                       fake_memory,
                                       fake_reset_marks,
                                       fake_uptime_ms,
                                       fake_now_us,
                                       fake_alive};

/* A fresh session over the fake image; an empty invoke takes `overhead` ticks. */
static inline void fake_boot(uint32_t overhead) {
  hil_setup_t setup;

  memset(&setup, 0, sizeof setup);
  memset(&fake, 0, sizeof fake);
  memset(fake_rx, 0x77, sizeof fake_rx);
  memset(fake_arena, 0x77, sizeof fake_arena);
  memset(fake_output, 0x77, sizeof fake_output);
  setup.board = &fake_board;
  setup.firmware = "fake 1";
  setup.toolchain = "none";
  setup.models = hil_models;
  setup.model_count = HIL_MODEL_COUNT;
  setup.rx = fake_rx;
  setup.max_payload = FAKE_MAX_PAYLOAD;
  setup.arena = fake_arena;
  setup.arena_size = HIL_ARENA_BYTES;
  setup.output = fake_output;
  setup.write = fake_write;
  setup.write_context = &fake;
  setup.set_baud = fake_set_baud;
  setup.rx_size = FAKE_RX_BYTES;
  fake_ticks = overhead;
  fake_ticks_more = 0;
  hil_session_init(&fake.session, &setup);
}

/* A hil_write_t: what an encoder sends is received by the session. */
static inline void fake_feed(void *context, const uint8_t *data, size_t length) {
  size_t i;

  (void)context;
  for (i = 0; i < length; i++) {
    hil_session_feed(&fake.session, data[i]);
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

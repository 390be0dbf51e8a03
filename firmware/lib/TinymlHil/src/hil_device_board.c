/* SPDX-License-Identifier: Apache-2.0 */
/* A board from the optional members of a configuration, for a program without one of the ports. */
#include <string.h>

#include "hil_device.h"

static const hil_device_config_t *config;
static uint32_t started_us, started_ticks;

static uint32_t now_us(void) { return config->micros ? config->micros() : 0; }

static uint32_t now_ticks(void) { return config->ticks ? config->ticks() : 0; }

static void stopwatch_start(void) {
  started_us = now_us();
  started_ticks = now_ticks();
}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  const uint32_t passed = now_ticks() - started_ticks;
  *micros = now_us() - started_us;
  /* the slower clock shows whether the counter wrapped; no division, which a small core lacks */
  *ticks = ((uint64_t)*micros + 1u) * config->tick_hz >= 0xFFFFFFFFull * 1000000u
               ? HIL_TICKS_WRAPPED
               : passed;
}

/* us / 1000 by 2^32 / 1000, rounded up: no division. At most a millisecond too late. */
static uint32_t ms_of(uint32_t us) { return (uint32_t)((uint64_t)us * 4294968u >> 32); }

static uint32_t uptime_ms(void) { return config->millis ? config->millis() : ms_of(now_us()); }

static void memory(hil_memory_t *out) {
  out->heap_used = HIL_HEAP_UNKNOWN;
  if (config->memory) {
    config->memory(out);
  }
}

static void reset_marks(void) {
  if (config->reset_marks) {
    config->reset_marks();
  }
}

bool hil_device_init(hil_device_t *device, const hil_device_config_t *given) {
  static hil_board_t board;

  config = given;
  memset(&board, 0, sizeof board);
  board.name = given->board ? given->board : "unnamed board";
  board.window = given->window ? given->window : 1;
  board.room = given->room;
  board.has_micros = given->micros != NULL;
  board.tick_hz = given->ticks ? given->tick_hz : 0;
  board.stopwatch_start = stopwatch_start;
  board.stopwatch_stop = stopwatch_stop;
  board.memory = memory;
  board.reset_marks = reset_marks;
  board.uptime_ms = uptime_ms;
  board.now_us = now_us;
  board.alive = given->alive;
  board.mark = given->mark;
  return hil_device_init_on(device, given, &board);
}

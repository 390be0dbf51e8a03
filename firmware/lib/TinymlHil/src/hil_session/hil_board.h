/* SPDX-License-Identifier: Apache-2.0 */
/* What the session needs to know about its board. Each port fills one in. */
#ifndef HIL_BOARD_H
#define HIL_BOARD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_HEAP_UNKNOWN 0xFFFFFFFFu /* for heap_used, where 0 means that no heap is in use */

/* For `room`: the line makes the host wait until the board reads, so it never loses a byte. */
#define HIL_ROOM_WAITS 31u

/* Bytes; 0 if the board cannot tell. */
typedef struct {
  uint32_t ram_static;
  uint32_t stack_used; /* high-water mark since the last reset_marks */
  uint32_t stack_size;
  uint32_t heap_used; /* HIL_HEAP_UNKNOWN if the board cannot tell */
} hil_memory_t;

typedef struct {
  const char *name;   /* UTF-8, 63 bytes at most */
  uint8_t window;     /* how many requests may be unanswered at a time */
  uint8_t room;       /* the line buffers 2^room bytes while the firmware computes; 0: none */
  uint8_t has_micros; /* stopwatch_stop gives microseconds of a real clock */
  uint32_t tick_hz;   /* 0: no tick counter */
  void (*stopwatch_start)(void);
  /* Time since start; 0 for a clock that is missing, HIL_TICKS_WRAPPED if the counter wrapped. */
  void (*stopwatch_stop)(uint32_t *micros, uint32_t *ticks);
  void (*memory)(hil_memory_t *memory);
  void (*reset_marks)(void);
  uint32_t (*uptime_ms)(void);
  /* Microseconds of the board's own clock, from an arbitrary start; wraps at 2^32. On an emulated
   * board this is the emulator's virtual clock, not real time (has_micros is 0). */
  uint32_t (*now_us)(void);
  /* Feeds the watchdog before every inference, so one inference must not take longer than its
   * timeout; between requests, the port's own read feeds it. NULL on a board without one. */
  void (*alive)(void);
  /* Drives the marker pin, for an instrument or an oscilloscope; NULL without HIL_MARKER_PIN. */
  void (*mark)(uint8_t high);
} hil_board_t;

#ifdef __cplusplus
}
#endif
#endif

/* What the session wants to know of the board it runs on; each port fills one in. */
#ifndef HIL_BOARD_H
#define HIL_BOARD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_HEAP_UNKNOWN 0xFFFFFFFFu /* for heap_used, where 0 means that there is none in use */

/* A line that makes the host wait when nobody reads, so that nothing is ever lost. */
#define HIL_ROOM_WAITS 31u

/* Bytes; 0 where a board cannot tell. */
typedef struct {
  uint32_t ram_static;
  uint32_t stack_used; /* high-water mark since the last reset_marks */
  uint32_t stack_size;
  uint32_t heap_used; /* HIL_HEAP_UNKNOWN where a board cannot tell */
} hil_memory_t;

typedef struct {
  const char *name;   /* UTF-8, 63 bytes at most */
  uint8_t window;     /* requests that may be unanswered at a time */
  uint8_t room;       /* the line keeps 2^room bytes while the firmware computes; 0: none */
  uint8_t has_micros; /* stopwatch_stop gives microseconds of a real clock */
  uint32_t tick_hz;   /* 0: no tick counter */
  void (*stopwatch_start)(void);
  /* Time since start: 0 where there is no clock, HIL_TICKS_WRAPPED when the counter wrapped. */
  void (*stopwatch_stop)(uint32_t *micros, uint32_t *ticks);
  void (*memory)(hil_memory_t *memory);
  void (*reset_marks)(void);
  uint32_t (*uptime_ms)(void);
  /* Microseconds of the board's own clock, from any start; wraps at 2^32. An emulated board's is
   * its emulator's, which is no time (has_micros 0). */
  uint32_t (*now_us)(void);
  /* Feeds the watchdog before every inference, of which none may take longer than it waits; the
   * port's own read feeds it between requests. NULL on a board that has none. */
  void (*alive)(void);
} hil_board_t;

#ifdef __cplusplus
}
#endif
#endif

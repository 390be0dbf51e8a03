/* SPDX-License-Identifier: Apache-2.0 */
/* Clock and stopwatch of a board whose only timer is a free-running counter of 32 bits, with an
 * alarm. Before including it, the port defines
 *   uint32_t counter_now(void);
 *   void alarm_set(uint32_t at);  and clears an earlier alarm
 *   int alarm_seen(void);         whether the counter has reached that value since
 * The counter is read before every inference, so an inference must be shorter than 2^32 ticks. */
#ifndef HIL_COUNTER_H
#define HIL_COUNTER_H

#include "bare_metal/icount.h"

static uint64_t elapsed;

static uint64_t clock_now(void) {
  elapsed += (uint32_t)(counter_now() - (uint32_t)elapsed);
  return elapsed;
}

static void alive(void) { (void)clock_now(); }

static uint32_t uptime_ms(void) { return (uint32_t)(clock_now() / HIL_CLOCK_KHZ); }

static uint32_t now_us(void) { return (uint32_t)(clock_now() / (HIL_CLOCK_KHZ / 1000u)); }

/* The counter reaches its start value again only if it wraps. */
static uint32_t started;

static void stopwatch_start(void) {
  started = counter_now();
  alarm_set(started);
}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  const uint32_t taken = counter_now() - started;

  *micros = 0;
  *ticks = alarm_seen() ? HIL_TICKS_WRAPPED : instructions_in(taken);
}

#endif

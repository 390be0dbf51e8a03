/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_clock.h"

#include <string.h>

#include "hil_replies.h"

enum { MICROS = 0, TICKS = 1 };

static void spin(uint32_t turns) {
  while (turns-- > 0) {
    __asm__ volatile("" ::: "memory"); /* keeps the compiler from removing the loop */
  }
}

void hil_clock_request(hil_session_t *session) {
  const hil_board_t *board = session->setup.board;
  const uint16_t began = (uint16_t)board->uptime_ms();
  uint32_t last[2] = {0, 0}, smallest[2] = {0, 0};
  uint8_t steps[2], reads = 0, clock;
  uint32_t turns, now[2], step;

  if (session->decoder.payload_length != 0) {
    hil_reply_error(session, HIL_ERR_LENGTH, 0, session->decoder.payload_length);
    return;
  }
  steps[MICROS] = board->has_micros ? 0 : HIL_CLOCK_STEPS; /* do not wait for a missing clock */
  steps[TICKS] = board->tick_hz ? 0 : HIL_CLOCK_STEPS;
  for (turns = 0; turns < HIL_CLOCK_TURNS; turns += 1u + turns / 8u) {
    memset(now, 0, sizeof now);
    board->stopwatch_start();
    spin(turns);
    board->stopwatch_stop(&now[MICROS], &now[TICKS]);
    for (clock = MICROS; clock <= (uint8_t)TICKS; clock++) {
      step = now[clock] - last[clock];
      if (step > 0 && step <= INT32_MAX) { /* forward: each loop takes longer */
        last[clock] = now[clock];
        if (reads > 0) {
          steps[clock]++;
          if (step < smallest[clock] || smallest[clock] == 0) {
            smallest[clock] = step;
          }
        }
      }
    }
    reads++;
    if ((steps[MICROS] >= HIL_CLOCK_STEPS && steps[TICKS] >= HIL_CLOCK_STEPS) ||
        (uint16_t)((uint16_t)board->uptime_ms() - began) > HIL_CLOCK_MS) {
      break;
    }
  }
  hil_reply_clock(session, smallest[MICROS], smallest[TICKS], reads);
}

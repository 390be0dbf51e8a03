#include "hil_clock.h"

#include <string.h>

#include "hil_replies.h"

typedef struct {
  uint32_t last;
  uint32_t smallest; /* 0: none yet */
  uint32_t steps;
} steps_t;

static void see(steps_t *steps, uint32_t reading, uint32_t first) {
  const uint32_t step = reading > steps->last ? reading - steps->last : steps->last - reading;

  if (reading == HIL_TICKS_WRAPPED) {
    return;
  }
  if (!first && step > 0) {
    steps->steps++;
    if (steps->smallest == 0 || step < steps->smallest) {
      steps->smallest = step;
    }
  }
  steps->last = reading;
}

static void spin(uint32_t turns) {
  volatile uint32_t turn;

  for (turn = 0; turn < turns; turn++) {
  }
}

void hil_clock_request(hil_session_t *session) {
  const hil_board_t *board = session->setup.board;
  const uint32_t began = board->uptime_ms();
  steps_t micros, ticks;
  hil_clock_t found;
  uint32_t turns, us, count;

  if (session->decoder.payload_length != 0) {
    hil_reply_error(session, HIL_ERR_LENGTH, 0, session->decoder.payload_length);
    return;
  }
  memset(&micros, 0, sizeof micros);
  memset(&ticks, 0, sizeof ticks);
  found.reads = 0;
  for (turns = 0; turns < HIL_CLOCK_TURNS; turns += 1u + turns / 8u) {
    us = 0;
    count = 0;
    board->stopwatch_start();
    spin(turns);
    board->stopwatch_stop(&us, &count);
    see(&micros, us, found.reads == 0);
    see(&ticks, count, found.reads == 0);
    found.reads++;
    if ((!board->has_micros || micros.steps >= HIL_CLOCK_STEPS) &&
        (board->tick_hz == 0 || ticks.steps >= HIL_CLOCK_STEPS)) {
      break;
    }
    if (board->uptime_ms() - began > HIL_CLOCK_MS) {
      break;
    }
  }
  found.micros = micros.smallest;
  found.ticks = ticks.smallest;
  hil_reply_clock(session, &found);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_profile.h"

#ifdef HIL_LAYERS
#include <string.h>

#include "hil_infer.h"
#include "hil_replies.h"

/* The times of HIL_PROFILE_CHUNK layers, starting with layer `first`. */
typedef struct {
  hil_observer_t observer; /* must come first: the engine sees only this */
  const hil_session_t *session;
  uint16_t first;
  hil_lap_t laps[HIL_PROFILE_CHUNK];
} hil_laps_t;

/* Every layer runs all of this code, so that the overhead is the same for each. */
static void lap(hil_observer_t *self, uint16_t layer, uint8_t dtype, const void *data,
                uint32_t bytes) {
  hil_laps_t *laps = (hil_laps_t *)self;
  hil_lap_t taken;
  uint16_t at;

  (void)dtype;
  (void)data;
  (void)bytes;
  laps->session->setup.board->stopwatch_stop(&taken.micros, &taken.ticks);
  hil_mark(laps->session, 0);
  at = (uint16_t)(layer - laps->first);
  if (at < HIL_PROFILE_CHUNK) {
    laps->laps[at] = taken;
  }
  hil_mark(laps->session, 1);
  laps->session->setup.board->stopwatch_start();
}

/* Two layers that do nothing: their times are the overhead of the clock and the calls. */
static hil_engine_status_t observe_nothing(const hil_model_t *self, const void *input, void *output,
                                           void *arena, uint32_t *needed,
                                           hil_observer_t *observer) {
  (void)self;
  (void)arena;
  (void)needed;
  observer->layer(observer, 0, HIL_INT8, input, 0);
  observer->layer(observer, 1, HIL_INT8, output, 0);
  return HIL_ENGINE_OK;
}

/* Not inlined: calibration and measurement must take the same path. */
static __attribute__((noinline)) hil_engine_status_t timed_observe(const hil_session_t *session,
                                                                   const hil_model_t *model,
                                                                   const void *input,
                                                                   uint32_t *code,
                                                                   hil_laps_t *laps) {
  hil_engine_status_t status;

  hil_mark(session, 1);
  session->setup.board->stopwatch_start();
  status = model->observe(model, input, session->setup.output, session->setup.arena, code,
                          &laps->observer);
  hil_mark(session, 0);
  return status;
}

static void calibrate(const hil_session_t *session, hil_laps_t *laps, uint32_t overhead[2]) {
  hil_model_t nothing;
  uint32_t code = 0;
  uint8_t round;

  memset(&nothing, 0, sizeof nothing);
  nothing.observe = observe_nothing;
  for (round = 0; round < 2; round++) { /* the first fills the caches, if any */
    (void)timed_observe(session, &nothing, laps, &code, laps);
  }
  overhead[0] = laps->laps[0].ticks;
  overhead[1] = laps->laps[1].ticks;
}

static void take_off(hil_lap_t *lap, uint32_t overhead) {
  if (lap->ticks != HIL_TICKS_WRAPPED) {
    lap->ticks -= lap->ticks < overhead ? lap->ticks : overhead;
  }
}

void hil_profile_request(hil_session_t *session, const hil_model_t *model,
                         const hil_profile_t *request, const void *input, const hil_lap_t *total) {
  const uint16_t rest = (uint16_t)(model->layers - request->layer);
  const uint16_t count = rest < HIL_PROFILE_CHUNK ? rest : (uint16_t)HIL_PROFILE_CHUNK;
  hil_laps_t laps;
  hil_profiled_t head;
  uint32_t overhead[2], code = 0;
  uint16_t i;

  memset(&laps, 0, sizeof laps);
  laps.observer.layer = lap;
  laps.session = session;
  calibrate(session, &laps, overhead);
  laps.first = request->layer;
  if (timed_observe(session, model, input, &code, &laps) != HIL_ENGINE_OK) {
    session->prepared = -1;
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
    return;
  }
  for (i = 0; i < count; i++) {
    take_off(&laps.laps[i], overhead[request->layer + i > 0]);
  }
  memset(&head, 0, sizeof head);
  head.model = request->model;
  head.layer = request->layer;
  head.layers = model->layers;
  head.check = session->decoder.check;
  head.total = *total;
  hil_reply_profile(session, &head, laps.laps, count * (uint32_t)sizeof laps.laps[0]);
}
#endif

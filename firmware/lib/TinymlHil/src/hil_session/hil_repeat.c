/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_repeat.h"

#if HIL_REPEAT
#include <string.h>

#include "hil_infer.h"
#include "hil_more.h"
#include "hil_replies.h"

/* How many inferences are timed together. The stopwatch has 32 bits, so it is read about twice a
 * second; the moment between two readings is not counted. 1 where no clock says how long the first
 * inference took. */
static uint32_t lap_length(const hil_board_t *board, uint32_t micros, uint32_t ticks) {
  const uint32_t half_a_second = board->has_micros ? 500000u : board->tick_hz / 2u;
  uint32_t taken = board->has_micros ? micros : ticks, count = 1;

  while (taken < half_a_second / 2u && count < HIL_REPEAT_MOST) {
    taken *= 2u;
    count *= 2u;
  }
  return count;
}

static void add(hil_repeated_t *total, const hil_session_t *session, uint32_t micros,
                uint32_t ticks) {
  total->micros += micros;
  if (ticks == HIL_TICKS_WRAPPED || total->ticks == HIL_TOTAL_WRAPPED) {
    total->ticks = HIL_TOTAL_WRAPPED;
  } else {
    total->ticks +=
        ticks - (ticks < session->stopwatch_overhead ? ticks : session->stopwatch_overhead);
  }
}

/* Runs the prepared model, and counts in `total`; on failure, `*code` is the engine's own. */
static hil_engine_status_t run(hil_session_t *session, const hil_model_t *model, uint32_t wanted,
                               hil_repeated_t *total, uint32_t *code) {
  const hil_board_t *board = session->setup.board;
  const void *input = hil_input_of(session);
  hil_engine_status_t status = HIL_ENGINE_OK;
  uint32_t lap = 1, micros, ticks, i;
  uint32_t began;

  hil_mark(session, 1);
  began = board->uptime_ms();
  do {
    if (lap > wanted - total->count) {
      lap = wanted - total->count;
    }
    micros = 0;
    ticks = 0;
    hil_alive(session);
    board->stopwatch_start();
    for (i = 0; i < lap && status == HIL_ENGINE_OK; i++) {
      status = model->invoke(model, input, session->setup.output, session->setup.arena, code);
    }
    board->stopwatch_stop(&micros, &ticks);
    add(total, session, micros, ticks);
    total->count += lap;
    if (total->count == 1u) {
      lap = lap_length(board, micros, ticks);
    }
  } while (status == HIL_ENGINE_OK && total->count < wanted &&
           (uint32_t)(board->uptime_ms() - began) < HIL_REPEAT_MS);
  hil_mark(session, 0);
  if (model->verify && model->verify(model, session->setup.output, code) != HIL_ENGINE_OK) {
    return HIL_ENGINE_FAILED;
  }
  return status;
}

/* The model, prepared, and its input; on failure replies with an error and returns NULL. */
static const hil_model_t *take(hil_session_t *session, hil_infer_t *request) {
  const hil_decoder_t *frame = &session->decoder;
  const hil_setup_t *setup = &session->setup;

  if (frame->payload_length < sizeof *request) {
    hil_reply_error(session, HIL_ERR_LENGTH, sizeof *request, frame->payload_length);
    return NULL;
  }
  memcpy(request, frame->payload, sizeof *request);
  if (request->step == 0) {
    hil_reply_error(session, HIL_ERR_REPEAT, 0, HIL_REPEAT_MOST);
    return NULL;
  }
  if (request->model < setup->model_count && hil_is_stateful(&setup->models[request->model])) {
    hil_reply_error(session, HIL_ERR_REPEAT, request->step, 0);
    return NULL;
  }
  if (request->encoding & HIL_ENC_PACKED) { /* a packed request has no room for the count */
    hil_reply_error(session, HIL_ERR_ENCODING, request->encoding, 0);
    return NULL;
  }
  return hil_take(session, request->model, request->encoding, sizeof *request);
}

void hil_repeat_request(hil_session_t *session) {
  hil_infer_t request;
  const hil_model_t *model = take(session, &request);
  const uint8_t *input = hil_input_of(session);
  hil_repeated_t total;
  uint32_t bytes, before, code = 0;

  if (!model) {
    return;
  }
  memset(&total, 0, sizeof total);
  bytes = hil_input_bytes(model);
  before = hil_crc32(0, input, bytes);
  if (run(session, model, request.step, &total, &code) != HIL_ENGINE_OK) {
    session->prepared = -1;
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
    return;
  }
  session->inferences += total.count;
  /* a sketch may overwrite its input: then only the first inference had it */
  if (total.count > 1u && hil_crc32(0, input, bytes) != before) {
    hil_reply_error(session, HIL_ERR_REPEAT, request.step, 1);
    return;
  }
  total.model = request.model;
  total.dtype = model->output.dtype;
  total.check = session->decoder.check;
  hil_reply_repeated(session, &total);
}

#endif

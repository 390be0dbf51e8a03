#include "hil_session.h"

#include <string.h>

#include "hil_clock.h"
#include "hil_input.h"
#include "hil_rate.h"
#include "hil_replies.h"

/* One call for the calibration and for the measurement, so that both take the same path and
 * the difference is the invoke's own. */
static __attribute__((noinline)) hil_engine_status_t timed_invoke(const hil_session_t *session,
                                                                  const hil_model_t *model,
                                                                  const void *input, uint32_t *code,
                                                                  uint32_t *micros,
                                                                  uint32_t *ticks) {
  const hil_board_t *board = session->setup.board;
  hil_engine_status_t status;

  *micros = 0;
  *ticks = 0;
  board->stopwatch_start();
  status = model->invoke(model, input, session->setup.output, session->setup.arena, code);
  board->stopwatch_stop(micros, ticks);
  if (*ticks != HIL_TICKS_WRAPPED) {
    *ticks -= *ticks < session->stopwatch_overhead ? *ticks : session->stopwatch_overhead;
  }
  return status;
}

static hil_engine_status_t empty_invoke(const hil_model_t *self, const void *input, void *output,
                                        void *arena, uint32_t *needed) {
  (void)self;
  (void)input;
  (void)output;
  (void)arena;
  (void)needed;
  return HIL_ENGINE_OK;
}

static void calibrate(hil_session_t *session) {
  hil_model_t empty;
  uint32_t code = 0, micros = 0, ticks = 0;
  int round;

  memset(&empty, 0, sizeof empty);
  empty.invoke = empty_invoke;
  for (round = 0; round < 2; round++) { /* the first warms caches where there are any */
    session->stopwatch_overhead = 0;
    (void)timed_invoke(session, &empty, session->setup.rx, &code, &micros, &ticks);
    session->stopwatch_overhead = ticks == HIL_TICKS_WRAPPED ? 0 : ticks;
  }
}

void hil_session_init(hil_session_t *session, const hil_setup_t *setup) {
  memset(session, 0, sizeof *session);
  session->setup = *setup;
  session->prepared = -1;
  hil_decoder_init(&session->decoder, setup->rx + HIL_RX_LEAD,
                   setup->max_payload + HIL_FRAME_OVERHEAD);
  calibrate(session);
}

/* Makes `index` the prepared model; answers with an error and returns 0 when it cannot. */
static int prepare(hil_session_t *session, uint8_t index) {
  const hil_model_t *model = &session->setup.models[index];
  uint32_t code = 0;
  hil_engine_status_t status;

  if (session->prepared == index) {
    return 1;
  }
  session->prepared = -1;
  status = model->prepare(model, session->setup.arena, session->setup.arena_size, &code);
  if (status == HIL_ENGINE_OK) {
    session->prepared = index;
    return 1;
  }
  if (status == HIL_ENGINE_ARENA) {
    hil_reply_error(session, HIL_ERR_ARENA, code, session->setup.arena_size);
  } else {
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
  }
  return 0;
}

static void infer(hil_session_t *session) {
  const hil_decoder_t *frame = &session->decoder;
  uint8_t *input = session->setup.rx + HIL_RX_LEAD + sizeof(hil_header_t) + sizeof(hil_infer_t);
  const hil_model_t *model;
  hil_infer_t request;
  hil_engine_status_t status;
  uint32_t wanted, got, code = 0, micros = 0, ticks = 0;

  if (frame->payload_length < sizeof request) {
    hil_reply_error(session, HIL_ERR_LENGTH, sizeof request, frame->payload_length);
    return;
  }
  memcpy(&request, frame->payload, sizeof request);
  if (request.model >= session->setup.model_count) {
    hil_reply_error(session, HIL_ERR_MODEL, request.model, session->setup.model_count);
    return;
  }
  model = &session->setup.models[request.model];
  wanted = hil_input_wire_bytes(&model->input, request.encoding);
  if (wanted == 0) {
    hil_reply_error(session, HIL_ERR_ENCODING, request.encoding, 0);
    return;
  }
  got = frame->payload_length - (uint32_t)sizeof request;
  if (got != wanted) {
    hil_reply_error(session, HIL_ERR_LENGTH, wanted + (uint32_t)sizeof request,
                    frame->payload_length);
    return;
  }
  if (!prepare(session, request.model)) {
    return;
  }
  hil_input_convert(&model->input, request.encoding, input);
  status = timed_invoke(session, model, input, &code, &micros, &ticks);
  if (status != HIL_ENGINE_OK) {
    session->prepared = -1; /* whatever it left behind is not trusted again */
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
    return;
  }
  session->inferences++;
  hil_reply_result(session, request.model, micros, ticks);
}

static void status(hil_session_t *session) {
  const uint8_t flags = session->decoder.payload_length == 1 ? session->decoder.payload[0] : 0;

  if (session->decoder.payload_length != 1) {
    hil_reply_error(session, HIL_ERR_LENGTH, 1, session->decoder.payload_length);
    return;
  }
  hil_reply_status(session);
  if (flags & HIL_STATUS_RESET) {
    session->setup.board->reset_marks();
    session->frames_ok = 0;
    session->frames_bad = 0;
    session->inferences = 0;
    session->errors = 0;
  }
}

static void answer(hil_session_t *session) {
  const hil_header_t *header = &session->decoder.header;

  if (header->version != HIL_PROTOCOL_VERSION) {
    hil_reply_error(session, HIL_ERR_VERSION, header->version, HIL_PROTOCOL_VERSION);
    return;
  }
  switch (header->type) {
    case HIL_MSG_HELLO:
      if (session->decoder.payload_length == 0) {
        hil_reply_hello(session);
      } else {
        hil_reply_error(session, HIL_ERR_LENGTH, 0, session->decoder.payload_length);
      }
      break;
    case HIL_MSG_INFER:
      infer(session);
      break;
    case HIL_MSG_STATUS:
      status(session);
      break;
    case HIL_MSG_BAUD:
      hil_rate_request(session);
      break;
    case HIL_MSG_CLOCK:
      hil_clock_request(session);
      break;
    default:
      hil_reply_error(session, HIL_ERR_TYPE, 0, 0);
      break;
  }
}

void hil_session_feed(hil_session_t *session, uint8_t byte) {
  const hil_decode_t event = hil_decoder_push(&session->decoder, byte);

  hil_rate_watch(session, event);
  switch (event) {
    case HIL_DECODE_MORE:
      break;
    case HIL_DECODE_FRAME:
      session->frames_ok++;
      answer(session);
      break;
    case HIL_DECODE_BAD:
      session->frames_bad++;
      hil_reply_unreadable(session, HIL_ERR_FRAME, 0);
      break;
    case HIL_DECODE_OVERSIZE:
      session->frames_bad++;
      hil_reply_unreadable(session, HIL_ERR_OVERSIZE, session->setup.max_payload);
      break;
  }
}

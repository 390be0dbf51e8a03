/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_infer.h"

#include <string.h>

#include "hil_input.h"
#include "hil_more.h"
#include "hil_replies.h"
#include "hil_steps.h"

void hil_alive(const hil_session_t *session) {
  if (session->setup.board->alive) {
    session->setup.board->alive();
  }
}

void hil_mark(const hil_session_t *session, uint8_t high) {
#if HIL_MLPERF_ENERGY
  (void)session; /* the pin belongs to the timestamps of hil_mlperf.c */
  (void)high;
#else
  if (session->setup.board->mark) {
    session->setup.board->mark(high);
  }
#endif
}

/* Not inlined: calibration and measurement must take the same path. */
__attribute__((noinline)) hil_engine_status_t hil_timed_invoke(const hil_session_t *session,
                                                               const hil_model_t *model,
                                                               const void *input, uint32_t *code,
                                                               uint32_t *micros, uint32_t *ticks) {
  const hil_board_t *board = session->setup.board;
  hil_engine_status_t status;

  *micros = 0;
  *ticks = 0;
  hil_alive(session);
  hil_mark(session, 1);
  board->stopwatch_start();
  status = model->invoke(model, input, session->setup.output, session->setup.arena, code);
  board->stopwatch_stop(micros, ticks);
  hil_mark(session, 0);
  if (*ticks != HIL_TICKS_WRAPPED) {
    *ticks -= *ticks < session->stopwatch_overhead ? *ticks : session->stopwatch_overhead;
  }
  if (model->verify && model->verify(model, session->setup.output, code) != HIL_ENGINE_OK) {
    return HIL_ENGINE_FAILED;
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

void hil_calibrate(hil_session_t *session) {
  hil_model_t empty;
  uint32_t code = 0, micros = 0, ticks = 0, least = HIL_TICKS_WRAPPED;
  int round;

  memset(&empty, 0, sizeof empty);
  empty.invoke = empty_invoke;
  session->stopwatch_overhead = 0;
  for (round = 0; round < 4; round++) { /* the first fills the caches, if any */
    (void)hil_timed_invoke(session, &empty, session->setup.rx, &code, &micros, &ticks);
    if (round > 0 && ticks < least) { /* the others may contain an interrupt */
      least = ticks;
    }
  }
  session->stopwatch_overhead = least == HIL_TICKS_WRAPPED ? 0 : least;
}

hil_engine_status_t hil_prepare(hil_session_t *session, uint8_t index, uint32_t *code) {
  const hil_model_t *model = &session->setup.models[index];
  hil_engine_status_t status;

  *code = 0;
  if (session->prepared == index) {
    return HIL_ENGINE_OK;
  }
  session->prepared = -1;
  hil_restart(session);
  status = model->prepare(model, session->setup.arena, session->setup.arena_size, code);
  if (status == HIL_ENGINE_OK) {
    session->prepared = index;
  }
  return status;
}

int hil_prepare_or_reply(hil_session_t *session, uint8_t index) {
  uint32_t code;
  const hil_engine_status_t status = hil_prepare(session, index, &code);

  if (status == HIL_ENGINE_ARENA) {
    hil_reply_error(session, HIL_ERR_ARENA, code, session->setup.arena_size);
  } else if (status != HIL_ENGINE_OK) {
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
  }
  return status == HIL_ENGINE_OK;
}

uint8_t *hil_input_of(const hil_session_t *session) {
  return session->setup.rx + HIL_RX_LEAD + sizeof(hil_header_t) + sizeof(hil_infer_t);
}

/* Unpacks the packed input, which follows `head` bytes of the payload, to where an input lies.
 * `*got` is its packed length, then its unpacked length. Returns whether that is `wanted`. */
static int unpack(hil_session_t *session, uint32_t head, uint32_t wanted, uint32_t *got) {
  const uint32_t size = HIL_RX_BYTES(session->setup.max_payload) -
                        (uint32_t)(hil_input_of(session) - session->setup.rx);
  const uint8_t *packed = session->decoder.payload + head;
  uint8_t *const end = hil_input_of(session) + size - *got;
  size_t i;

  for (i = *got; i-- > 0;) { /* backwards: source and target may overlap */
    end[i] = packed[i];
  }
  *got = (uint32_t)hil_unpack(hil_input_of(session), size, *got, wanted);
  return *got == wanted;
}

const hil_model_t *hil_take(hil_session_t *session, uint8_t index, uint8_t encoding,
                            uint32_t head) {
  const uint8_t plain = HIL_UNPACKS ? encoding & (uint8_t)~HIL_ENC_PACKED : encoding;
  const hil_decoder_t *frame = &session->decoder;
  const hil_model_t *model;
  uint32_t wanted, got;

  if (index >= session->setup.model_count) {
    hil_reply_error(session, HIL_ERR_MODEL, index, session->setup.model_count);
    return NULL;
  }
  model = &session->setup.models[index];
  wanted = hil_wire_bytes(model, plain);
  if (wanted == 0 || (!session->setup.convert && plain != hil_input_own_encoding(&model->input))) {
    hil_reply_error(session, HIL_ERR_ENCODING, encoding, 0);
    return NULL;
  }
  got = frame->payload_length - head;
  if (plain != encoding ? !unpack(session, head, wanted, &got) : got != wanted) {
    hil_reply_error(session, HIL_ERR_LENGTH, wanted + head, got + head);
    return NULL;
  }
  if (!hil_prepare_or_reply(session, index)) {
    return NULL;
  }
#ifdef HIL_LAYERS
  if (head > sizeof(hil_infer_t) && plain == encoding) { /* to its aligned place */
    memmove(hil_input_of(session), hil_input_of(session) + head - sizeof(hil_infer_t), wanted);
  }
#endif
  if (session->setup.convert && !(HIL_MORE && plain == HIL_ENC_OWN)) {
    session->setup.convert(&model->input, plain, hil_input_of(session));
  }
  return model;
}

void hil_infer_request(hil_session_t *session) {
  const hil_decoder_t *frame = &session->decoder;
  const hil_model_t *model;
  hil_infer_t request;
  hil_engine_status_t status;
  uint32_t code = 0, micros = 0, ticks = 0, head = sizeof request;
#if HIL_MORE
  uint32_t check = 0;
#endif

  if (frame->payload_length >= HIL_PACKED_HEAD && frame->payload[1] & HIL_ENC_PACKED) {
    head = HIL_PACKED_HEAD;
  }
  if (frame->payload_length < head) {
    hil_reply_error(session, HIL_ERR_LENGTH, head, frame->payload_length);
    return;
  }
  memcpy(&request, frame->payload, head);
#if HIL_MORE
  /* before the input is converted in place; only a model with state needs it */
  if (request.model < session->setup.model_count &&
      hil_is_stateful(&session->setup.models[request.model])) {
    if (head == HIL_PACKED_HEAD) { /* that has no step */
      hil_reply_error(session, HIL_ERR_ENCODING, request.encoding, 0);
      return;
    }
    check = hil_crc32(0, frame->payload, frame->payload_length);
  }
#endif
  model = hil_take(session, request.model, request.encoding, head);
  if (!model) {
    return;
  }
#if HIL_MORE
  if (hil_is_stateful(model) && !hil_step(session, &request, check)) {
    return;
  }
#endif
  status = hil_timed_invoke(session, model, hil_input_of(session), &code, &micros, &ticks);
  if (status != HIL_ENGINE_OK) {
    session->prepared = -1; /* do not trust what it left in the arena */
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
    return;
  }
  session->inferences++;
#if HIL_MORE
  if (hil_is_stateful(model)) {
    hil_stepped(session, &request, check, micros, ticks);
  }
#endif
  hil_reply_result(session, request.model, micros, ticks);
}

#if HIL_MORE
void hil_reset_request(hil_session_t *session) {
  const hil_setup_t *setup = &session->setup;
  uint8_t index;

  if (session->decoder.payload_length != 1) {
    hil_reply_error(session, HIL_ERR_LENGTH, 1, session->decoder.payload_length);
    return;
  }
  index = session->decoder.payload[0];
  if (index >= setup->model_count) {
    hil_reply_error(session, HIL_ERR_MODEL, index, setup->model_count);
    return;
  }
  if (session->prepared == index && hil_is_stateful(&setup->models[index])) {
    hil_more(&setup->models[index])->reset(setup->arena);
    hil_restart(session);
  } else if (!hil_prepare_or_reply(session, index)) {
    return;
  }
  hil_reply_reset(session);
}
#endif

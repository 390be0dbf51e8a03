#include "hil_session.h"

#include <string.h>

#include "hil_clock.h"
#include "hil_input.h"
#include "hil_profile.h"
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

static uint8_t *input_of(const hil_session_t *session) {
  return session->setup.rx + HIL_RX_LEAD + sizeof(hil_header_t) + sizeof(hil_infer_t);
}

/* The packed input behind `head` bytes of the payload, unpacked to where an input lies; 0 when it
 * has not `wanted` bytes, `*got` when it has. */
static int unpack(hil_session_t *session, uint32_t head, uint32_t wanted, uint32_t *got) {
  const uint32_t size =
      HIL_RX_BYTES(session->setup.max_payload) - (uint32_t)(input_of(session) - session->setup.rx);
  const uint8_t *packed = session->decoder.payload + head;
  uint8_t *const end = input_of(session) + size - *got;
  size_t i;

  for (i = *got; i-- > 0;) { /* backwards: it moves towards the end */
    end[i] = packed[i];
  }
  *got = (uint32_t)hil_unpack(input_of(session), size, *got, wanted);
  return *got == wanted;
}

/* The model of a request, prepared, and its input ready, which follows `head` bytes of the payload;
 * answers with an error and returns NULL when that cannot be. */
static const hil_model_t *take(hil_session_t *session, uint8_t index, uint8_t encoding,
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
  wanted = hil_input_wire_bytes(&model->input, plain);
  if (wanted == 0) {
    hil_reply_error(session, HIL_ERR_ENCODING, encoding, 0);
    return NULL;
  }
  got = frame->payload_length - head;
  if (plain != encoding ? !unpack(session, head, wanted, &got) : got != wanted) {
    hil_reply_error(session, HIL_ERR_LENGTH, wanted + head, got + head);
    return NULL;
  }
  if (!prepare(session, index)) {
    return NULL;
  }
  if (head > sizeof(hil_infer_t) && plain == encoding) { /* to where it is aligned */
    memmove(input_of(session), input_of(session) + head - sizeof(hil_infer_t), wanted);
  }
  hil_input_convert(&model->input, plain, input_of(session));
  return model;
}

static void infer(hil_session_t *session) {
  const hil_decoder_t *frame = &session->decoder;
  const hil_model_t *model;
  hil_infer_t request;
  hil_engine_status_t status;
  uint32_t code = 0, micros = 0, ticks = 0, head = sizeof request;

  if (frame->payload_length >= HIL_PACKED_HEAD && frame->payload[1] & HIL_ENC_PACKED) {
    head = HIL_PACKED_HEAD;
  }
  if (frame->payload_length < head) {
    hil_reply_error(session, HIL_ERR_LENGTH, head, frame->payload_length);
    return;
  }
  memcpy(&request, frame->payload, head);
  model = take(session, request.model, request.encoding, head);
  if (!model) {
    return;
  }
  status = timed_invoke(session, model, input_of(session), &code, &micros, &ticks);
  if (status != HIL_ENGINE_OK) {
    session->prepared = -1; /* whatever it left behind is not trusted again */
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
    return;
  }
  session->inferences++;
  hil_reply_result(session, request.model, micros, ticks);
}

#ifdef HIL_LAYERS
/* Answers when the layer that was asked for is there, in the midst of the inference: nobody has to
 * keep it. */
typedef struct {
  hil_observer_t observer; /* first: it is what the engine knows */
  hil_session_t *session;
  hil_layer_t wanted;
  uint8_t answered;
} hil_watch_t;

static void watch(hil_observer_t *self, uint16_t layer, uint8_t dtype, const void *data,
                  uint32_t bytes) {
  hil_watch_t *found = (hil_watch_t *)self;
  const uint32_t offset = found->wanted.offset < bytes ? found->wanted.offset : bytes;
  const uint32_t rest = bytes - offset;

  if (layer == found->wanted.layer && !found->answered) {
    found->answered = 1;
    found->wanted.dtype = dtype;
    found->wanted.bytes = bytes;
    hil_reply_layer(found->session, &found->wanted, (const uint8_t *)data + offset,
                    rest < HIL_LAYER_CHUNK ? rest : HIL_LAYER_CHUNK);
  }
}

static void layers(hil_session_t *session) {
  const hil_decoder_t *frame = &session->decoder;
  const hil_model_t *model;
  hil_layers_t request;
  hil_watch_t found;
  uint32_t code = 0;

  if (frame->payload_length < sizeof request) {
    hil_reply_error(session, HIL_ERR_LENGTH, sizeof request, frame->payload_length);
    return;
  }
  memcpy(&request, frame->payload, sizeof request);
  model = take(session, request.model, request.encoding, sizeof request);
  if (!model) {
    return;
  }
  if (request.layer != HIL_LAYER_INPUT && request.layer >= model->layers) {
    hil_reply_error(session, HIL_ERR_LAYER, request.layer, model->layers);
    return;
  }
  memset(&found, 0, sizeof found);
  found.observer.layer = watch;
  found.session = session;
  found.wanted.model = request.model;
  found.wanted.layer = request.layer;
  found.wanted.layers = model->layers;
  found.wanted.check = frame->check;
  found.wanted.offset = request.offset;
  if (request.layer == HIL_LAYER_INPUT) {
    watch(&found.observer, HIL_LAYER_INPUT, model->input.dtype, input_of(session),
          hil_tensor_bytes(&model->input));
    return;
  }
  if (model->observe(model, input_of(session), session->setup.output, session->setup.arena, &code,
                     &found.observer) != HIL_ENGINE_OK) {
    session->prepared = -1;
  }
  if (!found.answered) {
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
  }
}

static void profile(hil_session_t *session) {
  const hil_decoder_t *frame = &session->decoder;
  const hil_model_t *model;
  hil_profile_t request;
  hil_lap_t total;
  uint32_t code = 0;

  if (frame->payload_length < sizeof request) {
    hil_reply_error(session, HIL_ERR_LENGTH, sizeof request, frame->payload_length);
    return;
  }
  memcpy(&request, frame->payload, sizeof request);
  model = take(session, request.model, request.encoding, sizeof request);
  if (!model) {
    return;
  }
  if (request.layer >= model->layers) {
    hil_reply_error(session, HIL_ERR_LAYER, request.layer, model->layers);
    return;
  }
  if (timed_invoke(session, model, input_of(session), &code, &total.micros, &total.ticks) !=
      HIL_ENGINE_OK) {
    session->prepared = -1;
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
    return;
  }
  hil_profile_request(session, model, &request, input_of(session), &total);
}
#endif

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
#ifdef HIL_LAYERS
    case HIL_MSG_LAYERS:
      layers(session);
      break;
    case HIL_MSG_PROFILE:
      profile(session);
      break;
#endif
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_session.h"

#include <string.h>

#include "hil_clock.h"
#include "hil_context.h"
#include "hil_infer.h"
#include "hil_input.h"
#include "hil_mlperf.h"
#include "hil_more.h"
#include "hil_profile.h"
#include "hil_rate.h"
#include "hil_repeat.h"
#include "hil_replies.h"

void hil_session_init(hil_session_t *session, const hil_setup_t *setup) {
  memset(session, 0, sizeof *session);
  session->setup = *setup;
  session->prepared = -1;
  hil_decoder_init(&session->decoder, setup->rx + HIL_RX_LEAD,
                   setup->max_payload + HIL_FRAME_OVERHEAD);
  hil_calibrate(session);
#if HIL_MLPERF_ENERGY
  hil_mlperf_start(session);
#endif
#if HIL_MLPERF && defined(HIL_MLPERF_BOOT) && HIL_MLPERF_BOOT
  hil_mlperf_boot(session);
#endif
}

#ifdef HIL_LAYERS
/* Replies during the inference, while the requested layer is in memory: no copy is needed. */
typedef struct {
  hil_observer_t observer; /* must come first: the engine sees only this */
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

/* Copies the head of a request about layers, which starts like hil_profile_t, and prepares its
 * model, without the state of earlier inferences. Returns the model; on failure replies with an
 * error and returns NULL. */
static const hil_model_t *take_head(hil_session_t *session, void *head, uint32_t size) {
  const hil_decoder_t *frame = &session->decoder;
  const hil_model_t *model;
  hil_profile_t common;

  if (frame->payload_length < size) {
    hil_reply_error(session, HIL_ERR_LENGTH, size, frame->payload_length);
    return NULL;
  }
  memcpy(head, frame->payload, size);
  memcpy(&common, frame->payload, sizeof common);
  if (common.model < session->setup.model_count &&
      hil_is_stateful(&session->setup.models[common.model])) {
    session->prepared = -1;
  }
  model = hil_take(session, common.model, common.encoding, size);
  if (model && common.layer >= model->layers &&
      (frame->header.type != HIL_MSG_LAYERS || common.layer != HIL_LAYER_INPUT)) {
    hil_reply_error(session, HIL_ERR_LAYER, common.layer, model->layers);
    return NULL;
  }
  return model;
}

static void layers(hil_session_t *session) {
  hil_layers_t request;
  const hil_model_t *model = take_head(session, &request, sizeof request);
  hil_watch_t found;
  uint32_t code = 0;

  if (!model) {
    return;
  }
  memset(&found, 0, sizeof found);
  found.observer.layer = watch;
  found.session = session;
  found.wanted.model = request.model;
  found.wanted.layer = request.layer;
  found.wanted.layers = model->layers;
  found.wanted.check = session->decoder.check;
  found.wanted.offset = request.offset;
  if (request.layer == HIL_LAYER_INPUT) {
    watch(&found.observer, HIL_LAYER_INPUT, model->input.dtype, hil_input_of(session),
          hil_input_bytes(model));
    return;
  }
  if (model->observe(model, hil_input_of(session), session->setup.output, session->setup.arena,
                     &code, &found.observer) != HIL_ENGINE_OK ||
      hil_is_stateful(model)) {
    session->prepared = -1;
  }
  if (!found.answered) {
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
  }
}

static void profile(hil_session_t *session) {
  hil_profile_t request;
  const hil_model_t *model = take_head(session, &request, sizeof request);
  hil_lap_t total;
  uint32_t code = 0;

  if (!model) {
    return;
  }
  if (hil_timed_invoke(session, model, hil_input_of(session), &code, &total.micros, &total.ticks) !=
      HIL_ENGINE_OK) {
    session->prepared = -1;
    hil_reply_error(session, HIL_ERR_ENGINE, code, 0);
    return;
  }
  if (hil_is_stateful(model)) { /* the second inference starts like the first */
    hil_more(model)->reset(session->setup.arena);
    session->prepared = -1;
  }
  hil_profile_request(session, model, &request, hil_input_of(session), &total);
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
      hil_infer_request(session);
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
#if HIL_REPEAT
    case HIL_MSG_REPEAT:
      hil_repeat_request(session);
      break;
#endif
#if HIL_MORE
    case HIL_MSG_RESET_STATE:
      hil_reset_request(session);
      break;
#endif
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
  hil_decode_t event = HIL_DECODE_MORE;
#if HIL_MLPERF
  const hil_text_event_t text = hil_text_push(&session->text, byte);

  if (text == HIL_TEXT_DAMAGED) {
    event = HIL_DECODE_BAD;
  } else if (text == HIL_TEXT_FRAME)
#endif
  {
    event = hil_decoder_push(&session->decoder, byte);
  }
  hil_rate_watch(session, byte, event);
#if HIL_MLPERF
  if (text == HIL_TEXT_FRAME && byte != 0) {
    hil_mlperf_forget(session);
  } else if (text == HIL_TEXT_COMMAND || text == HIL_TEXT_TOO_LONG) {
    hil_mlperf_command(session, text);
  }
#endif
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

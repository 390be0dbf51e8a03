/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_replies.h"

#include <string.h>

#include "hil_input.h"
#include "hil_more.h"

#define BOARD_TEXT 63u
#define MODEL_TEXT 31u

static void begin(hil_session_t *session, uint8_t type) {
  hil_encoder_begin(&session->encoder, session->setup.write, session->setup.write_context, type,
                    session->decoder.header.seq);
}

static void put(hil_session_t *session, const void *data, size_t length) {
  hil_encoder_put(&session->encoder, data, length);
}

static void put_text(hil_session_t *session, const char *text, size_t limit) {
  size_t length = 0;
  uint8_t prefix;

  while (length <= limit && text[length] != '\0') {
    length++;
  }
  if (length > limit) { /* cut between characters, not before a continuation byte */
    for (length = limit; length > 0 && ((uint8_t)text[length] & 0xC0u) == 0x80u; length--) {
    }
  }
  prefix = (uint8_t)length;
  put(session, &prefix, 1);
  put(session, text, length);
}

static void put_tensor(hil_session_t *session, const hil_tensor_t *tensor) {
  put(session, &tensor->dtype, 1);
  put(session, &tensor->rank, 1);
  put(session, tensor->dims, 4u * tensor->rank);
  put(session, &tensor->scale, sizeof tensor->scale);
  put(session, &tensor->zero_point, sizeof tensor->zero_point);
}

#if HIL_MORE
static void put_tensors(hil_session_t *session, uint8_t count, const hil_tensor_t *tensors) {
  uint8_t i;

  put(session, &count, 1);
  for (i = 0; i < count; i++) {
    put_tensor(session, &tensors[i]);
  }
}

/* The end of a HELLO reply, only if a model has more than one input, one output and no state. */
static void put_more(hil_session_t *session) {
  static const hil_more_t nothing = {0, 0, NULL, NULL, 0, 0, NULL};
  const hil_setup_t *setup = &session->setup;
  uint8_t i, flags, found = 0;

  for (i = 0; i < setup->model_count; i++) {
    found |= hil_more(&setup->models[i]) != NULL;
  }
  for (i = 0; found && i < setup->model_count; i++) {
    const hil_model_t *model = &setup->models[i];
    const hil_more_t *more = hil_more(model) ? hil_more(model) : &nothing;

    flags = hil_is_stateful(model) ? HIL_MODEL_STATEFUL : 0;
    put_tensors(session, more->inputs, more->input);
    put_tensors(session, more->outputs, more->output);
    put(session, &flags, 1);
  }
}
#endif

/* Bytes of arena the model needs on this machine; if that is unknown, the most it can need. */
static uint32_t arena_of(const hil_setup_t *setup, const hil_model_t *model) {
  uint32_t needed = model->arena_bytes;
  const hil_engine_status_t status =
      model->prepare(model, setup->arena, setup->arena_size, &needed);

  return status == HIL_ENGINE_OK ? needed : model->arena_bytes;
}

void hil_reply_hello(hil_session_t *session) {
  const hil_setup_t *setup = &session->setup;
  hil_hello_t hello;
  uint8_t i;

  hello.protocol = HIL_PROTOCOL_VERSION;
  hello.model_count = setup->model_count;
  hello.window = setup->board->window;
  hello.flags = (uint8_t)(setup->board->room << HIL_HELLO_ROOM);
  hello.flags |= setup->board->has_micros ? HIL_HELLO_HAS_MICROS : 0;
#if HIL_UNPACKS
  hello.flags |= HIL_HELLO_UNPACKS;
#endif
#ifdef HIL_LAYERS
  hello.flags |= HIL_HELLO_HAS_LAYERS;
#endif
  hello.max_payload = setup->max_payload;
  hello.tick_hz = setup->board->tick_hz;
  begin(session, HIL_MSG_REPLY | HIL_MSG_HELLO);
  put(session, &hello, sizeof hello);
  put_text(session, setup->board->name, BOARD_TEXT);
  put_text(session, setup->firmware, BOARD_TEXT);
  put_text(session, setup->toolchain, BOARD_TEXT);
  for (i = 0; i < setup->model_count; i++) {
    const hil_model_t *model = &setup->models[i];
    const uint32_t arena = arena_of(setup, model);

    put_text(session, model->name, MODEL_TEXT);
    put_text(session, model->engine, MODEL_TEXT);
    put(session, model->sha256, sizeof model->sha256);
    put_tensor(session, &model->input);
    put_tensor(session, &model->output);
    put(session, &arena, sizeof arena);
    put(session, &model->flash_bytes, sizeof model->flash_bytes);
  }
#if HIL_MORE
  put_more(session);
#endif
  hil_encoder_end(&session->encoder);
  session->prepared = -1; /* the arena now belongs to another model */
}

#if HIL_MORE
/* The outputs after the first, which ends at byte `end` of the output buffer. What the buffer has
 * in the gaps may be of another model: they are sent as zeros. */
static void put_others(hil_session_t *session, const hil_more_t *more, uint32_t end) {
  static const uint8_t gap[3] = {0};
  uint32_t start;
  uint8_t i;

  for (i = 0; i < more->outputs; i++) {
    start = (end + 3u) & ~(uint32_t)3u;
    put(session, gap, start - end);
    end = start + hil_tensor_bytes(&more->output[i]);
    put(session, (const uint8_t *)session->setup.output + start, end - start);
  }
}
#endif

static void put_outputs(hil_session_t *session, const hil_model_t *model) {
  const uint32_t first = hil_tensor_bytes(&model->output);

  put(session, session->setup.output, first);
#if HIL_MORE
  if (hil_more(model)) {
    put_others(session, hil_more(model), first);
  }
#endif
}

void hil_reply_result(hil_session_t *session, uint8_t model, uint32_t micros, uint32_t ticks) {
  const hil_tensor_t *output = &session->setup.models[model].output;
  hil_result_t result;

  result.model = model;
  result.dtype = output->dtype;
  result.check = session->decoder.check;
  result.micros = micros;
  result.ticks = ticks;
  begin(session, HIL_MSG_REPLY | HIL_MSG_INFER);
  put(session, &result, sizeof result);
  put_outputs(session, &session->setup.models[model]);
  hil_encoder_end(&session->encoder);
}

#if HIL_REPEAT
void hil_reply_repeated(hil_session_t *session, const hil_repeated_t *total) {
  begin(session, HIL_MSG_REPLY | HIL_MSG_REPEAT);
  put(session, total, sizeof *total);
  put_outputs(session, &session->setup.models[total->model]);
  hil_encoder_end(&session->encoder);
}
#endif

#ifdef HIL_LAYERS
static void reply_layers(hil_session_t *session, uint8_t type, const void *head, size_t size,
                         const void *data, size_t length) {
  begin(session, HIL_MSG_REPLY | type);
  put(session, head, size);
  put(session, data, length);
  hil_encoder_end(&session->encoder);
}

void hil_reply_layer(hil_session_t *session, const hil_layer_t *layer, const void *data,
                     uint32_t length) {
  reply_layers(session, HIL_MSG_LAYERS, layer, sizeof *layer, data, length);
}

void hil_reply_profile(hil_session_t *session, const hil_profiled_t *head, const hil_lap_t *laps,
                       uint32_t length) {
  reply_layers(session, HIL_MSG_PROFILE, head, sizeof *head, laps, length);
}
#endif

void hil_reply_status(hil_session_t *session) {
  hil_memory_t memory;
  hil_status_t status;

  memset(&memory, 0, sizeof memory);
  session->setup.board->memory(&memory);
  status.ram_static = memory.ram_static;
  status.stack_used = memory.stack_used;
  status.stack_size = memory.stack_size;
  status.heap_used = memory.heap_used;
  status.uptime_ms = session->setup.board->uptime_ms();
  status.frames_ok = session->frames_ok;
  status.frames_bad = session->frames_bad;
  status.inferences = session->inferences;
  status.errors = session->errors;
  begin(session, HIL_MSG_REPLY | HIL_MSG_STATUS);
  put(session, &status, sizeof status);
  hil_encoder_end(&session->encoder);
}

#if HIL_MORE
void hil_reply_reset(hil_session_t *session) {
  begin(session, HIL_MSG_REPLY | HIL_MSG_RESET_STATE);
  hil_encoder_end(&session->encoder);
}
#endif

void hil_reply_baud(hil_session_t *session, uint32_t baud) {
  begin(session, HIL_MSG_REPLY | HIL_MSG_BAUD);
  put(session, &baud, sizeof baud);
  hil_encoder_end(&session->encoder);
}

void hil_reply_clock(hil_session_t *session, uint32_t micros, uint32_t ticks, uint32_t reads) {
  const hil_clock_t clock = {micros, ticks, reads};

  begin(session, HIL_MSG_REPLY | HIL_MSG_CLOCK);
  put(session, &clock, sizeof clock);
  hil_encoder_end(&session->encoder);
}

static void send_error(hil_session_t *session, uint8_t code, uint8_t request_type, uint16_t seq,
                       uint32_t needed, uint32_t available) {
  hil_error_t error;

  session->errors++;
  error.code = code;
  error.request_type = request_type;
  error.reserved = 0;
  error.needed = needed;
  error.available = available;
  hil_encoder_begin(&session->encoder, session->setup.write, session->setup.write_context,
                    HIL_MSG_ERROR, seq);
  put(session, &error, sizeof error);
  hil_encoder_end(&session->encoder);
}

void hil_reply_error(hil_session_t *session, uint8_t code, uint32_t needed, uint32_t available) {
  const hil_header_t *header = &session->decoder.header;

  send_error(session, code, header->type, header->seq, needed, available);
}

void hil_reply_unreadable(hil_session_t *session, uint8_t code, uint32_t available) {
  send_error(session, code, 0, 0, 0, available);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_device.h"

#include <string.h>

#ifndef HIL_TOOLCHAIN
#define HIL_TOOLCHAIN "gcc " __VERSION__
#endif

enum { CHUNK = 64 };

/* ---- The guards around the output. Their pattern changes from byte to byte, so that filling or
 * copying over them is noticed. */
static uint8_t guard_byte(uint32_t i) { return (uint8_t)(0xC5u + 29u * i); }

static void set_guard(uint8_t *bytes) {
  uint32_t i;

  for (i = 0; i < HIL_DEVICE_GUARD; i++) {
    bytes[i] = guard_byte(i);
  }
}

static bool guard_holds(const uint8_t *bytes) {
  uint32_t i;

  for (i = 0; i < HIL_DEVICE_GUARD; i++) {
    if (bytes[i] != guard_byte(i)) {
      return false;
    }
  }
  return true;
}

/* ---- The engine's functions. `self` is the first member of its device. */
static hil_engine_status_t prepare(const hil_model_t *self, void *arena, uint32_t arena_size,
                                   uint32_t *needed) {
  const hil_device_t *device = (const hil_device_t *)self;
  uint8_t *const out = device->config->out;
  const uint32_t bytes = hil_tensor_bytes(&self->output);

  (void)arena;
  (void)arena_size;
  if (device->contradicts) {
    *needed = HIL_DEVICE_CONFIG;
    return HIL_ENGINE_FAILED;
  }
  /* An output that predict leaves out is not the one of the request before. */
  memset(out + HIL_DEVICE_GUARD, 0xFF, bytes);
  set_guard(out);
  set_guard(out + HIL_DEVICE_GUARD + bytes);
  return HIL_ENGINE_OK;
}

static hil_engine_status_t invoke(const hil_model_t *self, const void *input, void *output,
                                  void *arena, uint32_t *needed) {
  const hil_device_config_t *config = ((const hil_device_t *)self)->config;

  (void)arena;
  if (config->predict(config->context, input, output)) {
    return HIL_ENGINE_OK;
  }
  *needed = HIL_DEVICE_REFUSED;
  return HIL_ENGINE_FAILED;
}

static hil_engine_status_t verify(const hil_model_t *self, const void *output, uint32_t *needed) {
  hil_device_t *device = (hil_device_t *)(uintptr_t)self;
  const uint8_t *out = (const uint8_t *)output;

  device->session.prepared = -1; /* prepare again before the next one */
  if (!guard_holds(out - HIL_DEVICE_GUARD)) {
    *needed = HIL_DEVICE_WROTE_BEFORE;
    return HIL_ENGINE_FAILED;
  }
  if (!guard_holds(out + hil_tensor_bytes(&self->output))) {
    *needed = HIL_DEVICE_WROTE_AFTER;
    return HIL_ENGINE_FAILED;
  }
  return HIL_ENGINE_OK;
}

/* ---- The configuration. */

/* By its bits: comparing numbers would link a function on a core without FPU. */
static bool lacks_scale(const hil_tensor_t *tensor) {
  uint32_t bits;

  memcpy(&bits, &tensor->scale, sizeof bits);
  return tensor->dtype != HIL_FLOAT32 && bits == 0;
}

/* Copies a tensor; false if it contradicts itself, and then it is flat. */
static bool take_tensor(hil_tensor_t *to, const hil_tensor_t *from) {
  uint32_t product = 1;
  uint8_t i;

  *to = *from;
  for (i = 0; i < from->rank && i < HIL_MAX_RANK; i++) {
    product *= from->dims[i];
  }
  if (to->elements == 0) {
    to->elements = product;
  }
  if (from->rank == 0 || from->rank > HIL_MAX_RANK || product != to->elements) {
    to->rank = 1;
    to->dims[0] = to->elements;
    return false;
  }
  return hil_tensor_bytes(to) > 0;
}

/* The largest request: an input in float32 if the buffer has room for it, else in its own type; 0
 * if the buffer is too small for that. */
static uint32_t payload_of(const hil_tensor_t *input, uint32_t size) {
  const uint32_t wide = HIL_MAX_PAYLOAD_OF(input->elements);
  const uint32_t own = HIL_REQUEST_HEAD + hil_tensor_bytes(input);

  return HIL_RX_BYTES(wide) <= size ? wide : HIL_RX_BYTES(own) <= size ? own : 0;
}

static char *append(char *at, const char *end, const char *text) {
  while (*text != '\0' && at < end) {
    *at++ = *text++;
  }
  return at;
}

static bool is_aligned(const void *buffer) {
#ifdef __AVR__
  return buffer != NULL;
#else
  return buffer && ((uintptr_t)buffer & 15u) == 0;
#endif
}

bool hil_device_init_on(hil_device_t *device, const hil_device_config_t *config,
                        const hil_board_t *board) {
  hil_model_t *model = &device->model;
  const char *const end = device->firmware + sizeof device->firmware - 1;
  char *at = device->firmware;
  hil_setup_t setup;
  bool holds;

  memset(device, 0, sizeof *device);
  memset(&setup, 0, sizeof setup);
  device->config = config;
  if (!config->read || !config->write || !config->rx || config->rx_size < HIL_RX_BYTES(0u)) {
    device->contradicts = 1;
    return false; /* the session has no buffer: hil_device_poll does nothing */
  }
  at = append(at, end, config->name ? config->name : "sketch");
  at = append(at, end, " ");
  at = append(at, end, config->version ? config->version : "");
  append(at, end, " (tinyml-hil " TINYML_HIL_VERSION ")");
  model->name = config->name ? config->name : "sketch";
  model->engine = "user";
  if (config->sha256) {
    memcpy(model->sha256, config->sha256, sizeof model->sha256);
  }
  holds = take_tensor(&model->input, &config->input);
  holds = take_tensor(&model->output, &config->output) && holds;
  if (lacks_scale(&model->input)) {
    model->input.scale = 1.0f / 255.0f;
    model->input.zero_point = model->input.dtype == HIL_INT8 ? -128 : 0;
  }
  if (lacks_scale(&model->output)) {
    model->output.scale = 1.0f;
  }
  model->prepare = prepare;
  model->invoke = invoke;
  model->verify = verify;
  setup.board = board;
  setup.firmware = device->firmware;
  setup.toolchain = config->toolchain ? config->toolchain : HIL_TOOLCHAIN;
  setup.models = model;
  setup.model_count = 1;
  setup.rx = config->rx;
  setup.rx_size = config->rx_size;
  setup.max_payload = payload_of(&model->input, config->rx_size);
  setup.output = config->out + HIL_DEVICE_GUARD;
  setup.convert = config->convert;
  setup.write = config->write;
  setup.write_context = config->write_context;
  setup.set_baud = config->set_baud;
  holds = holds && config->predict && is_aligned(config->rx) && is_aligned(config->out) &&
          setup.max_payload > 0 &&
          config->out_size >= 2u * HIL_DEVICE_GUARD + hil_tensor_bytes(&model->output);
  device->contradicts = !holds;
  hil_session_init(&device->session, &setup);
  return holds;
}

void hil_device_poll(hil_device_t *device) {
  uint8_t received[CHUNK];
  size_t count, i;

  if (!device->session.setup.rx) {
    return;
  }
  count = device->config->read(received, sizeof received);
  for (i = 0; i < count; i++) {
    hil_session_feed(&device->session, received[i]);
  }
}

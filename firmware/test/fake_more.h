/* SPDX-License-Identifier: Apache-2.0 */
/* Models with several inputs and outputs, with state and with wide types, for the fake board. They
 * are those in the golden "hello reply with several tensors and state". */
#ifndef FAKE_MORE_H
#define FAKE_MORE_H

#include "fake_board.h"

enum { PLAIN = 0, PAIR = 1, COUNTER = 2, WIDE = 3, MORE_MODELS = 4 };

static uint32_t more_prepared, more_reset; /* how often */

static hil_engine_status_t more_prepare(const hil_model_t *self, void *arena, uint32_t size,
                                        uint32_t *needed) {
  (void)self;
  (void)size;
  (void)needed;
  memset(arena, 0, 4);
  more_prepared++;
  return HIL_ENGINE_OK;
}

static void more_forget(void *arena) {
  memset(arena, 0, 4);
  more_reset++;
}

static hil_engine_status_t invoke_plain(const hil_model_t *self, const void *input, void *output,
                                        void *arena, uint32_t *needed) {
  (void)self;
  (void)input;
  (void)arena;
  (void)needed;
  memset(output, 0x55, HIL_OUTPUT_BYTES); /* so that what is left in gaps would be seen */
  return HIL_ENGINE_OK;
}

/* Inputs: int8[3], int16[2] from byte 4. Outputs: the int8 reversed; the sum of the int16, from
 * byte 4; a bool from byte 8: whether the int16 are equal. */
static hil_engine_status_t invoke_pair(const hil_model_t *self, const void *input, void *output,
                                       void *arena, uint32_t *needed) {
  const int8_t *bytes = (const int8_t *)input;
  int8_t *out = (int8_t *)output;
  int16_t words[2], sum;

  (void)self;
  (void)arena;
  (void)needed;
  memcpy(words, bytes + 4, sizeof words);
  sum = (int16_t)(words[0] + words[1]);
  out[0] = bytes[2];
  out[1] = bytes[1];
  out[2] = bytes[0];
  memcpy(out + 4, &sum, sizeof sum);
  out[8] = words[0] == words[1];
  return HIL_ENGINE_OK;
}

/* The sum of all inputs since the last reset. An input of 99 fails. */
static hil_engine_status_t invoke_counter(const hil_model_t *self, const void *input, void *output,
                                          void *arena, uint32_t *needed) {
  const int8_t *in = (const int8_t *)input;
  int32_t sum;

  (void)self;
  if (*in == 99) {
    *needed = 5;
    return HIL_ENGINE_FAILED;
  }
  memcpy(&sum, arena, sizeof sum);
  sum += *in;
  memcpy(arena, &sum, sizeof sum);
  memcpy(output, &sum, sizeof sum);
  return HIL_ENGINE_OK;
}

static hil_engine_status_t invoke_wide(const hil_model_t *self, const void *input, void *output,
                                       void *arena, uint32_t *needed) {
  (void)self;
  (void)arena;
  (void)needed;
  memcpy(output, input, 16);
  return HIL_ENGINE_OK;
}

#ifdef HIL_LAYERS
/* Each model shows its first output as its only layer. */
static hil_engine_status_t more_observe(const hil_model_t *self, const void *input, void *output,
                                        void *arena, uint32_t *needed, hil_observer_t *observer) {
  const hil_engine_status_t status = self->invoke(self, input, output, arena, needed);

  if (status == HIL_ENGINE_OK) {
    observer->layer(observer, 0, self->output.dtype, output, hil_tensor_bytes(&self->output));
  }
  return status;
}
#define MORE_LAYERS , .layers = 1, .observe = more_observe
#else
#define MORE_LAYERS
#endif

#define ONE(type) {.dtype = (type), .rank = 1, .dims = {1}, .elements = 1, .scale = 1.0f}
static const hil_tensor_t pair_input = {
    .dtype = HIL_INT16, .rank = 2, .dims = {1, 2}, .elements = 2, .scale = 0.5f};
static const hil_tensor_t pair_outputs[] = {ONE(HIL_INT16), ONE(HIL_BOOL)};
static const hil_more_t more_pair = {
    .inputs = 1,
    .outputs = 2,
    .input = &pair_input,
    .output = pair_outputs,
    .input_bytes = 8,
    .output_bytes = 9,
};
static const hil_more_t more_counter = {.input_bytes = 1, .output_bytes = 4, .reset = more_forget};

static const hil_model_t more_models[MORE_MODELS] = {
    [PLAIN] = {.name = "plain",
               .engine = "fake",
               .input = ONE(HIL_INT8),
               .output = ONE(HIL_INT8),
               .prepare = more_prepare,
               .invoke = invoke_plain MORE_LAYERS},
    [PAIR] = {.name = "pair",
              .engine = "fake",
              .input = {.dtype = HIL_INT8, .rank = 1, .dims = {3}, .elements = 3, .scale = 0.25f},
              .output = {.dtype = HIL_INT8, .rank = 1, .dims = {3}, .elements = 3, .scale = 2.0f},
              .prepare = more_prepare,
              .invoke = invoke_pair MORE_LAYERS,
              .more = &more_pair},
    [COUNTER] = {.name = "counter",
                 .engine = "fake",
                 .input = ONE(HIL_INT8),
                 .output = ONE(HIL_INT32),
                 .prepare = more_prepare,
                 .invoke = invoke_counter MORE_LAYERS,
                 .more = &more_counter},
    [WIDE] = {.name = "wide",
              .engine = "fake",
              .input = {.dtype = HIL_INT64, .rank = 1, .dims = {2}, .elements = 2},
              .output = {.dtype = HIL_INT64, .rank = 1, .dims = {2}, .elements = 2},
              .prepare = more_prepare,
              .invoke = invoke_wide MORE_LAYERS},
};

/* Starts a session of the fake board with these models. */
static inline void fake_boot_more(uint32_t overhead) {
  fake_boot(overhead);
  fake.session.setup.models = more_models;
  fake.session.setup.model_count = MORE_MODELS;
  more_prepared = more_reset = 0;
}

#endif

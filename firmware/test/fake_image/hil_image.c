/* SPDX-License-Identifier: Apache-2.0 */
/* See hil_image.h. These are the models in the golden "hello reply of the fake image". */
#include "hil_image.h"

#include <string.h>

#include "hil_engine/hil_engine.h"

/* Stores `self` in the arena: shows that prepare ran, and for which model. */
static hil_engine_status_t prepare(const hil_model_t *self, void *arena, uint32_t size,
                                   uint32_t *needed) {
  if (self->arena_bytes > size) {
    *needed = self->arena_bytes;
    return HIL_ENGINE_ARENA;
  }
  memcpy(arena, &self, sizeof self);
  return HIL_ENGINE_OK;
}

static int prepared(const hil_model_t *self, const void *arena) {
  return memcmp(arena, &self, sizeof self) == 0;
}

/* Outputs: the first, the last, and the exclusive or of all four inputs. */
static hil_engine_status_t invoke_int8(const hil_model_t *self, const void *input, void *output,
                                       void *arena, uint32_t *needed) {
  const uint8_t *in = (const uint8_t *)input;
  uint8_t *out = (uint8_t *)output;

  if (!prepared(self, arena)) {
    *needed = 99;
    return HIL_ENGINE_FAILED;
  }
  out[0] = in[0];
  out[1] = in[3];
  out[2] = (uint8_t)(in[0] ^ in[1] ^ in[2] ^ in[3]);
  return HIL_ENGINE_OK;
}

/* Outputs: the four inputs in reverse order. */
static hil_engine_status_t invoke_float32(const hil_model_t *self, const void *input, void *output,
                                          void *arena, uint32_t *needed) {
  const float *in = (const float *)input;
  float *out = (float *)output;
  int i;

  if (!prepared(self, arena)) {
    *needed = 99;
    return HIL_ENGINE_FAILED;
  }
  for (i = 0; i < 4; i++) {
    out[i] = in[3 - i];
  }
  return HIL_ENGINE_OK;
}

static hil_engine_status_t invoke_broken(const hil_model_t *self, const void *input, void *output,
                                         void *arena, uint32_t *needed) {
  (void)self;
  (void)input;
  (void)output;
  (void)arena;
  *needed = FAKE_BROKEN_CODE;
  return HIL_ENGINE_FAILED;
}

#ifdef HIL_LAYERS
/* Two layers: the unchanged input, and the output. */
static hil_engine_status_t observe_int8(const hil_model_t *self, const void *input, void *output,
                                        void *arena, uint32_t *needed, hil_observer_t *observer) {
  hil_engine_status_t status;

  observer->layer(observer, 0, HIL_INT8, input, 4);
  status = invoke_int8(self, input, output, arena, needed);
  if (status == HIL_ENGINE_OK) {
    observer->layer(observer, 1, HIL_INT8, output, 3);
  }
  return status;
}

static hil_engine_status_t observe_broken(const hil_model_t *self, const void *input, void *output,
                                          void *arena, uint32_t *needed, hil_observer_t *observer) {
  observer->layer(observer, 0, HIL_INT8, input, 1);
  return invoke_broken(self, input, output, arena, needed);
}
#define OBSERVED(count, function) , .layers = (count), .observe = (function)
#else
#define OBSERVED(count, function)
#endif

#define SHA_COUNT(n)                                                               \
  {(n) + 0,  (n) + 1,  (n) + 2,  (n) + 3,  (n) + 4,  (n) + 5,  (n) + 6,  (n) + 7,  \
   (n) + 8,  (n) + 9,  (n) + 10, (n) + 11, (n) + 12, (n) + 13, (n) + 14, (n) + 15, \
   (n) + 16, (n) + 17, (n) + 18, (n) + 19, (n) + 20, (n) + 21, (n) + 22, (n) + 23, \
   (n) + 24, (n) + 25, (n) + 26, (n) + 27, (n) + 28, (n) + 29, (n) + 30, (n) + 31}
#define SHA_PAIRS(a, b) \
  {a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b}
#define ONE_INT8 {.dtype = HIL_INT8, .rank = 2, .dims = {1, 1}, .elements = 1, .scale = 1.0f}
#define FOUR_FLOAT32 {.dtype = HIL_FLOAT32, .rank = 2, .dims = {1, 4}, .elements = 4}

const hil_model_t hil_models[HIL_MODEL_COUNT] = {
    [FAKE_INT8] =
        {
            .name = "fake_int8",
            .engine = "fake",
            .sha256 = SHA_COUNT(0),
            .input =
                {
                    .dtype = HIL_INT8,
                    .rank = 4,
                    .dims = {1, 2, 2, 1},
                    .elements = 4,
                    .scale = 1.0f / 255.0f,
                    .zero_point = -128,
                },
            .output =
                {
                    .dtype = HIL_INT8,
                    .rank = 2,
                    .dims = {1, 3},
                    .elements = 3,
                    .scale = 0.5f,
                    .zero_point = 3,
                },
            .arena_bytes = 16,
            .flash_bytes = 5,
            .prepare = prepare,
            .invoke = invoke_int8 OBSERVED(2, observe_int8),
        },
    [FAKE_FLOAT32] =
        {
            .name = "fake_float32",
            .engine = "fake",
            .sha256 = SHA_COUNT(32),
            .input = FOUR_FLOAT32,
            .output = FOUR_FLOAT32,
            .prepare = prepare,
            .invoke = invoke_float32,
        },
    [FAKE_GREEDY] =
        {
            .name = "greedy",
            .engine = "fake",
            .sha256 = SHA_PAIRS(0xAA, 0xAA),
            .input = ONE_INT8,
            .output = ONE_INT8,
            .arena_bytes = FAKE_GREEDY_ARENA,
            .flash_bytes = 1,
            .prepare = prepare,
            .invoke = invoke_int8 OBSERVED(2, observe_int8),
        },
    [FAKE_BROKEN] =
        {
            .name = "broken",
            .engine = "fake",
            .sha256 = SHA_PAIRS(0x00, 0xFF),
            .input = ONE_INT8,
            .output = ONE_INT8,
            .flash_bytes = 1,
            .prepare = prepare,
            .invoke = invoke_broken OBSERVED(2, observe_broken),
        },
};

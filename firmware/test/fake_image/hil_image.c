/* See hil_image.h. The golden HELLO reply "of the fake image" lists exactly these models. */
#include "hil_image.h"

#include <string.h>

#include "hil_engine.h"

/* In the arena while prepared: proves that prepare ran, and for which model. */
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

/* First, last, and all four exclusive-or'd. */
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

/* The four, last first. */
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
/* Two layers: the input as it is, and the output. */
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
#define SHOWS(layers, observe) , 0, layers, observe
#else
#define SHOWS(layers, observe) , 0
#endif

#define SHA_COUNT(n)                                                               \
  {(n) + 0,  (n) + 1,  (n) + 2,  (n) + 3,  (n) + 4,  (n) + 5,  (n) + 6,  (n) + 7,  \
   (n) + 8,  (n) + 9,  (n) + 10, (n) + 11, (n) + 12, (n) + 13, (n) + 14, (n) + 15, \
   (n) + 16, (n) + 17, (n) + 18, (n) + 19, (n) + 20, (n) + 21, (n) + 22, (n) + 23, \
   (n) + 24, (n) + 25, (n) + 26, (n) + 27, (n) + 28, (n) + 29, (n) + 30, (n) + 31}
#define SHA_PAIRS(a, b) \
  {a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b}
#define ONE_INT8 {HIL_INT8, 2, {1, 1, 0, 0, 0, 0}, 1, 1.0f, 0}

const hil_model_t hil_models[HIL_MODEL_COUNT] = {
    {"fake_int8",
     "fake",
     SHA_COUNT(0),
     {HIL_INT8, 4, {1, 2, 2, 1, 0, 0}, 4, 1.0f / 255.0f, -128},
     {HIL_INT8, 2, {1, 3, 0, 0, 0, 0}, 3, 0.5f, 3},
     16,
     5,
     prepare,
     invoke_int8 SHOWS(2, observe_int8)},
    {"fake_float32",
     "fake",
     SHA_COUNT(32),
     {HIL_FLOAT32, 2, {1, 4, 0, 0, 0, 0}, 4, 0.0f, 0},
     {HIL_FLOAT32, 2, {1, 4, 0, 0, 0, 0}, 4, 0.0f, 0},
     0,
     0,
     prepare,
     invoke_float32 SHOWS(0, NULL)},
    {"greedy", "fake", SHA_PAIRS(0xAA, 0xAA), ONE_INT8, ONE_INT8, FAKE_GREEDY_ARENA, 1, prepare,
     invoke_int8 SHOWS(2, observe_int8)},
    {"broken", "fake", SHA_PAIRS(0x00, 0xFF), ONE_INT8, ONE_INT8, 0, 1, prepare,
     invoke_broken SHOWS(2, observe_broken)},
};

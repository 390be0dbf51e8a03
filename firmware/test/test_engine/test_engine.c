/* SPDX-License-Identifier: Apache-2.0 */
/* The generated networks: does the engine keep the promises of hil_engine.h on this machine? */
#include <string.h>

#include "hil_engine/hil_engine.h"
#include "hil_image.h"
#include "hil_test.h"

enum { GUARD = 32, FILL = 0x5A, STEP = 16 }; /* STEP: the largest alignment of any engine */

static _Alignas(16) uint8_t input[HIL_INPUT_BYTES + GUARD];
static _Alignas(16) uint8_t arena[HIL_ARENA_BYTES + GUARD];
static _Alignas(16) uint8_t output[HIL_OUTPUT_BYTES + GUARD];
static uint8_t first_output[HIL_OUTPUT_BYTES];

static uint32_t size_of(const hil_tensor_t *tensor) {
  return tensor->elements * (tensor->dtype == HIL_FLOAT32 ? 4u : 1u);
}

/* A varied input, so that not every ReLU outputs zero. */
static void draw(const hil_model_t *model) {
  uint32_t i;

  for (i = 0; i < model->input.elements; i++) {
    const uint32_t value = (i * 37u + 11u) % 251u;

    if (model->input.dtype == HIL_FLOAT32) {
      const float real = (float)value / 255.0f;
      memcpy(input + 4u * i, &real, sizeof real);
    } else {
      input[i] = (uint8_t)(value + 128u);
    }
  }
}

static int untouched(const uint8_t *from, const uint8_t *end) {
  for (; from < end; from++) {
    if (*from != FILL) {
      return 0;
    }
  }
  return 1;
}

static void tensors_are_described(void) {
  uint32_t m, d;

  for (m = 0; m < HIL_MODEL_COUNT; m++) {
    const hil_tensor_t *tensors[2] = {&hil_models[m].input, &hil_models[m].output};
    int t;

    hil_test_detail = hil_models[m].name;
    for (t = 0; t < 2; t++) {
      uint32_t elements = 1;

      CHECK(tensors[t]->rank >= 1 && tensors[t]->rank <= HIL_MAX_RANK);
      for (d = 0; d < tensors[t]->rank; d++) {
        elements *= tensors[t]->dims[d];
      }
      CHECK_EQUAL(elements, tensors[t]->elements);
    }
    CHECK(size_of(tensors[0]) <= HIL_INPUT_BYTES);
    CHECK(size_of(tensors[1]) <= HIL_OUTPUT_BYTES);
    CHECK(hil_models[m].arena_bytes <= HIL_ARENA_BYTES);
  }
}

static void an_arena_too_small_is_refused(void) {
  uint32_t m, takes, short_of, needed;

  for (m = 0; m < HIL_MODEL_COUNT; m++) {
    const hil_model_t *model = &hil_models[m];

    hil_test_detail = model->name;
    takes = 0;
    CHECK_EQUAL(HIL_ENGINE_OK, model->prepare(model, arena, model->arena_bytes, &takes));
    CHECK(takes <= model->arena_bytes);
    for (short_of = takes; short_of > 0; short_of -= short_of < STEP ? short_of : STEP) {
      uint8_t *end = arena + short_of - 1;

      needed = 0;
      memset(end, FILL, GUARD);
      CHECK_EQUAL(HIL_ENGINE_ARENA, model->prepare(model, arena, short_of - 1, &needed));
      CHECK(needed >= takes);
      CHECK(untouched(end, end + GUARD));
    }
    CHECK_EQUAL(HIL_ENGINE_OK, model->prepare(model, arena, takes, &needed));
    CHECK_EQUAL(takes, needed);
  }
}

static void answers_depend_only_on_the_input(void) {
  static const uint8_t leftovers[] = {0x00, 0xFF, FILL};
  uint32_t m, l, code = 0;

  for (m = 0; m < HIL_MODEL_COUNT; m++) {
    const hil_model_t *model = &hil_models[m];
    const uint32_t in = size_of(&model->input), out = size_of(&model->output);

    hil_test_detail = model->name;
    for (l = 0; l < sizeof leftovers; l++) {
      memset(input, FILL, sizeof input);
      memset(output, FILL, sizeof output);
      memset(arena, leftovers[l], sizeof arena);
      memset(arena + model->arena_bytes, FILL, sizeof arena - model->arena_bytes);
      draw(model);
      CHECK_EQUAL(HIL_ENGINE_OK, model->prepare(model, arena, model->arena_bytes, &code));
      CHECK_EQUAL(HIL_ENGINE_OK, model->invoke(model, input, output, arena, &code));
      if (l == 0) {
        memcpy(first_output, output, out);
        CHECK(!untouched(output, output + out));
      }
      CHECK(memcmp(first_output, output, out) == 0);
      CHECK(untouched(input + in, input + sizeof input));
      CHECK(untouched(output + out, output + sizeof output));
      CHECK(untouched(arena + model->arena_bytes, arena + sizeof arena));
    }
  }
}

static void the_input_is_not_changed(void) {
  static uint8_t before[HIL_INPUT_BYTES];
  uint32_t m, code = 0;

  for (m = 0; m < HIL_MODEL_COUNT; m++) {
    const hil_model_t *model = &hil_models[m];

    hil_test_detail = model->name;
    draw(model);
    memcpy(before, input, sizeof before);
    CHECK_EQUAL(HIL_ENGINE_OK, model->prepare(model, arena, sizeof arena, &code));
    CHECK_EQUAL(HIL_ENGINE_OK, model->invoke(model, input, output, arena, &code));
    CHECK(memcmp(before, input, sizeof before) == 0);
  }
}

int main(void) {
  RUN(tensors_are_described);
  RUN(an_arena_too_small_is_refused);
  RUN(answers_depend_only_on_the_input);
  RUN(the_input_is_not_changed);
  return FINISH();
}

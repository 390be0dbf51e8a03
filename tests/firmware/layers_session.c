/* SPDX-License-Identifier: Apache-2.0 */
/* LAYERS and PROFILE requests with the fake image, whose int8 model has two layers: its input and
 * its output. test_layers.py builds it with HIL_LAYERS and pieces of 3 bytes. */
#include "asking.h"

static int ask_layer(uint8_t model, uint8_t encoding, uint16_t layer, uint32_t offset,
                     const void *input, uint32_t length) {
  const hil_layers_t request = {model, encoding, layer, offset};
  uint8_t payload[64];

  memcpy(payload, &request, sizeof request);
  memcpy(payload + sizeof request, input, length);
  return ask(HIL_MSG_LAYERS, 42, payload, (uint32_t)sizeof request + length);
}

static void check_layer(uint16_t layer, uint32_t bytes, uint32_t offset, const void *data,
                        uint32_t length) {
  hil_layer_t head;

  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_LAYERS, reply.header.type);
  CHECK_EQUAL(sizeof head + length, reply.payload_length);
  memcpy(&head, reply.payload, sizeof head);
  CHECK_EQUAL(FAKE_INT8, head.model);
  CHECK_EQUAL(HIL_INT8, head.dtype);
  CHECK_EQUAL(layer, head.layer);
  CHECK_EQUAL(2, head.layers);
  CHECK_EQUAL(asked, head.check);
  CHECK_EQUAL(bytes, head.bytes);
  CHECK_EQUAL(offset, head.offset);
  CHECK(memcmp(reply.payload + sizeof head, data, length) == 0);
}

static void hello_announces_layers(void) {
  hil_hello_t hello;

  fake_boot(0);
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  memcpy(&hello, reply.payload, sizeof hello);
  CHECK_EQUAL(HIL_HELLO_HAS_LAYERS, hello.flags & HIL_HELLO_HAS_LAYERS);
  CHECK_EQUAL(8 + 4 * HIL_INPUT_ELEMENTS, hello.max_payload);
}

static void layers_come_in_pieces(void) {
  static const uint8_t pixels[4] = {0, 128, 255, 7};
  static const int8_t input[4] = {-128, 0, 127, -121};
  static const int8_t output[3] = {-128, -121, (int8_t)(0x80 ^ 0x00 ^ 0x7F ^ 0x87)};

  fake_boot(0);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_PIXELS, 0, 0, pixels, 4));
  check_layer(0, 4, 0, input, 3);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_PIXELS, 0, 3, pixels, 4));
  check_layer(0, 4, 3, input + 3, 1);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_PIXELS, 0, 4, pixels, 4));
  check_layer(0, 4, 4, "", 0);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_PIXELS, 0, 0xFFFFFFFFu, pixels, 4));
  check_layer(0, 4, 0xFFFFFFFFu, "", 0);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_PIXELS, 1, 0, pixels, 4));
  check_layer(1, 3, 0, output, 3);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_PIXELS, HIL_LAYER_INPUT, 3, pixels, 4));
  check_layer(HIL_LAYER_INPUT, 4, 3, input + 3, 1);
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, pixels, 4));
  check_result(output, 3);
  CHECK(fake_guards_stand());
}

static void floats_fill_the_buffer(void) {
  static const float floats[4] = {-3.0f, 0.5f / 255.0f, 1.0f, 5.0f};
  static const int8_t input[4] = {-128, -127, 127, 127};

  fake_boot(0);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_FLOAT32, 0, 0, floats, 16));
  check_layer(0, 4, 0, input, 3);
  CHECK(fake_guards_stand());
}

static void wrong_layers_requests_get_their_error(void) {
  static const uint8_t bytes[20] = {0};

  fake_boot(0);
  CHECK(ask(HIL_MSG_LAYERS, 7, bytes, 7));
  check_error(HIL_ERR_LENGTH, HIL_MSG_LAYERS, 7, 8, 7);
  CHECK(ask_layer(HIL_MODEL_COUNT, HIL_ENC_INT8, 0, 0, bytes, 4));
  check_error(HIL_ERR_MODEL, HIL_MSG_LAYERS, 42, HIL_MODEL_COUNT, HIL_MODEL_COUNT);
  CHECK(ask_layer(FAKE_INT8, 9, 0, 0, bytes, 4));
  check_error(HIL_ERR_ENCODING, HIL_MSG_LAYERS, 42, 9, 0);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_INT8, 0, 0, bytes, 5));
  check_error(HIL_ERR_LENGTH, HIL_MSG_LAYERS, 42, 12, 13);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_INT8, 2, 0, bytes, 4));
  check_error(HIL_ERR_LAYER, HIL_MSG_LAYERS, 42, 2, 2);
  CHECK(ask_layer(FAKE_INT8, HIL_ENC_INT8, 0xFFFE, 0, bytes, 4));
  check_error(HIL_ERR_LAYER, HIL_MSG_LAYERS, 42, 0xFFFE, 2);
  CHECK(ask_layer(FAKE_FLOAT32, HIL_ENC_FLOAT32, 0, 0, bytes, 16));
  check_error(HIL_ERR_LAYER, HIL_MSG_LAYERS, 42, 0, 0);
  CHECK(ask_layer(FAKE_GREEDY, HIL_ENC_INT8, 0, 0, bytes, 1));
  check_error(HIL_ERR_ARENA, HIL_MSG_LAYERS, 42, FAKE_GREEDY_ARENA, HIL_ARENA_BYTES);
}

/* There is only one reply: if the engine fails after the layer was sent, no error follows. */
static void a_failing_engine_answers_once(void) {
  static const uint8_t byte[1] = {0};

  fake_boot(0);
  CHECK(ask_layer(FAKE_BROKEN, HIL_ENC_INT8, 0, 0, byte, 1));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_LAYERS, reply.header.type);
  CHECK(ask_layer(FAKE_BROKEN, HIL_ENC_INT8, 1, 0, byte, 1));
  check_error(HIL_ERR_ENGINE, HIL_MSG_LAYERS, 42, FAKE_BROKEN_CODE, 0);
}

static int ask_profile(uint8_t model, uint8_t encoding, uint16_t layer, const void *input,
                       uint32_t length) {
  const hil_profile_t request = {model, encoding, layer};
  uint8_t payload[64];

  memcpy(payload, &request, sizeof request);
  memcpy(payload + sizeof request, input, length);
  return ask(HIL_MSG_PROFILE, 42, payload, (uint32_t)sizeof request + length);
}

static void check_laps(uint16_t layer, uint32_t total, const hil_lap_t *laps, uint16_t count) {
  const uint32_t length = count * (uint32_t)sizeof *laps;
  hil_profiled_t head;

  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_PROFILE, reply.header.type);
  CHECK_EQUAL(sizeof head + length, reply.payload_length);
  memcpy(&head, reply.payload, sizeof head);
  CHECK_EQUAL(FAKE_INT8, head.model);
  CHECK_EQUAL(asked, head.check);
  CHECK_EQUAL(layer, head.layer);
  CHECK_EQUAL(2, head.layers);
  CHECK_EQUAL(total, head.total.ticks);
  CHECK(memcmp(reply.payload + sizeof head, laps, length) == 0);
}

/* Each reading of the stopwatch is 10 more: 1000 for the invoke, 1010 to 1040 for two rounds of two
 * empty layers, of which the second counts, and 1050 and 1060 for the layers themselves. */
static void layers_are_timed_without_overhead(void) {
  static const int8_t input[4] = {1, 2, 3, 4};
  static const hil_lap_t laps[2] = {{0, 20}, {0, 20}};

  fake_boot(0);
  fake_ticks = 1000;
  fake_ticks_more = 10;
  CHECK(ask_profile(FAKE_INT8, HIL_ENC_INT8, 0, input, 4));
  check_laps(0, 1000, laps, 2);
  fake_ticks = 2000;
  CHECK(ask_profile(FAKE_INT8, HIL_ENC_INT8, 1, input, 4));
  check_laps(1, 2000, laps, 1);
  CHECK(fake_guards_stand());
}

static void wrong_profile_requests_get_their_error(void) {
  static const uint8_t bytes[20] = {0};
  static const hil_lap_t wrapped[2] = {{0, HIL_TICKS_WRAPPED}, {0, HIL_TICKS_WRAPPED}};

  fake_boot(0);
  CHECK(ask(HIL_MSG_PROFILE, 7, bytes, 3));
  check_error(HIL_ERR_LENGTH, HIL_MSG_PROFILE, 7, 4, 3);
  CHECK(ask_profile(FAKE_INT8, HIL_ENC_INT8, 2, bytes, 4));
  check_error(HIL_ERR_LAYER, HIL_MSG_PROFILE, 42, 2, 2);
  CHECK(ask_profile(FAKE_FLOAT32, HIL_ENC_FLOAT32, 0, bytes, 16));
  check_error(HIL_ERR_LAYER, HIL_MSG_PROFILE, 42, 0, 0);
  CHECK(ask_profile(FAKE_BROKEN, HIL_ENC_INT8, 0, bytes, 1));
  check_error(HIL_ERR_ENGINE, HIL_MSG_PROFILE, 42, FAKE_BROKEN_CODE, 0);
  fake_ticks = HIL_TICKS_WRAPPED;
  fake_ticks_more = 0;
  CHECK(ask_profile(FAKE_INT8, HIL_ENC_INT8, 0, bytes, 4));
  check_laps(0, HIL_TICKS_WRAPPED, wrapped, 2);
}

int main(void) {
  RUN(hello_announces_layers);
  RUN(layers_come_in_pieces);
  RUN(floats_fill_the_buffer);
  RUN(wrong_layers_requests_get_their_error);
  RUN(a_failing_engine_answers_once);
  RUN(layers_are_timed_without_overhead);
  RUN(wrong_profile_requests_get_their_error);
  return FINISH();
}

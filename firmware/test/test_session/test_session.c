/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and replies, with the fake image on a simulated board. */
#include <math.h>

#include "asking.h"
#include "golden.h"
#include "hil_session/hil_infer.h"
#include "hil_session/hil_session.h" /* for PlatformIO, which finds libraries by this file's includes */

static void hello_is_golden(void) {
  size_t i, compared = 0;

  fake_boot(0);
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  for (i = 0; i < COUNT_OF(golden_frames); i++) {
    if (strcmp(golden_frames[i].name, "hello reply of the fake image") == 0) {
      compared++;
      CHECK_EQUAL(golden_frames[i].encoded_length, fake.reply_length);
      CHECK(memcmp(golden_frames[i].encoded, fake.reply, fake.reply_length) == 0);
    }
  }
  CHECK_EQUAL(1, compared);
}

static void a_long_text_is_cut_between_characters(void) {
  /* 62 bytes and a character of two: one more than the 63 that fit */
  static const char text[] = "0123456789012345678901234567890123456789012345678901234567890A\u00e9";
  const uint8_t *at;

  fake_boot(0);
  fake.session.setup.firmware = text;
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  at = reply.payload + sizeof(hil_hello_t);
  at += 1 + *at; /* the board's name */
  CHECK_EQUAL(62, *at);
  CHECK(memcmp(at + 1, text, 62) == 0);
}

static void int8_takes_all_three_encodings(void) {
  /* scale 1/255, zero point -128: pixels shift, halves round away from zero, values clamp */
  static const uint8_t pixels[4] = {0, 128, 255, 7};
  static const int8_t int8[4] = {-128, 127, 0, -1};
  static const float floats[4] = {-3.0f, 0.5f / 255.0f, 1.0f, 5.0f};
  static const int8_t from_pixels[3] = {-128, -121, (int8_t)(0x80 ^ 0x00 ^ 0x7F ^ 0x87)};
  static const int8_t from_int8[3] = {-128, -1, (int8_t)(0x80 ^ 0x7F ^ 0x00 ^ 0xFF)};
  static const int8_t from_floats[3] = {-128, 127, (int8_t)(0x80 ^ 0x81 ^ 0x7F ^ 0x7F)};

  fake_boot(0);
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, pixels, sizeof pixels));
  check_result(from_pixels, 3);
  CHECK(infer(FAKE_INT8, HIL_ENC_INT8, int8, sizeof int8));
  check_result(from_int8, 3);
  CHECK(infer(FAKE_INT8, HIL_ENC_FLOAT32, floats, sizeof floats));
  check_result(from_floats, 3);
}

static int infer_packed(uint8_t model, uint8_t encoding, const void *packed, uint32_t length) {
  uint8_t payload[64];

  payload[0] = model;
  payload[1] = encoding | HIL_ENC_PACKED;
  memcpy(payload + 2, packed, length);
  return ask(HIL_MSG_INFER, 42, payload, length + 2);
}

static void packed_inputs_are_unpacked(void) {
  static const uint8_t white[2] = {0xFD, 255};
  static const uint8_t pixels[5] = {3, 0, 128, 255, 7};
  static const uint8_t long_run[2] = {0xFC, 255};
  static const uint8_t floats[2] = {0xFD, 0x40}; /* the other three are zero */
  static const int8_t from_black[3] = {-128, -128, 0};
  static const int8_t from_white[3] = {127, 127, 0};
  static const int8_t from_pixels[3] = {-128, -121, (int8_t)(0x80 ^ 0x00 ^ 0x7F ^ 0x87)};
  static const float from_floats[4] = {0.0f, 0.0f, 0.0f, 0x1.808080p+1f};

  fake_boot(0);
  CHECK(infer_packed(FAKE_INT8, HIL_ENC_PIXELS, white, sizeof white));
  check_result(from_white, 3);
  CHECK(infer_packed(FAKE_INT8, HIL_ENC_PIXELS, pixels, sizeof pixels));
  check_result(from_pixels, 3);
  CHECK(infer_packed(FAKE_INT8, HIL_ENC_PIXELS, white, 0)); /* trailing zeros are left out */
  check_result(from_black, 3);
  CHECK(infer_packed(FAKE_FLOAT32, HIL_ENC_FLOAT32, floats, sizeof floats));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, reply.header.type);
  CHECK(memcmp(reply.payload + sizeof(hil_result_t), from_floats, 16) == 0);
  CHECK(infer_packed(FAKE_INT8, HIL_ENC_PIXELS, pixels, 4)); /* ends too early */
  check_error(HIL_ERR_LENGTH, HIL_MSG_INFER, 42, 6, 7);
  CHECK(infer_packed(FAKE_INT8, HIL_ENC_PIXELS, long_run, sizeof long_run));
  check_error(HIL_ERR_LENGTH, HIL_MSG_INFER, 42, 6, 7);
  CHECK(infer_packed(FAKE_INT8, 0, white, sizeof white));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_PACKED, 0);
  CHECK(fake_guards_stand());
}

static void int8_takes_nan_and_infinity(void) {
  static const float floats[4] = {NAN, INFINITY, -INFINITY, 3e38f};
  static const int8_t wanted[3] = {-128, 127, (int8_t)(0x80 ^ 0x7F ^ 0x80 ^ 0x7F)};

  fake_boot(0);
  CHECK(infer(FAKE_INT8, HIL_ENC_FLOAT32, floats, sizeof floats));
  check_result(wanted, 3);
  CHECK(infer(FAKE_BROKEN, HIL_ENC_FLOAT32, floats, sizeof floats[0])); /* zero point 0 */
  CHECK_EQUAL(0x80, *hil_input_of(&fake.session));
}

static void float32_takes_pixels_and_floats(void) {
  static const uint8_t pixels[4] = {0, 51, 255, 1};
  static const float from_pixels[4] = {1.0f / 255.0f, 1.0f, 51.0f / 255.0f, 0.0f};
  static const float floats[4] = {1.5f, -0.0f, 3e38f, -2.25f};
  static const float from_floats[4] = {-2.25f, 3e38f, -0.0f, 1.5f};

  fake_boot(0);
  CHECK(infer(FAKE_FLOAT32, HIL_ENC_PIXELS, pixels, sizeof pixels));
  check_result(from_pixels, 16);
  CHECK(infer(FAKE_FLOAT32, HIL_ENC_FLOAT32, floats, sizeof floats));
  check_result(from_floats, 16);
  CHECK(infer(FAKE_FLOAT32, HIL_ENC_INT8, floats, 4));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_INT8, 0);
}

static void switching_models_prepares_them_again(void) {
  static const uint8_t pixels[4] = {9, 9, 9, 9};
  int round;

  fake_boot(0);
  for (round = 0; round < 4; round++) { /* the fake fails if another model was prepared last */
    CHECK(infer((uint8_t)(round % 2), HIL_ENC_PIXELS, pixels, sizeof pixels));
    CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, reply.header.type);
    CHECK(infer(FAKE_GREEDY, HIL_ENC_PIXELS, pixels, 1));
    CHECK_EQUAL(HIL_MSG_ERROR, reply.header.type);
  }
}

static void a_model_that_failed_is_prepared_again(void) {
  static const uint8_t byte[1] = {0};
  const hil_model_t *const broken = &hil_models[FAKE_BROKEN];
  int round;

  fake_boot(0);
  for (round = 0; round < 2; round++) {
    memset(fake_arena, 0, sizeof broken);
    CHECK(infer(FAKE_BROKEN, HIL_ENC_INT8, byte, 1));
    CHECK_EQUAL(HIL_MSG_ERROR, reply.header.type);
    CHECK(memcmp(fake_arena, &broken, sizeof broken) == 0); /* what the fake's prepare stores */
  }
}

static void wrong_requests_get_their_error(void) {
  static const uint8_t bytes[64] = {0};

  fake_boot(0);
  CHECK(ask(0x7E, 11, "", 0));
  check_error(HIL_ERR_TYPE, 0x7E, 11, 0, 0);
  CHECK(ask(HIL_MSG_LAYERS, 11, bytes, 12)); /* built without HIL_LAYERS */
  check_error(HIL_ERR_TYPE, HIL_MSG_LAYERS, 11, 0, 0);
  CHECK(ask(HIL_MSG_PROFILE, 12, bytes, 8));
  check_error(HIL_ERR_TYPE, HIL_MSG_PROFILE, 12, 0, 0);
  CHECK(ask(HIL_MSG_REPLY | HIL_MSG_HELLO, 12, "", 0));
  check_error(HIL_ERR_TYPE, 0x81, 12, 0, 0);
  CHECK(ask(HIL_MSG_HELLO, 13, bytes, 1));
  check_error(HIL_ERR_LENGTH, HIL_MSG_HELLO, 13, 0, 1);
  CHECK(ask(HIL_MSG_STATUS, 14, bytes, 0));
  check_error(HIL_ERR_LENGTH, HIL_MSG_STATUS, 14, 1, 0);
  CHECK(ask(HIL_MSG_STATUS, 14, bytes, 2));
  check_error(HIL_ERR_LENGTH, HIL_MSG_STATUS, 14, 1, 2);
  CHECK(ask(HIL_MSG_INFER, 15, bytes, 3));
  check_error(HIL_ERR_LENGTH, HIL_MSG_INFER, 15, 4, 3);
  CHECK(infer(HIL_MODEL_COUNT, HIL_ENC_PIXELS, bytes, 4));
  check_error(HIL_ERR_MODEL, HIL_MSG_INFER, 42, HIL_MODEL_COUNT, HIL_MODEL_COUNT);
  CHECK(infer(255, HIL_ENC_PIXELS, bytes, 4));
  check_error(HIL_ERR_MODEL, HIL_MSG_INFER, 42, 255, HIL_MODEL_COUNT);
  CHECK(infer(FAKE_INT8, 0, bytes, 4));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, 0, 0);
  CHECK(infer(FAKE_INT8, 5, bytes, 4));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, 5, 0);
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, bytes, 3));
  check_error(HIL_ERR_LENGTH, HIL_MSG_INFER, 42, 8, 7);
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, bytes, 5));
  check_error(HIL_ERR_LENGTH, HIL_MSG_INFER, 42, 8, 9);
  CHECK(infer(FAKE_FLOAT32, HIL_ENC_FLOAT32, bytes, 4));
  check_error(HIL_ERR_LENGTH, HIL_MSG_INFER, 42, 20, 8);
  CHECK(infer(FAKE_GREEDY, HIL_ENC_INT8, bytes, 1));
  check_error(HIL_ERR_ARENA, HIL_MSG_INFER, 42, FAKE_GREEDY_ARENA, HIL_ARENA_BYTES);
  CHECK(infer(FAKE_BROKEN, HIL_ENC_INT8, bytes, 1));
  check_error(HIL_ERR_ENGINE, HIL_MSG_INFER, 42, FAKE_BROKEN_CODE, 0);
  CHECK(ask(HIL_MSG_INFER, 16, bytes, FAKE_MAX_PAYLOAD + 1));
  check_error(HIL_ERR_OVERSIZE, 0, 0, 0, FAKE_MAX_PAYLOAD);
  CHECK(fake_guards_stand());
}

static void another_version_gets_ours(void) {
  static const uint8_t hello_v2[] = {2, HIL_MSG_HELLO, 7, 0};
  hil_encoder_t encoder;

  fake_boot(0);
  /* The encoder holds a header without a zero in its block: discard it and put another. */
  hil_encoder_begin(&encoder, fake_feed, NULL, HIL_MSG_HELLO, 0x0101);
  encoder.crc = 0;
  encoder.used = 0;
  hil_encoder_put(&encoder, hello_v2, sizeof hello_v2);
  hil_encoder_end(&encoder);
  CHECK(read_reply());
  check_error(HIL_ERR_VERSION, HIL_MSG_HELLO, 7, 2, HIL_PROTOCOL_VERSION);
}

static void noise_gets_one_error(void) {
  fake_boot(0);
  fake_feed(NULL, (const uint8_t *)"m-ready\r\n\0\0", 11);
  CHECK(read_reply());
  check_error(HIL_ERR_FRAME, 0, 0, 0, 0);
  CHECK(ask(HIL_MSG_HELLO, 3, "", 0));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_HELLO, reply.header.type);
  CHECK_EQUAL(3, reply.header.seq);
}

static void counters_count_and_reset(void) {
  static const uint8_t reset = HIL_STATUS_RESET, keep = 0;
  static const uint8_t pixels[4] = {0};
  hil_status_t status;

  fake_boot(0);
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, pixels, 4));
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, pixels, 3));
  fake_feed(NULL, (const uint8_t *)"?\0", 2);
  CHECK(ask(HIL_MSG_STATUS, 5, &reset, 1));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_STATUS, reply.header.type);
  CHECK_EQUAL(sizeof status, reply.payload_length);
  memcpy(&status, reply.payload, sizeof status);
  CHECK_EQUAL(12345, status.ram_static);
  CHECK_EQUAL(678, status.stack_used);
  CHECK_EQUAL(65536, status.stack_size);
  CHECK_EQUAL(3, status.frames_ok);
  CHECK_EQUAL(1, status.frames_bad);
  CHECK_EQUAL(1, status.inferences);
  CHECK_EQUAL(2, status.errors);
  CHECK_EQUAL(1, fake.marks_reset);
  CHECK(ask(HIL_MSG_STATUS, 6, &keep, 1));
  memcpy(&status, reply.payload, sizeof status);
  CHECK_EQUAL(1, status.frames_ok);
  CHECK_EQUAL(0, status.frames_bad + status.inferences + status.errors);
  CHECK_EQUAL(1, fake.marks_reset);
}

static void the_watchdog_is_fed_before_every_inference(void) {
  static const uint8_t pixels[4] = {0};
  uint32_t before;

  fake_boot(0);
  before = fake.fed;
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, pixels, 4));
  CHECK_EQUAL(before + 1, fake.fed);
#if HIL_MLPERF
  fake_feed(NULL, (const uint8_t *)"db load 4%db 00000000%infer 20 3%", 33);
  CHECK_EQUAL(before + 24, fake.fed);
  fake.reply_length = 0;
  fake_feed(NULL, (const uint8_t *)"infer 1000001 0%", 16);
  CHECK(memcmp(fake.reply, "e-[Inference iterations and warmup must be <=1000000]", 53) == 0);
  CHECK_EQUAL(before + 24, fake.fed);
#endif
}

static uint32_t ticks_of_an_inference(uint32_t overhead, uint32_t measured) {
  static const uint8_t pixels[4] = {0};
  hil_result_t result;

  fake_boot(overhead);
  fake_ticks = measured;
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, pixels, 4));
  memcpy(&result, reply.payload, sizeof result);
  CHECK_EQUAL(HIL_INT8, result.dtype);
  CHECK_EQUAL(0, result.micros);
  return result.ticks;
}

static void the_marker_pin_is_high_during_an_inference(void) {
  static const uint8_t black[4] = {0};

  fake_boot(0);
  fake.edges = 0;
  CHECK(infer(FAKE_INT8, HIL_ENC_PIXELS, black, sizeof black));
  CHECK_EQUAL(2, fake.edges);
  CHECK_EQUAL(0, fake.marked);
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  CHECK(ask(HIL_MSG_CLOCK, 2, "", 0));
  CHECK_EQUAL(2, fake.edges);
}

static void the_stopwatchs_overhead_is_subtracted(void) {
  CHECK_EQUAL(900, ticks_of_an_inference(100, 1000));
  CHECK_EQUAL(0, ticks_of_an_inference(100, 100));
  CHECK_EQUAL(0, ticks_of_an_inference(100, 99));
  CHECK_EQUAL(HIL_TICKS_WRAPPED, ticks_of_an_inference(100, HIL_TICKS_WRAPPED));
  CHECK_EQUAL(1000, ticks_of_an_inference(HIL_TICKS_WRAPPED, 1000));
}

static hil_clock_t clock_of(uint32_t ticks_more) {
  hil_clock_t found;

  fake_boot(0);
  fake_ticks_more = ticks_more;
  memset(&found, 0xFF, sizeof found);
  CHECK(ask(HIL_MSG_CLOCK, 23, "", 0));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_CLOCK, reply.header.type);
  CHECK_EQUAL(sizeof found, reply.payload_length);
  memcpy(&found, reply.payload, sizeof found);
  return found;
}

static void the_smallest_step_of_the_clock_is_reported(void) {
  hil_clock_t found = clock_of(240);

  CHECK_EQUAL(240, found.ticks);
  CHECK_EQUAL(0, found.micros);
  CHECK_EQUAL(17, found.reads);
  found = clock_of(0); /* a clock that does not move ends the wait */
  CHECK_EQUAL(0, found.ticks);
  CHECK(found.reads > 17);
  fake_boot(0);
  fake_now_more = 100; /* the wait ends after 500 ms */
  CHECK(ask(HIL_MSG_CLOCK, 23, "", 0));
  memcpy(&found, reply.payload, sizeof found);
  CHECK_EQUAL(6, found.reads);
  CHECK(ask(HIL_MSG_CLOCK, 24, "?", 1));
  check_error(HIL_ERR_LENGTH, HIL_MSG_CLOCK, 24, 0, 1);
}

int main(void) {
  RUN(hello_is_golden);
  RUN(a_long_text_is_cut_between_characters);
  RUN(int8_takes_all_three_encodings);
  RUN(packed_inputs_are_unpacked);
  RUN(int8_takes_nan_and_infinity);
  RUN(float32_takes_pixels_and_floats);
  RUN(switching_models_prepares_them_again);
  RUN(a_model_that_failed_is_prepared_again);
  RUN(wrong_requests_get_their_error);
  RUN(another_version_gets_ours);
  RUN(noise_gets_one_error);
  RUN(counters_count_and_reset);
  RUN(the_watchdog_is_fed_before_every_inference);
  RUN(the_marker_pin_is_high_during_an_inference);
  RUN(the_stopwatchs_overhead_is_subtracted);
  RUN(the_smallest_step_of_the_clock_is_reported);
  return FINISH();
}

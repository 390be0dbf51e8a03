/* SPDX-License-Identifier: Apache-2.0 */
/* hil_device.h: a sketch's callback behind the wire, and what becomes of a bad one. */
#include "asking.h"
#include "golden.h"
#include "hil_device.h"

enum { INPUTS = 4, OUTPUTS = 3 };

static hil_device_t device;
static hil_device_config_t config;
static HIL_DEVICE_ALIGNED uint8_t rx[HIL_DEVICE_RX_BYTES(INPUTS, float)];
static HIL_DEVICE_ALIGNED uint8_t out[HIL_DEVICE_OUT_BYTES(OUTPUTS, float)];
static uint32_t us, ticks;
static uint32_t us_more, ticks_more; /* what one inference takes */

static uint32_t now_us(void) { return us; }

static uint32_t now_ticks(void) { return ticks; }

/* ---- Callbacks. Each takes time, so that the stopwatch has something to measure. */
static void take_time(void) {
  us += us_more;
  ticks += ticks_more;
}

/* Outputs: the last, the third and the second input. */
static bool bytes_reversed(const uint8_t *in, uint8_t *to) {
  uint8_t i;

  take_time();
  for (i = 0; i < OUTPUTS; i++) {
    to[i] = in[INPUTS - 1 - i];
  }
  return true;
}
HIL_PREDICT(reverse_bytes, uint8_t, uint8_t, bytes_reversed)

static bool floats_reversed(const float *in, float *to) {
  uint8_t i;

  for (i = 0; i < OUTPUTS; i++) {
    to[i] = in[INPUTS - 1 - i];
  }
  return true;
}
HIL_PREDICT(reverse_floats, float, float, floats_reversed)

static bool refuse(void *context, const void *in, void *to) {
  (void)context;
  (void)in;
  memset(to, 0x11, OUTPUTS);
  return false;
}

/* Writes `*context` bytes beyond the output, or before it if that is negative. */
static bool write_outside(void *context, const void *in, void *to) {
  const int bytes = *(const int *)context;
  uint8_t *const first = (uint8_t *)to;

  (void)in;
  memset(first, 0, OUTPUTS);
  if (bytes < 0) {
    memset(first + bytes, 0, (size_t)-bytes);
  } else {
    memset(first + OUTPUTS, 0, (size_t)bytes);
  }
  return true;
}

static bool write_outside_and_refuse(void *context, const void *in, void *to) {
  (void)context;
  (void)in;
  memset(to, 0, OUTPUTS + 1);
  return false;
}

static bool leave_out_the_last(void *context, const void *in, void *to) {
  (void)context;
  memcpy(to, in, OUTPUTS - 1);
  return true;
}

/* Overwrites its input, and what follows it in the receive buffer. */
static bool clobber_input(void *context, const void *in, void *to) {
  uint8_t *const first = (uint8_t *)(uintptr_t)in;

  (void)context;
  memcpy(to, in, OUTPUTS);
  memset(first - 8, 0, (size_t)(rx + sizeof rx - (first - 8)));
  return true;
}

static const golden_frame_t *golden(const char *name) {
  size_t i;

  for (i = 0; i < COUNT_OF(golden_frames); i++) {
    if (strcmp(golden_frames[i].name, name) == 0) {
      return &golden_frames[i];
    }
  }
  CHECK(0 && "a golden frame of that name");
  return &golden_frames[0];
}

static size_t given; /* what read() has returned */

static size_t read_hello(uint8_t *data, size_t limit) {
  const golden_frame_t *const asks = golden("hello request");
  const size_t rest = asks->encoded_length - given;
  const size_t count = rest < limit ? rest : limit;

  memcpy(data, asks->encoded + given, count);
  given += count;
  return count;
}

/* ---- The device. */
static void configure(uint8_t input, uint8_t output, hil_predict_t predict) {
  memset(&config, 0, sizeof config);
  config.name = "a sketch";
  config.version = "1";
  config.input.dtype = input;
  config.input.rank = 1;
  config.input.dims[0] = INPUTS;
  config.output.dtype = output;
  config.output.rank = 1;
  config.output.dims[0] = OUTPUTS;
  config.predict = predict;
  config.rx = rx;
  config.rx_size = sizeof rx;
  config.out = out;
  config.out_size = sizeof out;
  config.read = read_hello;
  config.write = fake_write;
  config.write_context = &fake;
}

static bool start(void) {
  fake_session = &device.session;
  us = ticks = us_more = ticks_more = 0;
  return hil_device_init(&device, &config);
}

static void boot(uint8_t input, uint8_t output, hil_predict_t predict) {
  configure(input, output, predict);
  CHECK(start());
}

/* Whether the device answers the golden `request` with the golden `reply`. */
static void check_golden(const char *request, const char *reply_name) {
  const golden_frame_t *const asks = golden(request);
  const golden_frame_t *const wanted = golden(reply_name);

  fake.reply_length = 0;
  fake_feed(NULL, (const uint8_t *)asks->encoded, asks->encoded_length);
  CHECK_EQUAL(wanted->encoded_length, fake.reply_length);
  CHECK(memcmp(wanted->encoded, fake.reply, wanted->encoded_length) == 0);
}

static const uint8_t PIXELS[INPUTS] = {0, 128, 255, 7};

static void hello_and_result_of_raw_bytes_are_golden(void) {
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.name =
      "reads raw bytes of a picture, \u00e9t\u00e9 2026"; /* byte 31 is inside of a character */
  config.version = "1.2-rc3+build.2026-07\u00e9";         /* and so is byte 63 of both */
  config.input.rank = 3;
  config.input.dims[0] = 2;
  config.input.dims[1] = 2;
  config.input.dims[2] = 1;
  config.input.scale = 0.5f;
  config.input.zero_point = 7;
  config.rx_size = HIL_DEVICE_RX_BYTES(INPUTS, uint8_t);
  config.board = "bench";
  config.toolchain = "none";
  config.micros = now_us;
  config.ticks = now_ticks;
  config.tick_hz = 48000000u;
  CHECK(start());
  CHECK(ask(HIL_MSG_HELLO, 40, "", 0));
  CHECK_EQUAL(golden("hello reply of a sketch")->encoded_length, fake.reply_length);
  CHECK(memcmp(golden("hello reply of a sketch")->encoded, fake.reply, fake.reply_length) == 0);
  us_more = 250;
  ticks_more = 12000;
  check_golden("infer raw bytes", "result uint8");
}

static void bad_callbacks_are_golden_errors(void) {
  int beyond = 1, before = -1;

  boot(HIL_UINT8, HIL_UINT8, refuse);
  check_golden("infer raw bytes", "error ENGINE of a sketch, predict returned false");
  boot(HIL_UINT8, HIL_UINT8, write_outside);
  config.context = &beyond;
  check_golden("infer raw bytes", "error ENGINE of a sketch, predict wrote past its output");
  config.context = &before;
  check_golden("infer raw bytes", "error ENGINE of a sketch, predict wrote before its output");
}

static void every_byte_of_the_guards_is_watched_and_restored(void) {
  int bytes;

  boot(HIL_UINT8, HIL_UINT8, write_outside);
  config.context = &bytes;
  for (bytes = -(int)HIL_DEVICE_GUARD; bytes <= (int)HIL_DEVICE_GUARD; bytes++) {
    CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
    if (bytes == 0) {
      CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, reply.header.type);
    } else {
      check_error(HIL_ERR_ENGINE, HIL_MSG_INFER, 42,
                  bytes < 0 ? HIL_DEVICE_WROTE_BEFORE : HIL_DEVICE_WROTE_AFTER, 0);
    }
    config.predict = reverse_bytes; /* the next request is not affected */
    CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
    check_result("\x07\xff\x80", OUTPUTS);
    config.predict = write_outside;
  }
}

static void a_write_outside_counts_even_if_predict_gave_up(void) {
  boot(HIL_UINT8, HIL_UINT8, write_outside_and_refuse);
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  check_error(HIL_ERR_ENGINE, HIL_MSG_INFER, 42, HIL_DEVICE_WROTE_AFTER, 0);
}

static void an_output_that_is_left_out_is_not_the_last_answers(void) {
  boot(HIL_UINT8, HIL_UINT8, reverse_bytes);
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  check_result("\x07\xff\x80", OUTPUTS);
  config.predict = leave_out_the_last;
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  check_result("\x00\x80\xff", OUTPUTS); /* 0xFF: nobody wrote it */
}

static void a_clobbered_input_does_not_reach_the_next_request(void) {
  uint8_t round;

  boot(HIL_UINT8, HIL_UINT8, clobber_input);
  for (round = 0; round < 2; round++) {
    CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
    check_result(PIXELS, OUTPUTS);
  }
}

static void raw_bytes_have_one_encoding(void) {
  boot(HIL_UINT8, HIL_UINT8, reverse_bytes);
  CHECK(infer(0, HIL_ENC_INT8, PIXELS, sizeof PIXELS));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_INT8, 0);
  CHECK(infer(0, HIL_ENC_FLOAT32, PIXELS, sizeof PIXELS));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_FLOAT32, 0);
}

static void floats_take_pixels_and_floats(void) {
  static const float floats[INPUTS] = {1.5f, -0.0f, 0.25f, 3.0f};
  static const float reversed[OUTPUTS] = {3.0f, 0.25f, -0.0f};
  static const float scaled[OUTPUTS] = {7.0f / 255.0f, 1.0f, 128.0f / 255.0f};

  boot(HIL_FLOAT32, HIL_FLOAT32, reverse_floats);
  CHECK(infer(0, HIL_ENC_FLOAT32, floats, sizeof floats));
  check_result(reversed, sizeof reversed);
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS)); /* without a function that converts */
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_PIXELS, 0);
  configure(HIL_FLOAT32, HIL_FLOAT32, reverse_floats);
  config.convert = hil_convert_to_float32;
  CHECK(start());
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  check_result(scaled, sizeof scaled);
}

static void int8_takes_all_encodings_and_is_a_pixel_without_a_scale(void) {
  static const float floats[INPUTS] = {-1.0f, 1.0f, 2.0f, 0.25f};

  configure(HIL_INT8, HIL_INT8, reverse_bytes);
  config.convert = hil_convert_to_int8;
  CHECK(start());
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  check_result("\x87\x7f\x00", OUTPUTS);
  CHECK(infer(0, HIL_ENC_INT8, PIXELS, sizeof PIXELS));
  check_result("\x07\xff\x80", OUTPUTS);
  CHECK(infer(0, HIL_ENC_FLOAT32, floats, sizeof floats));
  check_result("\xc0\x7f\x7f", OUTPUTS);
}

/* What is wrong, or nothing: the device then answers, but refuses each inference. */
static void check_contradiction(void) {
  CHECK(!start());
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_HELLO, reply.header.type);
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  CHECK_EQUAL(HIL_MSG_ERROR, reply.header.type);
}

static void a_configuration_that_contradicts_itself_is_refused(void) {
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.input.elements = INPUTS + 1;
  check_contradiction();
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.output.rank = HIL_MAX_RANK + 1;
  check_contradiction();
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.output.rank = 0;
  check_contradiction();
  configure(HIL_UINT8, HIL_UINT8, NULL);
  check_contradiction();
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.out_size = HIL_DEVICE_OUT_BYTES(OUTPUTS, uint8_t) - 1u;
  check_contradiction();
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.rx_size = HIL_DEVICE_RX_BYTES(INPUTS, uint8_t) - 1u;
  CHECK(!start());
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_HELLO, reply.header.type);
  configure(HIL_INT8 + 1, HIL_UINT8, reverse_bytes);
  CHECK(!start());
#ifndef __AVR__
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.out = out + 1;
  config.out_size -= 1;
  check_contradiction();
#endif
}

static void the_receive_buffer_decides_whether_floats_fit(void) {
  configure(HIL_INT8, HIL_UINT8, reverse_bytes);
  CHECK(start());
  CHECK_EQUAL(HIL_REQUEST_HEAD + sizeof(float) * INPUTS, device.session.setup.max_payload);
  config.rx_size--;
  CHECK(start());
  CHECK_EQUAL(HIL_REQUEST_HEAD + INPUTS, device.session.setup.max_payload);
  config.rx_size = HIL_DEVICE_RX_BYTES(INPUTS, int8_t);
  CHECK(start());
  CHECK_EQUAL(HIL_REQUEST_HEAD + INPUTS, device.session.setup.max_payload);
}

static size_t read_nothing(uint8_t *data, size_t limit) {
  (void)data;
  (void)limit;
  CHECK(0 && "a device without a buffer does not read");
  return 0;
}

static void a_device_that_cannot_answer_is_silent(void) {
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.read = read_nothing;
  config.rx_size = HIL_RX_BYTES(0u) - 1u;
  CHECK(!start());
  hil_device_poll(&device);
  config.rx_size = sizeof rx;
  config.write = NULL;
  CHECK(!start());
  hil_device_poll(&device);
}

static void a_counter_that_wrapped_is_found_by_the_slower_clock(void) {
  hil_result_t result;

  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.micros = now_us;
  config.ticks = now_ticks;
  config.tick_hz = 100000000u;
  CHECK(start());
  us_more = 42949672u; /* 2^32 ticks of 10 ns, less what does not make a microsecond */
  ticks_more = 5;
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  memcpy(&result, reply.payload, sizeof result);
  CHECK_EQUAL(42949672u, result.micros);
  CHECK(result.ticks == HIL_TICKS_WRAPPED);
  us_more = 42949671u;
  CHECK(infer(0, HIL_ENC_PIXELS, PIXELS, sizeof PIXELS));
  memcpy(&result, reply.payload, sizeof result);
  CHECK_EQUAL(5, result.ticks);
}

static void poll_reads_and_answers(void) {
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  CHECK(start());
  given = 0;
  fake.reply_length = 0;
  hil_device_poll(&device);
  CHECK(read_reply());
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_HELLO, reply.header.type);
  fake.reply_length = 0;
  hil_device_poll(&device); /* nothing more to read */
  CHECK_EQUAL(0, fake.reply_length);
}

static void memory_and_uptime_are_optional(void) {
  hil_status_t status;

  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  CHECK(start());
  CHECK(ask(HIL_MSG_STATUS, 1, "\x01", 1));
  memcpy(&status, reply.payload, sizeof status);
  CHECK_EQUAL(0, status.stack_size);
  CHECK(status.heap_used == HIL_HEAP_UNKNOWN);
  CHECK_EQUAL(0, status.uptime_ms);
  configure(HIL_UINT8, HIL_UINT8, reverse_bytes);
  config.memory = fake_memory;
  config.reset_marks = fake_reset_marks;
  config.micros = now_us;
  CHECK(start());
  us = 7000;
  fake.marks_reset = 0;
  CHECK(ask(HIL_MSG_STATUS, 1, "\x01", 1));
  memcpy(&status, reply.payload, sizeof status);
  CHECK_EQUAL(65536, status.stack_size);
  CHECK_EQUAL(7, status.uptime_ms);
  CHECK_EQUAL(1, fake.marks_reset);
}

int main(void) {
  RUN(hello_and_result_of_raw_bytes_are_golden);
  RUN(bad_callbacks_are_golden_errors);
  RUN(every_byte_of_the_guards_is_watched_and_restored);
  RUN(a_write_outside_counts_even_if_predict_gave_up);
  RUN(an_output_that_is_left_out_is_not_the_last_answers);
  RUN(a_clobbered_input_does_not_reach_the_next_request);
  RUN(raw_bytes_have_one_encoding);
  RUN(floats_take_pixels_and_floats);
  RUN(int8_takes_all_encodings_and_is_a_pixel_without_a_scale);
  RUN(a_configuration_that_contradicts_itself_is_refused);
  RUN(the_receive_buffer_decides_whether_floats_fit);
  RUN(a_device_that_cannot_answer_is_silent);
  RUN(a_counter_that_wrapped_is_found_by_the_slower_clock);
  RUN(poll_reads_and_answers);
  RUN(memory_and_uptime_are_optional);
  return FINISH();
}

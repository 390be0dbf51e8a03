/* SPDX-License-Identifier: Apache-2.0 */
/* Text commands, and frames between them, with the fake image on a simulated board. */
#include <math.h>
#include <string.h>

#include "asking.h"
#include "golden.h"
#include "hil_session/hil_mlperf.h"
#include "hil_test.h"

static const uint8_t pixels[8] = {FAKE_INT8, HIL_ENC_PIXELS, 0, 0, 1, 2, 3, 4};

/* Sends `length` bytes; the answer is in fake.reply, zero-terminated. */
static void send(const void *bytes, size_t length) {
  fake.reply_length = 0;
  fake_feed(NULL, (const uint8_t *)bytes, length);
  fake.reply[fake.reply_length] = 0;
}

static int says(const char *command, const char *reply) {
  send(command, strlen(command));
  return fake.reply_length == strlen(reply) && memcmp(fake.reply, reply, fake.reply_length) == 0;
}

/* The type of the reply; 0 unless it is exactly one frame. */
static uint8_t replied(void) { return read_reply() ? reply.header.type : 0; }

static uint8_t request(uint8_t type, const void *payload, uint32_t length) {
  return ask(type, 7, payload, length) ? reply.header.type : 0;
}

static void the_dialogue_is_golden(void) {
  size_t i;

  fake_boot(0);
  fake_us = 0;
  for (i = 0; i < COUNT_OF(golden_steps); i++) {
    hil_test_detail = golden_steps[i].name;
    CHECK(says(golden_steps[i].send, golden_steps[i].reply));
  }
  CHECK(fake_guards_stand());
  CHECK(COUNT_OF(golden_steps) > 60);
}

static void every_command_ends_with_m_ready(void) {
  static const char *const commands[] = {"%", "help%", "name%", "profile%", "db print%", "?%"};
  static const char ready[] = "m-ready\r\n";
  size_t i;

  fake_boot(0);
  for (i = 0; i < COUNT_OF(commands); i++) {
    send(commands[i], strlen(commands[i]));
    CHECK(strcmp((char *)fake.reply + fake.reply_length - strlen(ready), ready) == 0);
  }
}

static void frames_and_text_share_the_line(void) {
  static const uint8_t reset = 0;

  fake_boot(0);
  CHECK(says("%", "m-ready\r\n")); /* directly after boot */
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_HELLO, request(HIL_MSG_HELLO, "", 0));
  CHECK(says("%", "m-ready\r\n")); /* after a frame's zero */
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, request(HIL_MSG_INFER, pixels, sizeof pixels));
  CHECK(says("\n%%", "")); /* after a zero, \n starts a frame */
  send("\0", 1);
  CHECK_EQUAL(HIL_MSG_ERROR, replied());
  CHECK(says("%\r\n\r%\n", "m-ready\r\nm-ready\r\n"));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_STATUS, request(HIL_MSG_STATUS, &reset, 1));
  CHECK_EQUAL(1, fake.session.frames_bad);
  CHECK(fake_guards_stand());
}

static void a_zero_inside_text_is_a_damaged_frame(void) {
  fake_boot(0);
  send("db load 4", 9);
  CHECK_EQUAL(0, fake.reply_length);
  send("\0", 1);
  CHECK_EQUAL(HIL_MSG_ERROR, replied());
  CHECK_EQUAL(1, fake.session.frames_bad);
  CHECK(says("%", "m-ready\r\n")); /* the damaged command is discarded */
  CHECK_EQUAL(0, fake.session.mlperf.wanted);
}

static void a_command_that_is_too_long_is_not_executed(void) {
  static const char error[] = "e-[Command of more than 80 characters]\r\nm-ready\r\n";
  char line[400];

  fake_boot(0);
  memset(line, ' ', sizeof line);
  memcpy(line, "db load 4", 9);
  send(line, sizeof line);
  CHECK_EQUAL(0, fake.reply_length);
  CHECK(says("%", error));
  CHECK_EQUAL(0, fake.session.mlperf.wanted);
  CHECK(says("%", "m-ready\r\n"));
}

/* The code of the ERROR for a frame that starts with `first`, after `zeros` zeros. */
static uint8_t error_behind(uint8_t zeros, uint8_t first) {
  static const uint8_t before[3] = {0};
  static uint8_t block[256];
  hil_error_t error;

  fake_boot(0);
  memset(block, 1, sizeof block);
  block[0] = first; /* `first` bytes without a zero exceed the fake image's largest request */
  send(before, zeros);
  CHECK_EQUAL(0, fake.reply_length);
  send(block, first);
  send("\0", 1);
  CHECK_EQUAL(HIL_MSG_ERROR, replied());
  CHECK_EQUAL(1, fake.session.frames_bad);
  memcpy(&error, reply.payload, sizeof error);
  return error.code;
}

static void the_first_byte_decides_the_kind_of_a_block(void) {
  int first;

  for (first = 0x1e; first < 0x100; first++) {
    const int printable = first >= 0x20 && first <= 0x7e && first != HIL_TEXT_END;

    if (first != HIL_TEXT_END) { /* it would be an empty command */
      CHECK_EQUAL(printable ? HIL_ERR_FRAME : HIL_ERR_OVERSIZE, error_behind(0, (uint8_t)first));
      CHECK_EQUAL(printable ? HIL_ERR_FRAME : HIL_ERR_OVERSIZE, error_behind(1, (uint8_t)first));
    }
    CHECK_EQUAL(HIL_ERR_OVERSIZE, error_behind(2, (uint8_t)first));
    CHECK_EQUAL(HIL_ERR_OVERSIZE, error_behind(3, (uint8_t)first));
  }
}

static void a_frame_makes_a_load_invalid(void) {
  static const uint8_t keep = 0;

  fake_boot(0);
  CHECK(says("db load 4%", "m-[Expecting 4 bytes]\r\nm-ready\r\n"));
  CHECK(says("db 01020304%", "m-load-done\r\nm-ready\r\n"));
  send("\0\0\0", 3); /* delimiters alone are not a frame */
  CHECK_EQUAL(4, fake.session.mlperf.got);
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_STATUS, request(HIL_MSG_STATUS, &keep, 1));
  CHECK(says("infer 1 0%", "e-[Input is not loaded: 0 of 0 bytes]\r\nm-ready\r\n"));
  CHECK(says("db print%", "m-ready\r\n"));
  CHECK(says("results%", "e-[There are no results: nothing was inferred]\r\nm-ready\r\n"));
}

static void text_and_frames_infer_the_same(void) {
  fake_boot(0);
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, request(HIL_MSG_INFER, pixels, sizeof pixels));
  send("db load 4%db 01020304%infer 3 2%", 32);
  CHECK_EQUAL((uint8_t)(1 - 128), fake_output[0]);
  CHECK_EQUAL((uint8_t)(4 - 128), fake_output[1]);
  CHECK_EQUAL(6, fake.session.inferences);
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_HELLO,
              request(HIL_MSG_HELLO, "", 0)); /* HELLO reuses the arena */
  send("db load 4%db 01020304%infer%", 28);
  CHECK(strstr((char *)fake.reply, "m-results-[") != NULL);
}

static hil_model_t made;

/* A number in billionths: not every compiler's library supports double. */
typedef int64_t nano_t;
enum { DECIMALS = 9 };
#define NOT_A_NUMBER INT64_MIN

/* Parses the number at `*at` in the format of hil_say_real, and moves `*at` behind it. */
static nano_t number(char **at) {
  nano_t value = 0;
  int decimals;
  char *from = *at;

  if (strncmp(from, "nan", 3) == 0) {
    *at += 3;
    return NOT_A_NUMBER;
  }
  for (from += *from == '-'; *from != '.'; from++) {
    value = 10 * value + (*from - '0');
  }
  from++;
  for (decimals = 0; decimals < DECIMALS; decimals++) {
    value = 10 * value + (*from >= '0' && *from <= '9' ? *from++ - '0' : 0);
  }
  value = **at == '-' ? -value : value;
  *at = from;
  return value;
}

static int near(nano_t found, nano_t wanted, nano_t within) {
  return found - wanted <= within && wanted - found <= within;
}

/* Stores the numbers of the m-results line for the outputs `floats`; returns how many. */
static int results(const float *floats, uint32_t count, nano_t *found) {
  char *at;
  int got = 0;

  made = hil_models[FAKE_FLOAT32];
  made.output.elements = count;
  memcpy(fake_output, floats, 4u * count);
  fake.session.setup.models = &made;
  fake.session.setup.model_count = 1;
  fake.session.mlperf.has_results = 1;
  send("results%", 8);
  at = strchr((char *)fake.reply, '[');
  CHECK(at != NULL);
  while (at != NULL && *at != ']' && got < 4) {
    at++;
    found[got++] = number(&at);
  }
  CHECK(at != NULL && strcmp(at, "]\r\nm-ready\r\n") == 0);
  return got;
}

static void logits_become_probabilities(void) {
  static const float logits[4] = {1.0f, -2.5f, 0.25f, 1.0f};
  static const float huge[4] = {3e38f, -3e38f, 3e38f, -INFINITY};
  static const float rising[4] = {-100.0f, 0.0f, 100.0f, 100.0f};
  static const float with_nan[4] = {0.0f, NAN, 1.0f, 2.0f};
  /* exp(x) / sum of exp, by Python's math.exp */
  static const nano_t wanted[4] = {399590190, 12066578, 188753041, 399590190};
  nano_t found[4];
  int i;

  fake_boot(0);
  CHECK_EQUAL(4, results(logits, 4, found));
  for (i = 0; i < 4; i++) {
    CHECK(near(found[i], wanted[i], 200));
  }
  CHECK_EQUAL(4, results(huge, 4, found)); /* no overflow: the largest is subtracted */
  CHECK(found[0] == 500000000 && found[1] == 0 && found[3] == 0);
  CHECK_EQUAL(4, results(rising, 4, found)); /* the largest is not the first */
  CHECK(found[0] == 0 && found[2] == 500000000 && found[3] == 500000000);
  CHECK_EQUAL(4, results(with_nan, 4, found));
  CHECK(found[0] == NOT_A_NUMBER);
}

static void probabilities_and_a_single_output_are_not_changed(void) {
  static const float softmaxed[4] = {0.125f, 0.625f, 0.25f, 0.0f};
  static const float one[1] = {-1234.0625f};
  static const float two_thirds[1] = {2.0f / 3.0f}; /* 0.66666668653... in float32 */
  nano_t found[4];
  int i;

  fake_boot(0);
  CHECK_EQUAL(1, results(one, 1, found));
  CHECK(near(found[0], -1234062500000, 1));
  CHECK_EQUAL(1, results(two_thirds, 1, found));
  CHECK_EQUAL(666666687, found[0]); /* rounded */
  (void)results(softmaxed, 4, found);
  CHECK(!near(found[0], 125000000, 10000000)); /* not declared as probabilities */
  made.probabilities = 1;
  send("results%", 8);
  CHECK(strcmp((char *)fake.reply,
               "m-results-[0.125000000,0.625000000,0.250000000,0.000000000]\r\nm-ready\r\n") == 0);
  made = hil_models[FAKE_INT8];
  made.probabilities = 1;
  made.output.scale = 1.0f / 256.0f;
  made.output.zero_point = -128;
  for (i = 0; i < 3; i++) {
    fake_output[i] = (uint8_t)(i * 127 - 128);
  }
  send("results%", 8);
  CHECK(strcmp((char *)fake.reply,
               "m-results-[0.000000000,0.496093750,0.992187500]\r\nm-ready\r\n") == 0);
}

static void a_model_that_failed_is_prepared_again(void) {
  const hil_model_t *const broken = &hil_models[FAKE_BROKEN];
  int round;

  fake_boot(0);
  send("model broken%db load 1%db ff%", 29);
  for (round = 0; round < 2; round++) {
    memset(fake_arena, 0, sizeof broken);
    send("infer 1 0%", 10);
    CHECK(strstr((char *)fake.reply, "e-[The engine failed: 7]") != NULL);
    CHECK(memcmp(fake_arena, &broken, sizeof broken) == 0); /* what the fake's prepare stores */
  }
}

static void the_clock_wraps_at_2_to_the_32(void) {
  fake_boot(0);
  fake_us = 0xFFFFFFFFu - 1000u;
  CHECK(says("timestamp%", "m-lap-us-4294967295\r\nm-ready\r\n"));
  CHECK(says("timestamp%", "m-lap-us-999\r\nm-ready\r\n"));
}

static void a_load_without_room_is_refused(void) {
  fake_boot(0);
  fake.session.setup.rx_size = HIL_RX_LEAD + 8 + 4 + 3; /* three bytes for four */
  send("db load 4%", 10);
  CHECK_EQUAL('e', fake.reply[0]);
  fake.session.setup.rx_size++;
  CHECK_EQUAL(0, fake.session.mlperf.wanted);
  CHECK(says("db load 4%", "m-[Expecting 4 bytes]\r\nm-ready\r\n"));
  fake.session.setup.rx_size = 0;
  send("db load 4%", 10);
  CHECK_EQUAL('e', fake.reply[0]);
}

static void the_marker_pin_is_high_during_the_timed_inferences(void) {
  fake_boot(0);
  fake_us = 0;
  send("db load 4%db 00000000%", 22);
  fake.edges = 0;
  CHECK(says("timestamp%", "m-lap-us-1000\r\nm-ready\r\n"));
  CHECK_EQUAL(0, fake.edges);
  send("infer 5 3%", 10);
  CHECK_EQUAL(2, fake.edges);
  CHECK_EQUAL(0, fake.marked);
}

static void the_boot_message_is_off_by_default(void) {
  fake_boot(0);
  CHECK_EQUAL(0, fake.reply_length); /* not by default */
  fake_us = 41000;
  hil_mlperf_boot(&fake.session);
  fake.reply[fake.reply_length] = 0;
  CHECK(strcmp((char *)fake.reply,
               "m-timestamp-mode-performance\r\nm-lap-us-42000\r\nm-init-done\r\nm-ready\r\n") ==
        0);
}

/* Only frames prove a new rate: after the trial, a byte of text ends it too. */
static void text_does_not_prove_a_rate(void) {
  static const uint32_t rate = 921600;

  fake_boot(0);
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_BAUD, request(HIL_MSG_BAUD, &rate, sizeof rate));
  CHECK(says("name", ""));
  CHECK_EQUAL(921600, fake.baud);
  fake_now += 1000;
  CHECK(says("s", ""));
  CHECK_EQUAL(0, fake.baud);
}

int main(void) {
  RUN(the_dialogue_is_golden);
  RUN(every_command_ends_with_m_ready);
  RUN(the_marker_pin_is_high_during_the_timed_inferences);
  RUN(frames_and_text_share_the_line);
  RUN(a_zero_inside_text_is_a_damaged_frame);
  RUN(a_command_that_is_too_long_is_not_executed);
  RUN(the_first_byte_decides_the_kind_of_a_block);
  RUN(a_frame_makes_a_load_invalid);
  RUN(text_and_frames_infer_the_same);
  RUN(logits_become_probabilities);
  RUN(probabilities_and_a_single_output_are_not_changed);
  RUN(a_model_that_failed_is_prepared_again);
  RUN(the_clock_wraps_at_2_to_the_32);
  RUN(a_load_without_room_is_refused);
  RUN(the_boot_message_is_off_by_default);
  RUN(text_does_not_prove_a_rate);
  return FINISH();
}

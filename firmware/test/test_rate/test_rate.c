/* SPDX-License-Identifier: Apache-2.0 */
/* The line's rate: it changes after the reply, and goes back when frames fail. */
#include "asking.h"
#include "hil_session/hil_session.h" /* for PlatformIO, which finds libraries by this file's includes */

static int ask_baud(uint32_t baud) { return ask(HIL_MSG_BAUD, 21, &baud, sizeof baud); }

static void rate_changes_after_the_reply(void) {
  uint32_t rate = 0;

  fake_boot(0);
  CHECK(ask_baud(921600));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_BAUD, reply.header.type);
  CHECK_EQUAL(21, reply.header.seq);
  CHECK_EQUAL(sizeof rate, reply.payload_length);
  memcpy(&rate, reply.payload, sizeof rate);
  CHECK_EQUAL(921600, rate);
  CHECK_EQUAL(921600, fake.baud);
  CHECK_EQUAL(fake.reply_length, fake.reply_at_baud);
  CHECK(ask_baud(0));
  CHECK_EQUAL(0, fake.baud);
}

static void a_rate_that_the_line_does_not_support_is_refused(void) {
  static const uint8_t bytes[5] = {0};

  fake_boot(0);
  CHECK(ask_baud(2000001));
  check_error(HIL_ERR_BAUD, HIL_MSG_BAUD, 21, 2000001, 0);
  CHECK(ask(HIL_MSG_BAUD, 22, bytes, 3));
  check_error(HIL_ERR_LENGTH, HIL_MSG_BAUD, 22, 4, 3);
  CHECK(ask(HIL_MSG_BAUD, 22, bytes, 5));
  check_error(HIL_ERR_LENGTH, HIL_MSG_BAUD, 22, 4, 5);
  CHECK_EQUAL(0, fake.baud);
  fake.session.setup.set_baud = NULL;
  CHECK(ask_baud(921600));
  check_error(HIL_ERR_TYPE, HIL_MSG_BAUD, 21, 0, 0);
}

static void feed_bad_frames(int count) {
  while (count-- > 0) {
    fake_feed(NULL, (const uint8_t *)"?\0", 2);
  }
}

static void bad_frames_end_a_rate(void) {
  fake_boot(0);
  CHECK(ask_baud(921600));
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  feed_bad_frames(3);
  CHECK_EQUAL(921600, fake.baud);
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0)); /* a good frame resets the count */
  feed_bad_frames(3);
  CHECK_EQUAL(921600, fake.baud);
  feed_bad_frames(1);
  CHECK_EQUAL(0, fake.baud);
  feed_bad_frames(9);
  CHECK(ask(HIL_MSG_HELLO, 2, "", 0));
}

static void a_rate_without_a_good_frame_ends_in_time(void) {
  fake_boot(0);
  fake_now = 0xFFFFFF00u; /* close to a wrap */
  CHECK(ask_baud(921600));
  fake_now += 999;
  fake_feed(NULL, (const uint8_t *)"?", 1);
  CHECK_EQUAL(921600, fake.baud);
  fake_now += 1;
  fake_feed(NULL, (const uint8_t *)"?", 1);
  CHECK_EQUAL(0, fake.baud);
  fake_boot(0); /* a proven rate stays, however long the host is silent */
  CHECK(ask_baud(921600));
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  fake_now += 100000;
  CHECK(ask(HIL_MSG_HELLO, 2, "", 0));
  CHECK_EQUAL(921600, fake.baud);
}

/* A line at 2 Mbaud receives only zeros from a host at 115200: no frame that could be bad. */
static void zeros_alone_end_a_rate(void) {
  int count;

  fake_boot(0);
  CHECK(ask_baud(2000000));
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  for (count = 1; count < 32; count++) {
    fake_feed(NULL, (const uint8_t *)"\0", 1);
    CHECK_EQUAL(2000000, fake.baud);
  }
  fake_feed(NULL, (const uint8_t *)"\0", 1);
  CHECK_EQUAL(0, fake.baud);
  CHECK(ask_baud(2000000)); /* a few zeros before each frame are harmless */
  for (count = 0; count < 20; count++) {
    fake_feed(NULL, (const uint8_t *)"\0\0\0", 3);
    CHECK(ask(HIL_MSG_HELLO, 2, "", 0));
  }
  CHECK_EQUAL(2000000, fake.baud);
}

int main(void) {
  RUN(rate_changes_after_the_reply);
  RUN(a_rate_that_the_line_does_not_support_is_refused);
  RUN(bad_frames_end_a_rate);
  RUN(a_rate_without_a_good_frame_ends_in_time);
  RUN(zeros_alone_end_a_rate);
  return FINISH();
}

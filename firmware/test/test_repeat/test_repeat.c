/* SPDX-License-Identifier: Apache-2.0 */
/* REPEAT: one inference many times between two edges of the marker pin. */
#include "asking.h"
#include "golden.h"
#include "hil_session/hil_repeat.h"
#include "hil_session/hil_replies.h"
#include "hil_session/hil_session.h" /* for PlatformIO, which finds libraries by this file's includes */

static const uint8_t pixels[4] = {0, 128, 255, 7};
static hil_repeated_t total; /* of the last reply */

/* Repeats the inference of `pixels`; returns 0 unless the reply is its result. */
static int repeat(uint8_t model, uint16_t count) {
  const hil_infer_t head = {model, HIL_ENC_PIXELS, count};
  uint8_t payload[sizeof head + sizeof pixels];

  memcpy(payload, &head, sizeof head);
  memcpy(payload + sizeof head, pixels, sizeof pixels);
  CHECK(ask(HIL_MSG_REPEAT, 40, payload, sizeof payload));
  if (reply.header.type != (HIL_MSG_REPLY | HIL_MSG_REPEAT)) {
    return 0;
  }
  memcpy(&total, reply.payload, sizeof total);
  CHECK_EQUAL(asked, total.check);
  return 1;
}

static const golden_frame_t *golden(const char *name) {
  size_t i;

  for (i = 0; i < COUNT_OF(golden_frames); i++) {
    if (strcmp(golden_frames[i].name, name) == 0) {
      return &golden_frames[i];
    }
  }
  CHECK(0);
  return golden_frames;
}

static void feed_golden(const char *name) {
  const golden_frame_t *frame = golden(name);

  fake.reply_length = 0;
  fake_feed(NULL, (const uint8_t *)frame->encoded, frame->encoded_length);
  CHECK(read_reply());
}

static void is_golden(const char *name) {
  CHECK_EQUAL(golden(name)->encoded_length, fake.reply_length);
  CHECK(memcmp(golden(name)->encoded, fake.reply, fake.reply_length) == 0);
}

static void request_and_replies_are_golden(void) {
  fake_boot(0);
  feed_golden("repeat request");
  memcpy(&total, reply.payload, sizeof total);
  CHECK_EQUAL(1000, total.count);
  total.micros = 5000000000u;
  total.ticks = 1200000000000u;
  fake.reply_length = 0;
  hil_reply_repeated(&fake.session, &total);
  is_golden("repeat reply");
  total.count = 7;
  total.micros = 0;
  total.ticks = HIL_TOTAL_WRAPPED;
  fake.reply_length = 0;
  hil_reply_repeated(&fake.session, &total);
  is_golden("repeat reply, stopped early, the tick counter wrapped");
}

static void all_inferences_are_between_two_edges(void) {
  fake_boot(5);
  fake.edges = 0;
  fake.fed = 0;
  fake_ticks = 1000005; /* 40 ms, whatever a reading is of */
  CHECK(repeat(FAKE_INT8, 1000));
  CHECK_EQUAL(2, fake.edges);
  CHECK_EQUAL(0, fake.marked);
  CHECK_EQUAL(1000, total.count);
  CHECK_EQUAL(0, total.micros);
  /* one alone, then eight at a time: 320 ms, and sixteen would be more than half a second */
  CHECK(total.ticks == 126u * 1000000ull);
  CHECK_EQUAL(126, fake.fed);
  CHECK_EQUAL(1000, fake.session.inferences);
  CHECK_EQUAL(sizeof total + 3, reply.payload_length);
  CHECK_EQUAL(0x87, reply.payload[sizeof total + 1]);
  CHECK(fake_guards_stand());
}

static void ticks_do_not_overflow(void) {
  fake_boot(0);
  fake_ticks = 0xFFFFFFFEu;
  CHECK(repeat(FAKE_INT8, 65535));
  CHECK_EQUAL(65535, total.count);
  CHECK(total.ticks == 65535ull * 0xFFFFFFFEu);
  fake_ticks_more = 1; /* the second reading wrapped */
  CHECK(repeat(FAKE_INT8, 3));
  CHECK(total.ticks == HIL_TOTAL_WRAPPED);
}

static void the_board_stops_by_itself(void) {
  fake_boot(0);
  fake_ticks = 25000000; /* one second: each inference is timed alone */
  fake_now_more = 100;
  CHECK(repeat(FAKE_INT8, 1000));
  CHECK_EQUAL(HIL_REPEAT_MS / 100u, total.count);
  CHECK(total.ticks == 25000000ull * total.count);
  CHECK_EQUAL(total.count, fake.session.inferences);
}

static void wrong_requests_get_their_error(void) {
  static const uint8_t packed[6] = {FAKE_INT8, HIL_ENC_PIXELS | HIL_ENC_PACKED, 2, 0, 0xFD, 255};

  fake_boot(0);
  fake.edges = 0;
  CHECK(!repeat(FAKE_INT8, 0));
  check_error(HIL_ERR_REPEAT, HIL_MSG_REPEAT, 40, 0, HIL_REPEAT_MOST);
  CHECK(!repeat(HIL_MODEL_COUNT, 2));
  check_error(HIL_ERR_MODEL, HIL_MSG_REPEAT, 40, HIL_MODEL_COUNT, HIL_MODEL_COUNT);
  CHECK(ask(HIL_MSG_REPEAT, 41, packed, sizeof packed));
  check_error(HIL_ERR_ENCODING, HIL_MSG_REPEAT, 41, HIL_ENC_PIXELS | HIL_ENC_PACKED, 0);
  CHECK(ask(HIL_MSG_REPEAT, 41, packed, 3));
  check_error(HIL_ERR_LENGTH, HIL_MSG_REPEAT, 41, 4, 3);
  CHECK_EQUAL(0, fake.edges);
}

static void an_engine_that_fails_ends_the_window(void) {
  const hil_infer_t head = {FAKE_BROKEN, HIL_ENC_PIXELS, 100};
  uint8_t payload[sizeof head + 1] = {0};

  fake_boot(0);
  memcpy(payload, &head, sizeof head);
  CHECK(ask(HIL_MSG_REPEAT, 40, payload, sizeof payload));
  check_error(HIL_ERR_ENGINE, HIL_MSG_REPEAT, 40, 7, 0);
  CHECK_EQUAL(0, fake.marked);
  CHECK_EQUAL(-1, fake.session.prepared);
  CHECK_EQUAL(0, fake.session.inferences);
}

/* As a sketch may do. */
static hil_engine_status_t overwrite(const hil_model_t *self, const void *input, void *output,
                                     void *arena, uint32_t *needed) {
  (void)self;
  (void)output;
  (void)arena;
  (void)needed;
  ++*(uint8_t *)(uintptr_t)input;
  return HIL_ENGINE_OK;
}

static void an_inference_that_overwrites_its_input_cannot_be_repeated(void) {
  hil_model_t model = hil_models[FAKE_INT8];

  fake_boot(0);
  model.invoke = overwrite;
  fake.session.setup.models = &model;
  fake.session.setup.model_count = 1;
  CHECK(repeat(0, 1));
  CHECK(!repeat(0, 2));
  check_error(HIL_ERR_REPEAT, HIL_MSG_REPEAT, 40, 2, 1);
}

int main(void) {
  RUN(request_and_replies_are_golden);
  RUN(all_inferences_are_between_two_edges);
  RUN(ticks_do_not_overflow);
  RUN(the_board_stops_by_itself);
  RUN(wrong_requests_get_their_error);
  RUN(an_engine_that_fails_ends_the_window);
  RUN(an_inference_that_overwrites_its_input_cannot_be_repeated);
  return FINISH();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Models with several inputs and outputs, and with state. */
#include "asking.h"
#include "fake_more.h"
#include "golden.h"
#include "hil_session/hil_session.h" /* for PlatformIO, which finds libraries by this file's includes */

static int step(uint16_t number, int8_t value) {
  uint8_t payload[5] = {COUNTER, HIL_ENC_INT8, 0, 0, 0};

  memcpy(payload + 2, &number, sizeof number);
  payload[4] = (uint8_t)value;
  return ask(HIL_MSG_INFER, 42, payload, sizeof payload);
}

static int reset_state(uint8_t model) { return ask(HIL_MSG_RESET_STATE, 7, &model, 1); }

static void check_sum(int32_t sum) { check_result(&sum, sizeof sum); }

static void hello_is_golden(void) {
  size_t i, compared = 0;

  fake_boot_more(0);
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0));
  for (i = 0; i < COUNT_OF(golden_frames); i++) {
    if (strcmp(golden_frames[i].name, "hello reply with several tensors and state") == 0) {
      compared++;
      CHECK_EQUAL(golden_frames[i].encoded_length, fake.reply_length);
      CHECK(memcmp(golden_frames[i].encoded, fake.reply, fake.reply_length) == 0);
    }
  }
  CHECK_EQUAL(1, compared);
}

static void several_tensors_are_in_one_buffer(void) {
  static const uint8_t input[8] = {1, 0xFE, 3, 0, 0x00, 0x01, 0xFF, 0xFF}; /* 256, -1 */
  static const uint8_t equal[8] = {1, 2, 3, 0, 7, 0, 7, 0};
  static const uint8_t output[9] = {3, 0xFE, 1, 0, 0xFF, 0, 0, 0, 0};
  static const uint8_t of_equal[9] = {3, 2, 1, 0, 14, 0, 0, 0, 1};

  fake_boot_more(0);
  CHECK(infer(PLAIN, HIL_ENC_INT8, input, 1));
  CHECK(infer(PAIR, HIL_ENC_OWN, input, sizeof input));
  check_result(output, sizeof output);
  CHECK(infer(PAIR, HIL_ENC_OWN, equal, sizeof equal));
  check_result(of_equal, sizeof of_equal);
  CHECK(infer(PAIR, HIL_ENC_OWN, input, 7));
  check_error(HIL_ERR_LENGTH, HIL_MSG_INFER, 42, 12, 11);
  CHECK(infer(PAIR, HIL_ENC_INT8, input, 3));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_INT8, 0);
  CHECK(infer(PAIR, HIL_ENC_PIXELS, input, 3));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_PIXELS, 0);
  CHECK(fake_guards_stand());
}

static void several_tensors_are_unpacked(void) {
  static const uint8_t packed[] = {PAIR, HIL_ENC_OWN | HIL_ENC_PACKED, 0xFE, 9, 0xFC, 0};
  static const uint8_t output[9] = {9, 9, 9, 0, 0, 0, 0, 0, 1};

  fake_boot_more(0);
  CHECK(ask(HIL_MSG_INFER, 42, packed, sizeof packed));
  check_result(output, sizeof output);
}

static void a_single_input_comes_in_its_own_type(void) {
  static const uint8_t long_ints[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

  fake_boot_more(0);
  CHECK(infer(WIDE, HIL_ENC_OWN, long_ints, sizeof long_ints));
  check_result(long_ints, sizeof long_ints);
  CHECK(infer(WIDE, HIL_ENC_PIXELS, long_ints, 2));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_PIXELS, 0);
  CHECK(infer(WIDE, HIL_ENC_FLOAT32, long_ints, 8));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_FLOAT32, 0);
  CHECK(infer(PLAIN, HIL_ENC_OWN, long_ints, 1)); /* of any type */
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, reply.header.type);
}

static void a_state_is_kept_from_step_to_step(void) {
  fake_boot_more(0);
  CHECK(step(0, 3));
  check_sum(3);
  CHECK(step(1, 4));
  check_sum(7);
  CHECK(reset_state(COUNTER));
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_RESET_STATE, reply.header.type);
  CHECK_EQUAL(7, reply.header.seq);
  CHECK_EQUAL(0, reply.payload_length);
  CHECK_EQUAL(1, more_reset);
  CHECK_EQUAL(1, more_prepared);
  CHECK(step(0, 5));
  check_sum(5);
}

static void a_step_that_is_asked_for_again_is_not_computed_again(void) {
  hil_result_t first, again;

  fake_boot_more(0);
  fake_ticks = 100;
  fake_ticks_more = 7;
  CHECK(step(0, 3));
  CHECK(step(1, 4));
  memcpy(&first, reply.payload, sizeof first);
  CHECK(step(1, 4));
  check_sum(7);
  memcpy(&again, reply.payload, sizeof again);
  CHECK_EQUAL(first.ticks, again.ticks);
  CHECK_EQUAL(2, fake.session.inferences);
  CHECK(step(2, 10));
  check_sum(17);
}

static void a_step_out_of_its_turn_is_refused(void) {
  fake_boot_more(0);
  CHECK(step(1, 3));
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 0, 1);
  CHECK(step(0, 3));
  CHECK(step(1, 4));
  CHECK(step(0, 3)); /* the line repeats an old request */
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 2, 0);
  CHECK(step(3, 3));
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 2, 3);
  CHECK(step(1, 5)); /* another input under the same number */
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 2, 1);
  CHECK(step(2, 10));
  check_sum(17);
}

static void the_step_after_65535_is_1(void) {
  uint32_t i;
  int good = 1;

  fake_boot_more(0);
  for (i = 0; i <= 0xFFFFu; i++) {
    good &= step((uint16_t)i, 1);
  }
  CHECK(good);
  check_sum(0x10000);
  CHECK(step(0, 1));
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 1, 0);
  CHECK(step(1, 1));
  check_sum(0x10001);
}

static void whatever_loses_the_state_starts_a_sequence(void) {
  static const uint8_t byte[8] = {0};

  fake_boot_more(0);
  CHECK(step(0, 3));
  CHECK(infer(PLAIN, HIL_ENC_INT8, byte, 1)); /* another model uses the arena */
  CHECK(step(1, 4));
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 0, 1);
  CHECK(step(0, 6));
  check_sum(6);
  CHECK(ask(HIL_MSG_HELLO, 1, "", 0)); /* prepares every model */
  CHECK(step(1, 4));
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 0, 1);
  CHECK(step(0, 2));
  check_sum(2);
  CHECK(step(1, 99));
  check_error(HIL_ERR_ENGINE, HIL_MSG_INFER, 42, 5, 0);
  CHECK(step(1, 99));
  check_error(HIL_ERR_STEP, HIL_MSG_INFER, 42, 0, 1);
}

static void a_packed_step_is_refused(void) {
  static const uint8_t packed[] = {COUNTER, HIL_ENC_INT8 | HIL_ENC_PACKED, 0, 9};

  fake_boot_more(0);
  CHECK(ask(HIL_MSG_INFER, 42, packed, sizeof packed));
  check_error(HIL_ERR_ENCODING, HIL_MSG_INFER, 42, HIL_ENC_INT8 | HIL_ENC_PACKED, 0);
}

static void wrong_resets_get_their_error(void) {
  fake_boot_more(0);
  CHECK(ask(HIL_MSG_RESET_STATE, 7, "", 0));
  check_error(HIL_ERR_LENGTH, HIL_MSG_RESET_STATE, 7, 1, 0);
  CHECK(reset_state(MORE_MODELS));
  check_error(HIL_ERR_MODEL, HIL_MSG_RESET_STATE, 7, MORE_MODELS, MORE_MODELS);
  CHECK(reset_state(PAIR)); /* has no state: there is nothing to forget */
  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_RESET_STATE, reply.header.type);
  CHECK_EQUAL(0, more_reset);
}

#if HIL_MLPERF
static void mlperfs_commands_refuse_them(void) {
  static const char command[] = "model counter%db load 1%";
  static const char refusal[] =
      "e-[Model counter cannot be loaded: these commands are for one input and one output, and no "
      "state]\r\nm-ready\r\n";

  fake_boot_more(0);
  fake.reply_length = 0;
  fake_feed(NULL, (const uint8_t *)command, sizeof command - 1u);
  CHECK(fake.reply_length > sizeof refusal);
  CHECK(memcmp(fake.reply + fake.reply_length - sizeof refusal + 1u, refusal,
               sizeof refusal - 1u) == 0);
}
#endif

static void a_model_with_state_cannot_be_repeated(void) {
  static const uint8_t payload[5] = {2, HIL_ENC_INT8, 3, 0, 5};

  fake_boot_more(0);
  CHECK(ask(HIL_MSG_REPEAT, 7, payload, sizeof payload));
  check_error(HIL_ERR_REPEAT, HIL_MSG_REPEAT, 7, 3, 0);
}

int main(void) {
  RUN(hello_is_golden);
  RUN(several_tensors_are_in_one_buffer);
  RUN(several_tensors_are_unpacked);
  RUN(a_single_input_comes_in_its_own_type);
  RUN(a_state_is_kept_from_step_to_step);
  RUN(a_step_that_is_asked_for_again_is_not_computed_again);
  RUN(a_step_out_of_its_turn_is_refused);
  RUN(the_step_after_65535_is_1);
  RUN(whatever_loses_the_state_starts_a_sequence);
  RUN(a_packed_step_is_refused);
  RUN(wrong_resets_get_their_error);
#if HIL_MLPERF
  RUN(mlperfs_commands_refuse_them);
#endif
  RUN(a_model_with_state_cannot_be_repeated);
  return FINISH();
}

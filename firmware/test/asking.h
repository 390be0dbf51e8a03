/* SPDX-License-Identifier: Apache-2.0 */
/* Sends requests to the fake board and checks its replies. */
#ifndef ASKING_H
#define ASKING_H

#include <string.h>

#include "fake_board.h"
#include "hil_session/hil_session.h"
#include "hil_test.h"

static uint8_t reply_bytes[2048];
static hil_decoder_t reply; /* the last reply */
static uint16_t asked;      /* the low half of the last request's CRC */

/* Decodes the reply to what was just fed; returns 0 unless it is exactly one frame. */
static inline int read_reply(void) {
  uint32_t i;
  int frames = 0, ends = 0;

  hil_decoder_init(&reply, reply_bytes, sizeof reply_bytes);
  for (i = 0; i < fake.reply_length; i++) {
    frames += hil_decoder_push(&reply, fake.reply[i]) == HIL_DECODE_FRAME;
    ends += fake.reply[i] == 0;
  }
  return frames == 1 && ends == 1;
}

static inline int ask(uint8_t type, uint16_t seq, const void *payload, uint32_t length) {
  hil_encoder_t encoder;

  fake.reply_length = 0;
  hil_encoder_begin(&encoder, fake_feed, NULL, type, seq);
  hil_encoder_put(&encoder, payload, length);
  hil_encoder_end(&encoder);
  asked = (uint16_t)encoder.crc;
  return read_reply();
}

static inline int infer(uint8_t model, uint8_t encoding, const void *input, uint32_t length) {
  uint8_t payload[256] = {0};

  payload[0] = model;
  payload[1] = encoding;
  memcpy(payload + 4, input, length);
  return ask(HIL_MSG_INFER, 42, payload, length + 4);
}

static inline void check_error(uint8_t code, uint8_t request, uint16_t seq, uint32_t needed,
                               uint32_t available) {
  hil_error_t error;

  CHECK_EQUAL(HIL_MSG_ERROR, reply.header.type);
  CHECK_EQUAL(HIL_PROTOCOL_VERSION, reply.header.version);
  CHECK_EQUAL(seq, reply.header.seq);
  CHECK_EQUAL(sizeof error, reply.payload_length);
  memcpy(&error, reply.payload, sizeof error);
  CHECK_EQUAL(code, error.code);
  CHECK_EQUAL(request, error.request_type);
  CHECK_EQUAL(0, error.reserved);
  CHECK_EQUAL(needed, error.needed);
  CHECK_EQUAL(available, error.available);
}

static inline void check_result(const void *output, uint32_t length) {
  hil_result_t result;

  CHECK_EQUAL(HIL_MSG_REPLY | HIL_MSG_INFER, reply.header.type);
  CHECK_EQUAL(42, reply.header.seq);
  CHECK_EQUAL(sizeof(hil_result_t) + length, reply.payload_length);
  CHECK(memcmp(output, reply.payload + sizeof(hil_result_t), length) == 0);
  memcpy(&result, reply.payload, sizeof result);
  CHECK_EQUAL(asked, result.check);
}

#endif

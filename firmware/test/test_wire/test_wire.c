/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder and the encoder against the golden vectors of both languages. */
#include <string.h>

#include "golden.h"
#include "hil_test.h"
#include "hil_wire/hil_wire.h"

static uint8_t sent[4096];
static uint32_t sent_length;

static void capture(void *context, const uint8_t *data, size_t length) {
  (void)context;
  CHECK(length >= 1 && length <= 255);
  CHECK(sent_length + length <= sizeof sent);
  if (sent_length + length <= sizeof sent) {
    memcpy(sent + sent_length, data, length);
    sent_length += (uint32_t)length;
  }
}

static void encode(const golden_frame_t *frame, uint32_t piece) {
  hil_encoder_t encoder;
  uint32_t at;

  sent_length = 0;
  hil_encoder_begin(&encoder, capture, NULL, frame->type, frame->seq);
  for (at = 0; at < frame->payload_length; at += piece) {
    const uint32_t rest = frame->payload_length - at;
    hil_encoder_put(&encoder, frame->payload + at, rest < piece ? rest : piece);
  }
  hil_encoder_end(&encoder);
}

static void crc_is_zlibs(void) {
  /* The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms. */
  CHECK_EQUAL(0xCBF43926u, hil_crc32(0, "123456789", 9));
  CHECK_EQUAL(0xCBF43926u, hil_crc32(hil_crc32(0, "1234", 4), "56789", 5));
  CHECK_EQUAL(0, hil_crc32(0, "", 0));
}

static void frames_are_encoded_as_golden(void) {
  static const uint32_t pieces[] = {1, 7, 4096};
  size_t i, p;

  for (i = 0; i < COUNT_OF(golden_frames); i++) {
    hil_test_detail = golden_frames[i].name;
    for (p = 0; p < COUNT_OF(pieces); p++) {
      encode(&golden_frames[i], pieces[p]);
      CHECK_EQUAL(golden_frames[i].encoded_length, sent_length);
      CHECK(memcmp(sent, golden_frames[i].encoded, golden_frames[i].encoded_length) == 0);
    }
  }
}

static void golden_frames_are_decoded(void) {
  static uint8_t buffer[2048];
  hil_decoder_t decoder;
  size_t i;
  uint32_t at;

  hil_decoder_init(&decoder, buffer, sizeof buffer);
  for (i = 0; i < COUNT_OF(golden_frames); i++) {
    const golden_frame_t *frame = &golden_frames[i];
    hil_decode_t last = HIL_DECODE_BAD;

    hil_test_detail = frame->name;
    for (at = 0; at < frame->encoded_length; at++) {
      last = hil_decoder_push(&decoder, (uint8_t)frame->encoded[at]);
      CHECK(at + 1 == frame->encoded_length || last == HIL_DECODE_MORE);
    }
    CHECK_EQUAL(HIL_DECODE_FRAME, last);
    CHECK_EQUAL(HIL_PROTOCOL_VERSION, decoder.header.version);
    CHECK_EQUAL(frame->type, decoder.header.type);
    CHECK_EQUAL(frame->seq, decoder.header.seq);
    CHECK_EQUAL(frame->payload_length, decoder.payload_length);
    CHECK(memcmp(frame->payload, decoder.payload, frame->payload_length) == 0);
  }
}

static void golden_streams_give_their_events(void) {
  static uint8_t guarded[512];
  hil_decoder_t decoder;
  size_t i;
  uint32_t at;

  for (i = 0; i < COUNT_OF(golden_streams); i++) {
    const golden_stream_t *stream = &golden_streams[i];
    const uint32_t capacity = stream->max_payload + HIL_FRAME_OVERHEAD;
    uint32_t seen = 0;

    hil_test_detail = stream->name;
    memset(guarded, 0x77, sizeof guarded);
    hil_decoder_init(&decoder, guarded + 16, capacity);
    for (at = 0; at < stream->length; at++) {
      const hil_decode_t kind = hil_decoder_push(&decoder, (uint8_t)stream->bytes[at]);
      const golden_event_t *wanted = &golden_events[stream->first_event + seen];

      if (kind == HIL_DECODE_MORE) {
        continue;
      }
      CHECK(seen < stream->event_count);
      if (seen++ >= stream->event_count) {
        break;
      }
      CHECK_EQUAL(wanted->kind, kind);
      if (kind == HIL_DECODE_FRAME && wanted->kind == HIL_DECODE_FRAME) {
        CHECK_EQUAL(wanted->version, decoder.header.version);
        CHECK_EQUAL(wanted->type, decoder.header.type);
        CHECK_EQUAL(wanted->seq, decoder.header.seq);
        CHECK_EQUAL(wanted->payload_length, decoder.payload_length);
        CHECK(memcmp(wanted->payload, decoder.payload, wanted->payload_length) == 0);
      }
    }
    CHECK_EQUAL(stream->event_count, seen);
    CHECK(guarded[15] == 0x77 && guarded[16 + capacity] == 0x77);
  }
}

static void golden_packed_bytes_are_unpacked(void) {
  static uint8_t guarded[1024];
  size_t i;

  for (i = 0; i < COUNT_OF(golden_packed); i++) {
    const golden_packed_t *vector = &golden_packed[i];
    uint8_t *const buffer = guarded + 16;
    uint32_t found;

    hil_test_detail = vector->name;
    memset(guarded, 0x77, sizeof guarded);
    memcpy(buffer + vector->size - vector->length, vector->packed, vector->length);
    found = hil_unpack(buffer, vector->size, vector->length, vector->wanted);
    CHECK_EQUAL(!vector->fails, found == vector->wanted);
    CHECK(vector->fails || memcmp(buffer, vector->unpacked, vector->wanted) == 0);
    CHECK(guarded[15] == 0x77 && buffer[vector->size] == 0x77);
  }
}

int main(void) {
  RUN(crc_is_zlibs);
  RUN(frames_are_encoded_as_golden);
  RUN(golden_frames_are_decoded);
  RUN(golden_streams_give_their_events);
  RUN(golden_packed_bytes_are_unpacked);
  return FINISH();
}

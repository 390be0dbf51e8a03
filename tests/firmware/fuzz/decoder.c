/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the decoder with one that sees the whole frame, and the encoder with both. Input:
 * capacity u8, then bytes of a line. */
#include <string.h>

#include "fuzz.h"
#include "hil_wire.h"

enum { GUARD = 16, LONGEST = 4096 };

static uint8_t line[LONGEST * 2];
static size_t sent;

static void keep(void *context, const uint8_t *data, size_t length) {
  (void)context;
  fuzz_expect(length >= 1 && length <= 255 && sent + length <= sizeof line,
              "a write that is not a block");
  memcpy(line + sent, data, length);
  sent += length;
}

/* COBS as published by Cheshire and Baker. Returns the number of bytes, or -1. `code` has no zeros.
 */
static long plainly(const uint8_t *code, size_t length, uint8_t *out) {
  size_t at = 0, done = 0;

  while (at < length) {
    const size_t step = code[at];

    if (at + step > length) {
      return -1;
    }
    memcpy(out + done, code + at + 1, step - 1u);
    done += step - 1u;
    at += step;
    if (step != 255u && at < length) {
      out[done++] = 0;
    }
  }
  return (long)done;
}

static hil_decode_t expected(const uint8_t *code, size_t length, uint32_t capacity, uint8_t *out,
                             long *bytes) {
  const long whole = plainly(code, length, out);
  uint32_t crc;

  *bytes = whole;
  if (length == 0) {
    return HIL_DECODE_MORE;
  }
  if (whole > (long)capacity) {
    return HIL_DECODE_OVERSIZE;
  }
  if (whole < (long)HIL_FRAME_OVERHEAD) {
    return HIL_DECODE_BAD;
  }
  memcpy(&crc, out + whole - 4, sizeof crc);
  return crc == hil_crc32(0, out, (size_t)whole - 4u) ? HIL_DECODE_FRAME : HIL_DECODE_BAD;
}

/* Each zero of the line ends a frame, for which both decoders must agree. */
static void decode(const uint8_t *data, size_t size, uint32_t capacity) {
  static uint8_t buffer[GUARD + LONGEST + GUARD], whole[LONGEST];
  size_t begin = 0, at, i;
  hil_decoder_t decoder;

  memset(buffer, 0x77, sizeof buffer);
  hil_decoder_init(&decoder, buffer + GUARD, capacity);
  for (at = 0; at < size; at++) {
    const hil_decode_t kind = hil_decoder_push(&decoder, data[at]);
    long bytes;

    if (data[at] != 0) {
      fuzz_expect(kind == HIL_DECODE_MORE, "a frame that ends without a zero");
      continue;
    }
    const hil_decode_t right = expected(data + begin, at - begin, capacity, whole, &bytes);
    /* one that was cut off may already have been too long; either error is right */
    fuzz_expect(kind == right || (kind == HIL_DECODE_OVERSIZE && right == HIL_DECODE_BAD),
                "another event");
    if (kind == HIL_DECODE_FRAME) {
      fuzz_expect((long)decoder.payload_length + (long)HIL_FRAME_OVERHEAD == bytes, "length");
      fuzz_expect(memcmp(decoder.payload, whole + 4, decoder.payload_length) == 0, "payload");
      fuzz_expect(decoder.header.version == whole[0] && decoder.header.type == whole[1], "header");
    }
    begin = at + 1;
  }
  for (i = 0; i < GUARD; i++) {
    fuzz_expect(buffer[i] == 0x77 && buffer[GUARD + capacity + i] == 0x77, "written outside");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_bytes_t from = {data, size};
  const uint32_t capacity = 8u + 4u * fuzz_take(&from);
  hil_encoder_t encoder;
  size_t i;

  if (from.left > LONGEST / 2) {
    from.left = LONGEST / 2;
  }
  decode(from.data, from.left, capacity);

  sent = 0; /* encodes the same bytes as a payload, and decodes them */
  hil_encoder_begin(&encoder, keep, NULL, capacity & 0x7Fu, (uint16_t)from.left);
  hil_encoder_put(&encoder, from.data, from.left);
  hil_encoder_end(&encoder);
  for (i = 0; i + 1 < sent; i++) {
    fuzz_expect(line[i] != 0, "a zero inside a frame");
  }
  fuzz_expect(line[sent - 1] == 0, "no delimiter");
  decode(line, sent, (uint32_t)from.left + HIL_FRAME_OVERHEAD);
  if (from.left > 0) {
    decode(line, sent, (uint32_t)from.left + HIL_FRAME_OVERHEAD - 1u);
  }
  static uint8_t back[LONGEST];
  hil_decoder_t decoder;
  hil_decode_t kind = HIL_DECODE_MORE;

  hil_decoder_init(&decoder, back, (uint32_t)from.left + HIL_FRAME_OVERHEAD);
  for (i = 0; i < sent; i++) {
    kind = hil_decoder_push(&decoder, line[i]);
  }
  fuzz_expect(kind == HIL_DECODE_FRAME && decoder.payload_length == from.left &&
                  memcmp(decoder.payload, from.data, from.left) == 0,
              "the decoded payload differs from the encoded one");
  return 0;
}

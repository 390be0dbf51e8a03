/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "hil_wire.h"

static void restart(hil_decoder_t *decoder) {
  decoder->length = 0;
  decoder->left = 0;
  decoder->zero_due = 0;
  decoder->started = 0;
}

void hil_decoder_init(hil_decoder_t *decoder, uint8_t *buffer, uint32_t capacity) {
  memset(decoder, 0, sizeof *decoder);
  decoder->buffer = buffer;
  decoder->capacity = capacity;
}

static void keep(hil_decoder_t *decoder, uint8_t byte) {
  if (decoder->length < decoder->capacity) {
    decoder->buffer[decoder->length++] = byte;
  } else {
    decoder->length = decoder->capacity + 1u;
  }
}

/* Checks the complete frame, in the order that docs/protocol.md gives. */
static hil_decode_t finish(hil_decoder_t *decoder) {
  const uint32_t length = decoder->length;
  uint32_t crc;

  if (length > decoder->capacity) {
    return HIL_DECODE_OVERSIZE;
  }
  if (decoder->left != 0 || length < HIL_FRAME_OVERHEAD) {
    return HIL_DECODE_BAD;
  }
  memcpy(&crc, decoder->buffer + length - HIL_CRC_BYTES, sizeof crc);
  if (crc != hil_crc32(0, decoder->buffer, length - HIL_CRC_BYTES)) {
    return HIL_DECODE_BAD;
  }
  memcpy(&decoder->header, decoder->buffer, sizeof decoder->header);
  decoder->payload = decoder->buffer + sizeof decoder->header;
  decoder->check = (uint16_t)crc;
  decoder->payload_length = length - HIL_FRAME_OVERHEAD;
  return HIL_DECODE_FRAME;
}

hil_decode_t hil_decoder_push(hil_decoder_t *decoder, uint8_t byte) {
  if (byte == 0) {
    const hil_decode_t result = decoder->started ? finish(decoder) : HIL_DECODE_MORE;
    restart(decoder);
    return result;
  }
  decoder->started = 1;
  if (decoder->left > 0) {
    decoder->left--;
    keep(decoder, byte);
  } else { /* a code byte: only now is the zero after the previous block due */
    if (decoder->zero_due) {
      keep(decoder, 0);
    }
    decoder->left = (uint8_t)(byte - 1);
    decoder->zero_due = byte != 0xFF;
  }
  return HIL_DECODE_MORE;
}

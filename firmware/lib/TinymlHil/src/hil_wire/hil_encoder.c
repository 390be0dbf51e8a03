/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_wire.h"

static void flush(hil_encoder_t *encoder) {
  encoder->block[0] = (uint8_t)(encoder->used + 1u);
  encoder->write(encoder->context, encoder->block, (size_t)encoder->used + 1u);
  encoder->after_full = encoder->used == 254u;
  encoder->used = 0;
}

static void encode(hil_encoder_t *encoder, const uint8_t *data, size_t length) {
  size_t i;

  for (i = 0; i < length; i++) {
    if (data[i] == 0) {
      flush(encoder);
      encoder->after_full = 0; /* the end of this block encodes the zero */
    } else {
      encoder->block[++encoder->used] = data[i];
      if (encoder->used == 254u) {
        flush(encoder);
      }
    }
  }
}

void hil_encoder_begin(hil_encoder_t *encoder, hil_write_t write, void *context, uint8_t type,
                       uint16_t seq) {
  hil_header_t header;

  header.version = HIL_PROTOCOL_VERSION;
  header.type = type;
  header.seq = seq;
  encoder->write = write;
  encoder->context = context;
  encoder->crc = 0;
  encoder->used = 0;
  encoder->after_full = 0;
  hil_encoder_put(encoder, &header, sizeof header);
}

void hil_encoder_put(hil_encoder_t *encoder, const void *data, size_t length) {
  encoder->crc = hil_crc32(encoder->crc, data, length);
  encode(encoder, (const uint8_t *)data, length);
}

void hil_encoder_end(hil_encoder_t *encoder) {
  static const uint8_t delimiter = 0;
  const uint32_t crc = encoder->crc;

  encode(encoder, (const uint8_t *)&crc, sizeof crc);
  if (encoder->used > 0 || !encoder->after_full) {
    flush(encoder);
  }
  encoder->write(encoder->context, &delimiter, 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes and decodes frames: COBS(header | payload | CRC-32) and a zero byte. No heap, no I/O. */
#ifndef HIL_WIRE_H
#define HIL_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "hil_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32 as in zlib (IEEE 802.3). Start with `crc` 0; pass the result to continue. */
uint32_t hil_crc32(uint32_t crc, const void *data, size_t length);

/* Unpacks PackBits (TIFF 6.0, section 9; Apple TN1023) in place: from the last `length` of `size`
 * bytes to the front of `buffer`, padded with zeros to `wanted` bytes. Returns `wanted`, or more if
 * the packed data ends too early, unpacks to more, or would be overwritten before it is read.
 * Writes at most `wanted` bytes. */
size_t hil_unpack(uint8_t *buffer, size_t size, size_t length, size_t wanted);

typedef enum {
  HIL_DECODE_MORE,    /* the frame is not complete */
  HIL_DECODE_FRAME,   /* a good frame: header and payload below are valid until the next push */
  HIL_DECODE_BAD,     /* a bad frame: COBS, length or CRC */
  HIL_DECODE_OVERSIZE /* a frame that did not fit the buffer */
} hil_decode_t;

typedef struct {
  uint8_t *buffer; /* of the caller, `capacity` bytes: largest payload + HIL_FRAME_OVERHEAD */
  uint32_t capacity;
  uint32_t length;  /* decoded bytes so far; capacity + 1 marks an overflow */
  uint8_t left;     /* bytes until the next code byte */
  uint8_t zero_due; /* a zero follows the current block */
  uint8_t started;  /* a byte other than a delimiter was received */
  hil_header_t header;
  const uint8_t *payload;
  uint32_t payload_length;
  uint16_t check; /* low half of its CRC; a reply repeats it to name its request */
} hil_decoder_t;

void hil_decoder_init(hil_decoder_t *decoder, uint8_t *buffer, uint32_t capacity);

/* Takes one byte. Never writes outside the buffer. */
hil_decode_t hil_decoder_push(hil_decoder_t *decoder, uint8_t byte);

/* Receives encoded bytes, 1 to 255 per call. */
typedef void (*hil_write_t)(void *context, const uint8_t *data, size_t length);

/* Encodes a frame block by block, so a reply of any length needs no buffer. */
typedef struct {
  hil_write_t write;
  void *context;
  uint32_t crc;
  uint8_t used;       /* bytes in the block, without its code byte */
  uint8_t after_full; /* the last block was full: omit an empty one after it */
  uint8_t block[255];
} hil_encoder_t;

void hil_encoder_begin(hil_encoder_t *encoder, hil_write_t write, void *context, uint8_t type,
                       uint16_t seq);
void hil_encoder_put(hil_encoder_t *encoder, const void *data, size_t length);
void hil_encoder_end(hil_encoder_t *encoder);

#ifdef __cplusplus
}
#endif
#endif

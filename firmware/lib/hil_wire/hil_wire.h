/* Bytes <-> frames: COBS(header | payload | CRC-32) and a zero byte. No heap, no I/O. */
#ifndef HIL_WIRE_H
#define HIL_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "hil_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32 of zlib (IEEE 802.3), continued: start with 0. */
uint32_t hil_crc32(uint32_t crc, const void *data, size_t length);

/* PackBits (TIFF 6.0, section 9; Apple TN1023), in place: the last `length` bytes of `buffer`,
 * which has `size`, are packed, and are unpacked to its front; zeros up to `wanted` bytes follow.
 * Gives `wanted`; more when they end too early, unpack to more, or a run would write over what has
 * not been read. At most `wanted` bytes are written. */
size_t hil_unpack(uint8_t *buffer, size_t size, size_t length, size_t wanted);

typedef enum {
  HIL_DECODE_MORE,    /* the frame goes on */
  HIL_DECODE_FRAME,   /* a whole frame: header and payload below are valid until the next push */
  HIL_DECODE_BAD,     /* a frame ended that is broken: COBS, length or CRC */
  HIL_DECODE_OVERSIZE /* a frame ended that did not fit the buffer */
} hil_decode_t;

typedef struct {
  uint8_t *buffer; /* the caller's, `capacity` bytes: largest payload + HIL_FRAME_OVERHEAD */
  uint32_t capacity;
  uint32_t length;  /* decoded bytes so far; may pass capacity by one, which marks overflow */
  uint8_t left;     /* bytes until the next code byte */
  uint8_t zero_due; /* the block that ends here stands for a zero */
  uint8_t started;  /* anything but delimiters seen */
  hil_header_t header;
  const uint8_t *payload;
  uint32_t payload_length;
  uint16_t check; /* the low half of its CRC: what a reply says it answers */
} hil_decoder_t;

void hil_decoder_init(hil_decoder_t *decoder, uint8_t *buffer, uint32_t capacity);

/* Takes one byte. Never writes outside the buffer, whatever comes. */
hil_decode_t hil_decoder_push(hil_decoder_t *decoder, uint8_t byte);

/* Where encoded bytes go; called with 1 to 255 bytes. */
typedef void (*hil_write_t)(void *context, const uint8_t *data, size_t length);

/* A frame on its way out: state of one COBS block, so a reply of any length needs no buffer. */
typedef struct {
  hil_write_t write;
  void *context;
  uint32_t crc;
  uint8_t used;       /* bytes in the block, its code byte apart */
  uint8_t after_full; /* the last block was full: an empty one after it is left out */
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

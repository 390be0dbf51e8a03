/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller gives a session: board, models, buffers, and the size each buffer needs. */
#ifndef HIL_SETUP_H
#define HIL_SETUP_H

#include <stdint.h>

#include "hil_board.h"
#include "hil_engine/hil_engine.h"
#include "hil_input.h"
#include "hil_wire/hil_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The receive buffer doubles as the model's input. The frame starts after these bytes, so that the
 * input, which follows the frame header and the INFER header, is 16-byte aligned. */
#define HIL_RX_LEAD 8u

/* The longest header of a request that carries an input. */
#ifdef HIL_LAYERS
#define HIL_REQUEST_HEAD ((uint32_t)sizeof(hil_layers_t))
#else
#define HIL_REQUEST_HEAD ((uint32_t)sizeof(hil_infer_t))
#endif
/* Bytes of a layer in one reply. A damaged frame loses, and resends, that many. */
#ifndef HIL_LAYER_CHUNK
#define HIL_LAYER_CHUNK 4096u
#endif

/* Largest request of an image whose largest input has `elements` elements: that input in float32.
 */
#define HIL_MAX_PAYLOAD_OF(elements) (HIL_REQUEST_HEAD + 4u * (elements))
/* The same of an image whose models take `bytes` of input at most, in their own types. */
#define HIL_MAX_PAYLOAD_WITH(elements, bytes) \
  (HIL_REQUEST_HEAD + (4u * (elements) > (bytes) ? 4u * (elements) : (bytes)))
/* A packed input is unpacked in place, from the end of the buffer to its front. Packed data can be
 * longer than what it unpacks to by one byte in 128, so the buffer is larger by that much.
 * -DHIL_UNPACKS=0 removes both, for a board that has no memory to spare. */
#ifndef HIL_UNPACKS
#define HIL_UNPACKS 1
#endif
#define HIL_RX_SPARE(max_payload) (HIL_UNPACKS ? (max_payload) / 128u + 1u : 0u)
#define HIL_RX_BYTES(max_payload) \
  (HIL_RX_LEAD + (max_payload) + HIL_FRAME_OVERHEAD + HIL_RX_SPARE(max_payload))

/* Also answers MLPerf Tiny's text commands; -DHIL_MLPERF=0 or 1 changes the default. It is 1 where
 * firmware/scripts/image.py builds an image of networks, and 0 in a user's sketch. */
#ifndef HIL_MLPERF
#ifdef HIL_WITH_IMAGE
#define HIL_MLPERF 1
#else
#define HIL_MLPERF 0
#endif
#endif
/* MLPerf Tiny's energy mode: timestamps are edges of the marker pin, which HIL_MARKER_PIN names.
 * Then nothing else drives that pin. */
#ifndef HIL_MLPERF_ENERGY
#define HIL_MLPERF_ENERGY 0
#endif
#if HIL_MLPERF_ENERGY && !(HIL_MLPERF && defined(HIL_MARKER_PIN))
#error "HIL_MLPERF_ENERGY needs HIL_MARKER_PIN, and an image of networks"
#endif
/* Answers REPEAT, 700 to 1,000 bytes of code that only an instrument needs: with a marker pin, or
 * with -DHIL_REPEAT=1. */
#ifndef HIL_REPEAT
#if defined(HIL_MARKER_PIN) || defined(PIO_UNIT_TESTING)
#define HIL_REPEAT 1
#else
#define HIL_REPEAT 0
#endif
#endif
/* What `db load` needs after HIL_RX_BYTES for an image whose largest input has `elements` elements:
 * the loaded bytes are kept beside the input made from them, so that `infer` can run again. */
#define HIL_LOAD_BYTES(elements) (HIL_MLPERF ? (elements) : 0u)

/* The session keeps these pointers: everything must outlive it. */
typedef struct {
  const hil_board_t *board;
  const char *firmware;  /* UTF-8, 63 bytes at most */
  const char *toolchain; /* UTF-8, 63 bytes at most */
  const hil_model_t *models;
  uint8_t model_count;
  uint8_t *rx; /* 16-byte aligned, HIL_RX_BYTES(max_payload) */
  uint32_t max_payload;
  void *arena; /* 16-byte aligned */
  uint32_t arena_size;
  void *output;          /* 16-byte aligned, holds the largest output */
  hil_convert_t convert; /* hil_input.h; NULL: an input only comes in its own type */
  hil_write_t write;
  void *write_context;
  /* NULL if the line has no rate. `baud` 0 is the boot rate. With `apply` 0: can the line run at
   * `baud`? With `apply` 1: change to it, after everything written so far has been sent. */
  uint8_t (*set_baud)(uint32_t baud, uint8_t apply);
  uint32_t rx_size; /* bytes at rx: HIL_RX_BYTES(max_payload), plus HIL_LOAD_BYTES for `db load` */
} hil_setup_t;

#ifdef __cplusplus
}
#endif
#endif

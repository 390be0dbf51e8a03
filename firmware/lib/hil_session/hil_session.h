/* Request -> reply. Bytes come in through hil_session_feed, replies leave through a write
 * callback; the session does no I/O and allocates nothing. */
#ifndef HIL_SESSION_H
#define HIL_SESSION_H

#include <stdint.h>

#include "hil_board.h"
#include "hil_engine.h"
#include "hil_text.h"
#include "hil_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The receive buffer is also the model's input: after these bytes the frame begins, so that the
 * input, behind frame header and INFER header, is 16-byte aligned. */
#define HIL_RX_LEAD 8u

/* The longest header of a request that carries an input. */
#ifdef HIL_LAYERS
#define HIL_REQUEST_HEAD ((uint32_t)sizeof(hil_layers_t))
#else
#define HIL_REQUEST_HEAD ((uint32_t)sizeof(hil_infer_t))
#endif
/* A layer's bytes in one reply: what is lost with a damaged frame, and sent again. */
#ifndef HIL_LAYER_CHUNK
#define HIL_LAYER_CHUNK 4096u
#endif

/* Largest request of an image whose largest input has `elements` elements: one in float32. */
#define HIL_MAX_PAYLOAD_OF(elements) (HIL_REQUEST_HEAD + 4u * (elements))
/* A packed input is unpacked to the front of the buffer from its end. What is still packed may be
 * longer than what it unpacks to by a byte in 128: that much more buffer. -DHIL_UNPACKS=0 leaves
 * both out, on a board that has room for neither. */
#ifndef HIL_UNPACKS
#define HIL_UNPACKS 1
#endif
#define HIL_RX_SPARE(max_payload) (HIL_UNPACKS ? (max_payload) / 128u + 1u : 0u)
#define HIL_RX_BYTES(max_payload) \
  (HIL_RX_LEAD + (max_payload) + HIL_FRAME_OVERHEAD + HIL_RX_SPARE(max_payload))

/* Answers MLPerf Tiny's commands in text too; -DHIL_MLPERF=0 leaves it out. */
#ifndef HIL_MLPERF
#define HIL_MLPERF 1
#endif
/* What `db load` wants behind HIL_RX_BYTES for an image whose largest input has `elements`: the
 * bytes as they came stay beside the input that is made of them, so that `infer` may come again. */
#define HIL_LOAD_BYTES(elements) (HIL_MLPERF ? (elements) : 0u)

/* Everything the session works on, the caller's, for as long as the session lives. */
typedef struct {
  const hil_board_t *board;
  const char *firmware;  /* UTF-8, 63 bytes at most */
  const char *toolchain; /* the same */
  const hil_model_t *models;
  uint8_t model_count;
  uint8_t *rx; /* 16-byte aligned, HIL_RX_BYTES(max_payload) */
  uint32_t max_payload;
  void *arena; /* 16-byte aligned */
  uint32_t arena_size;
  void *output; /* 16-byte aligned, holds the largest output */
  hil_write_t write;
  void *write_context;
  /* NULL where the line has no rate. `baud` 0 is the rate of boot. With `apply` 0: can the line
   * go to `baud`? With 1: go there, after all that was written has left. */
  uint8_t (*set_baud)(uint32_t baud, uint8_t apply);
  uint32_t rx_size; /* bytes at rx: HIL_RX_BYTES(max_payload), and HIL_LOAD_BYTES for `db load` */
} hil_setup_t;

/* hil_mlperf.c and hil_load.c: which model, and what of its input is there. */
typedef struct {
  uint32_t wanted; /* bytes of the load; 0: none */
  uint32_t got;
  uint8_t model;
  uint8_t encoding;
  uint8_t in_place; /* the load is the model's input as it is */
  uint8_t has_results;
} hil_mlperf_t;

typedef struct {
  hil_setup_t setup;
  hil_decoder_t decoder;
  hil_encoder_t encoder;
  int16_t prepared;            /* index of the model that may be invoked, -1: none */
  uint32_t stopwatch_overhead; /* ticks of an empty invoke, taken off every measurement */
  uint32_t frames_ok;
  uint32_t frames_bad;
  uint32_t inferences;
  uint32_t errors;
  uint8_t rate; /* hil_rate.c: of boot, on trial, proven */
  uint8_t rate_bad;
  uint8_t rate_zeros;
  uint32_t rate_since;
#if HIL_MLPERF
  hil_text_t text;
  hil_mlperf_t mlperf;
#endif
} hil_session_t;

void hil_session_init(hil_session_t *session, const hil_setup_t *setup);

/* Takes one received byte; answers before it returns when that byte completed a request. */
void hil_session_feed(hil_session_t *session, uint8_t byte);

#ifdef __cplusplus
}
#endif
#endif

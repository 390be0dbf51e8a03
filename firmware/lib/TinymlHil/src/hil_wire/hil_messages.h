/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of docs/protocol.md as C types. The layout in memory is the layout on the wire:
 * little-endian, naturally aligned, no padding. */
#ifndef HIL_MESSAGES_H
#define HIL_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

/* The keyword, not the macro: <assert.h> defines static_assert only from C11 on, and some cores
 * compile C as gnu99. */
#ifdef __cplusplus
#define HIL_STATIC_ASSERT(condition, message) static_assert(condition, message)
#else
#define HIL_STATIC_ASSERT(condition, message) __extension__ _Static_assert(condition, message)
#endif

#define HIL_PROTOCOL_VERSION 1
#define HIL_TICKS_WRAPPED 0xFFFFFFFFu
#define HIL_TOTAL_WRAPPED 0xFFFFFFFFFFFFFFFFull /* the same of hil_repeated_t */
#define HIL_LAYER_INPUT 0xFFFFu                 /* in LAYERS: the model's converted input */

enum {
  HIL_MSG_HELLO = 0x01,
  HIL_MSG_INFER = 0x02,
  HIL_MSG_STATUS = 0x03,
  HIL_MSG_BAUD = 0x04,        /* request and reply: one u32 */
  HIL_MSG_LAYERS = 0x05,      /* only with HIL_LAYERS */
  HIL_MSG_CLOCK = 0x06,       /* the request is empty */
  HIL_MSG_PROFILE = 0x07,     /* only with HIL_LAYERS */
  HIL_MSG_RESET_STATE = 0x08, /* the request is the model, the reply is empty; only with HIL_MORE */
  HIL_MSG_REPEAT = 0x09,      /* the request is as INFER's, with a count; only with HIL_REPEAT */
  HIL_MSG_REPLY = 0x80,       /* set in the type of a reply */
  HIL_MSG_ERROR = 0xFF
};

/* OWN: every input in its own type, each from the next multiple of 4 bytes on; only with HIL_MORE
 */
enum { HIL_ENC_PIXELS = 1, HIL_ENC_INT8 = 2, HIL_ENC_FLOAT32 = 3, HIL_ENC_OWN = 4 };
/* Flag of an encoding: the input is packed with PackBits. In an INFER it follows the encoding
 * directly. */
enum { HIL_ENC_PACKED = 0x80, HIL_PACKED_HEAD = 2 };

enum { HIL_STATUS_RESET = 1 };   /* flag of a STATUS request */
enum { HIL_MODEL_STATEFUL = 1 }; /* flag of a model at the end of a HELLO reply */
/* flags of a HELLO reply */
enum { HIL_HELLO_HAS_MICROS = 1, HIL_HELLO_HAS_LAYERS = 2, HIL_HELLO_UNPACKS = 4 };
enum { HIL_HELLO_ROOM = 3 }; /* this and the higher bits: hil_board_t's room */

enum {
  HIL_ERR_VERSION = 1,
  HIL_ERR_TYPE = 2,
  HIL_ERR_LENGTH = 3,
  HIL_ERR_MODEL = 4,
  HIL_ERR_ENCODING = 5,
  HIL_ERR_ARENA = 6,
  HIL_ERR_ENGINE = 7,
  HIL_ERR_FRAME = 8,
  HIL_ERR_OVERSIZE = 9,
  HIL_ERR_BAUD = 10,
  HIL_ERR_LAYER = 11,
  HIL_ERR_STEP = 12,  /* only with HIL_MORE */
  HIL_ERR_REPEAT = 13 /* only with HIL_REPEAT */
};

typedef struct {
  uint8_t version;
  uint8_t type;
  uint16_t seq;
} hil_header_t;

typedef struct {
  uint8_t model;
  uint8_t encoding;
  uint16_t step; /* of a model with state: from 0, as of 65,535 followed by 1; else 0. In REPEAT:
                    the number of inferences */
} hil_infer_t;   /* input bytes follow */

typedef struct {
  uint8_t model;
  uint8_t dtype;
  uint16_t check; /* hil_decoder_t's, for the request */
  uint32_t micros;
  uint32_t ticks;
} hil_result_t; /* output bytes follow */

typedef struct {
  uint8_t model;
  uint8_t dtype;
  uint16_t check; /* as in hil_result_t */
  uint32_t count; /* inferences that were run: fewer than requested if they took too long */
  uint64_t micros;
  uint64_t ticks; /* HIL_TOTAL_WRAPPED: unknown, because the counter wrapped */
} hil_repeated_t; /* output bytes of the last inference follow */

typedef struct {
  uint8_t model;
  uint8_t encoding;
  uint16_t layer;
  uint32_t offset;
} hil_layers_t; /* input bytes follow */

typedef struct {
  uint8_t model;
  uint8_t dtype;
  uint16_t layer;
  uint16_t layers;
  uint16_t check; /* as in hil_result_t */
  uint32_t bytes;
  uint32_t offset;
} hil_layer_t; /* the layer's bytes from `offset` on follow, as many as fit */

typedef struct {
  uint8_t model;
  uint8_t encoding;
  uint16_t layer; /* the first one requested */
} hil_profile_t;  /* input bytes follow */

typedef struct {
  uint32_t micros;
  uint32_t ticks;
} hil_lap_t;

typedef struct {
  uint8_t model;
  uint8_t reserved;
  uint16_t layer;
  uint16_t layers;
  uint16_t check;  /* as in hil_result_t */
  hil_lap_t total; /* of an invoke without observer */
} hil_profiled_t;  /* one hil_lap_t per layer follows, from `layer` on, as many as fit */

typedef struct {
  uint32_t ram_static;
  uint32_t stack_used;
  uint32_t stack_size;
  uint32_t heap_used;
  uint32_t uptime_ms;
  uint32_t frames_ok;
  uint32_t frames_bad;
  uint32_t inferences;
  uint32_t errors;
} hil_status_t;

typedef struct {
  uint32_t micros; /* smallest step seen; 0: none */
  uint32_t ticks;
  uint32_t reads;
} hil_clock_t;

typedef struct {
  uint8_t code;
  uint8_t request_type;
  uint16_t reserved;
  uint32_t needed;
  uint32_t available;
} hil_error_t;

typedef struct {
  uint8_t protocol;
  uint8_t model_count;
  uint8_t window;
  uint8_t flags;
  uint32_t max_payload;
  uint32_t tick_hz;
} hil_hello_t; /* three strings and the models follow */

#define HIL_CRC_BYTES 4u
#define HIL_FRAME_OVERHEAD ((uint32_t)sizeof(hil_header_t) + HIL_CRC_BYTES)

HIL_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the byte order of the wire");
HIL_STATIC_ASSERT(sizeof(hil_header_t) == 4 && offsetof(hil_header_t, seq) == 2, "header");
HIL_STATIC_ASSERT(sizeof(hil_infer_t) == 4, "INFER");
HIL_STATIC_ASSERT(sizeof(hil_result_t) == 12 && offsetof(hil_result_t, ticks) == 8, "RESULT");
HIL_STATIC_ASSERT(sizeof(hil_repeated_t) == 24 && offsetof(hil_repeated_t, ticks) == 16,
                  "REPEATED");
HIL_STATIC_ASSERT(sizeof(hil_layers_t) == 8 && offsetof(hil_layers_t, offset) == 4, "LAYERS");
HIL_STATIC_ASSERT(sizeof(hil_layer_t) == 16 && offsetof(hil_layer_t, offset) == 12, "LAYER");
HIL_STATIC_ASSERT(sizeof(hil_profile_t) == 4 && sizeof(hil_lap_t) == 8, "PROFILE");
HIL_STATIC_ASSERT(sizeof(hil_profiled_t) == 16 && offsetof(hil_profiled_t, total) == 8, "PROFILED");
HIL_STATIC_ASSERT(sizeof(hil_status_t) == 36 && offsetof(hil_status_t, errors) == 32, "STATUS");
HIL_STATIC_ASSERT(sizeof(hil_clock_t) == 12 && offsetof(hil_clock_t, reads) == 8, "CLOCK");
HIL_STATIC_ASSERT(sizeof(hil_error_t) == 12 && offsetof(hil_error_t, available) == 8, "ERROR");
HIL_STATIC_ASSERT(sizeof(hil_hello_t) == 12 && offsetof(hil_hello_t, tick_hz) == 8, "HELLO");
HIL_STATIC_ASSERT(sizeof(float) == 4, "scale");

#endif

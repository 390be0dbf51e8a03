/* SPDX-License-Identifier: Apache-2.0 */
/* The types of golden.h, which firmware/scripts/golden_header.py generates. */
#ifndef GOLDEN_TYPES_H
#define GOLDEN_TYPES_H

#include <stdint.h>

#include "hil_wire/hil_wire.h"

typedef struct {
  const char *name;
  uint8_t type;
  uint16_t seq;
  const char *payload;
  uint32_t payload_length;
  const char *encoded;
  uint32_t encoded_length;
} golden_frame_t;

typedef struct {
  hil_decode_t kind;
  uint8_t version; /* this and the next fields: only for HIL_DECODE_FRAME */
  uint8_t type;
  uint16_t seq;
  const char *payload;
  uint32_t payload_length;
} golden_event_t;

typedef struct {
  const char *name;
  uint32_t max_payload;
  const char *bytes;
  uint32_t length;
  uint32_t first_event; /* in golden_events */
  uint32_t event_count;
} golden_stream_t;

/* What hil_unpack makes of the last `length` bytes of a buffer of `size`. */
typedef struct {
  const char *name;
  uint32_t size;
  uint32_t wanted;
  const char *packed;
  uint32_t length;
  int fails;
  const char *unpacked;
} golden_packed_t;

/* A command of golden/mlperf.json, and everything sent back. */
typedef struct {
  const char *name;
  const char *send;
  const char *reply;
} golden_step_t;

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif

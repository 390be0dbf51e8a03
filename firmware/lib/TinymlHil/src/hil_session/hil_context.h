/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a session. Private to this library: other code includes it only because a session
 * lies in static memory, so its size must be known. */
#ifndef HIL_CONTEXT_H
#define HIL_CONTEXT_H

#include <stdint.h>

#include "hil_setup.h"
#include "hil_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* hil_mlperf.c and hil_load.c: the chosen model, and how much of its input is loaded. */
typedef struct {
  uint32_t wanted; /* bytes of the load; 0: none */
  uint32_t got;
  uint8_t model;
  uint8_t encoding;
  uint8_t in_place; /* the model takes the loaded bytes unchanged */
  uint8_t has_results;
} hil_mlperf_t;

/* hil_steps.c: where the prepared model is in its sequence, and its latest answer, whose output is
 * still in the output buffer. */
typedef struct {
  uint32_t check; /* CRC-32 of the latest answered request's payload */
  uint32_t micros;
  uint32_t ticks;
  uint16_t last;
  uint16_t next;
  uint8_t answered; /* `last` was, since the state was reset */
} hil_steps_t;

typedef struct hil_session {
  hil_setup_t setup;
  hil_decoder_t decoder;
  hil_encoder_t encoder;
  int16_t prepared;            /* index of the model that can be invoked; -1: none */
  uint32_t stopwatch_overhead; /* ticks of an empty invoke, subtracted from each measurement */
  uint32_t frames_ok;
  uint32_t frames_bad;
  uint32_t inferences;
  uint32_t errors;
  uint8_t rate; /* hil_rate.c: boot rate, on trial, or proven */
  uint8_t rate_bad;
  uint8_t rate_zeros;
  uint32_t rate_since;
#if HIL_MORE
  hil_steps_t steps;
#endif
#if HIL_MLPERF
  hil_text_t text;
  hil_mlperf_t mlperf;
#endif
} hil_session_t;

#ifdef __cplusplus
}
#endif
#endif

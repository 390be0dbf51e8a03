/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of MLPerf Tiny (docs/mlperf-tiny.md), for one model of the image at a time. */
#ifndef HIL_MLPERF_H
#define HIL_MLPERF_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most inferences of one command, because only a reset can stop it: at 100 us each, 100 s. */
#ifndef HIL_MLPERF_MOST
#define HIL_MLPERF_MOST 1000000
#endif

/* In energy mode, how long the pin is low: long enough for a monitor of 1,000 samples/s. */
#ifndef HIL_MLPERF_PULSE_US
#define HIL_MLPERF_PULSE_US 3000u
#endif

/* Answers the command in session->text, or reports that it was too long to keep. */
void hil_mlperf_command(hil_session_t *session, hil_text_event_t event);

/* Prints what MLPerf Tiny's own firmware prints at boot; only with -DHIL_MLPERF_BOOT=1. */
void hil_mlperf_boot(hil_session_t *session);

#if HIL_MLPERF_ENERGY
/* Energy mode of MLPerf Tiny: leaves the marker pin high, so that the next timestamp is a falling
 * edge. */
void hil_mlperf_start(hil_session_t *session);
#endif

/* Discards load and results: a frame overwrites the buffers that hold them. */
void hil_mlperf_forget(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif

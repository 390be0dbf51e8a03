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

/* Answers the command in session->text, or reports that it was too long to keep. */
void hil_mlperf_command(hil_session_t *session, hil_text_event_t event);

/* Prints what MLPerf Tiny's own firmware prints at boot; only with -DHIL_MLPERF_BOOT=1. */
void hil_mlperf_boot(hil_session_t *session);

/* Discards load and results: a frame overwrites the buffers that hold them. */
void hil_mlperf_forget(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif

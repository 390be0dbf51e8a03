/* The commands of MLPerf Tiny (docs/mlperf-tiny.md), of one model of the image. */
#ifndef HIL_MLPERF_H
#define HIL_MLPERF_H

#include "hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Inferences of one command, which nothing but a reset can end: of 100 us, 100 s. */
#ifndef HIL_MLPERF_MOST
#define HIL_MLPERF_MOST 1000000
#endif

/* Answers what ended: the command that session->text holds, or one that was too long for it. */
void hil_mlperf_command(hil_session_t *session, hil_text_event_t event);

/* What the protocol's own firmware says when it has booted; only with -DHIL_MLPERF_BOOT=1. */
void hil_mlperf_boot(hil_session_t *session);

/* A frame uses the buffers that a load and its results lie in: neither is there any longer. */
void hil_mlperf_forget(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif

/* A model's output as the probabilities that `results` tells. */
#ifndef HIL_RESULTS_H
#define HIL_RESULTS_H

#include "hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The line m-results-[...] of what lies in the output buffer: as it is where the network itself
 * ends in probabilities, or has one output only; its softmax in float32 where it does not. */
void hil_results(hil_session_t *session, const hil_model_t *model);

#ifdef __cplusplus
}
#endif
#endif

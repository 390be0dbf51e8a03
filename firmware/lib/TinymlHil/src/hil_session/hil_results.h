/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a model's output as the probabilities that `results` reports. */
#ifndef HIL_RESULTS_H
#define HIL_RESULTS_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Prints the line m-results-[...] for the output buffer: unchanged if the network itself ends in
 * probabilities or has a single output, else its softmax in float32. */
void hil_results(hil_session_t *session, const hil_model_t *model);

#ifdef __cplusplus
}
#endif
#endif

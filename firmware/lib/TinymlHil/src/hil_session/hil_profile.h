/* SPDX-License-Identifier: Apache-2.0 */
/* Times each layer of one inference, in firmware built with HIL_LAYERS. */
#ifndef HIL_PROFILE_H
#define HIL_PROFILE_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Layers in one reply; each takes 8 bytes of stack. */
#ifndef HIL_PROFILE_CHUNK
#define HIL_PROFILE_CHUNK 16u
#endif

#ifdef HIL_LAYERS
/* Answers a PROFILE of `model`, which is prepared. `total` is the time of one invoke; a second
 * inference is then timed layer by layer. Stopping and restarting the clock between two layers
 * takes time too: an inference that does nothing else measures it, and it is subtracted from each
 * layer. */
void hil_profile_request(hil_session_t *session, const hil_model_t *model,
                         const hil_profile_t *request, const void *input, const hil_lap_t *total);
#endif

#ifdef __cplusplus
}
#endif
#endif

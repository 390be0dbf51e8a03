/* What each layer of one inference takes, in firmware built with HIL_LAYERS. */
#ifndef HIL_PROFILE_H
#define HIL_PROFILE_H

#include "hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Layers in one reply: 8 bytes of stack each. */
#ifndef HIL_PROFILE_CHUNK
#define HIL_PROFILE_CHUNK 16u
#endif

#ifdef HIL_LAYERS
/* Answers a PROFILE of `model`, which is prepared: `total` is what one invoke took, and a second
 * inference is timed layer by layer. The code that stops and starts the clock between two layers is
 * taken off every one of them, as an inference that does nothing else shows it. */
void hil_profile_request(hil_session_t *session, const hil_model_t *model,
                         const hil_profile_t *request, const void *input, const hil_lap_t *total);
#endif

#ifdef __cplusplus
}
#endif
#endif

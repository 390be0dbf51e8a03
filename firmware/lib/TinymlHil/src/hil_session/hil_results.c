/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_results.h"

#include <math.h>
#include <string.h>

#include "hil_say.h"

#if HIL_MLPERF

HIL_COLD static float real_of(const hil_tensor_t *tensor, const void *values, uint32_t i) {
  float real;
  int32_t steps;

  switch (tensor->dtype) {
    case HIL_FLOAT32:
      memcpy(&real, (const uint8_t *)values + 4u * i, sizeof real);
      return real;
    case HIL_INT8:
      steps = ((const int8_t *)values)[i];
      break;
    default:
      steps = ((const uint8_t *)values)[i];
      break;
  }
  return (float)(steps - tensor->zero_point) * tensor->scale;
}

HIL_COLD void hil_results(hil_session_t *session, const hil_model_t *model) {
  const hil_tensor_t *tensor = &model->output;
  const void *values = session->setup.output;
  const int as_is = model->probabilities || tensor->elements == 1;
  float most, sum = 0.0f, real;
  uint32_t i;

  most = real_of(tensor, values, 0);
  for (i = 1; i < tensor->elements; i++) {
    real = real_of(tensor, values, i);
    most = real > most ? real : most;
  }
  for (i = 0; i < tensor->elements && !as_is; i++) {
    sum += expf(real_of(tensor, values, i) - most);
  }
  HIL_SAY(session, "m-results-[");
  for (i = 0; i < tensor->elements; i++) {
    if (i > 0) {
      HIL_SAY(session, ",");
    }
    real = real_of(tensor, values, i);
    hil_say_real(session, as_is ? real : expf(real - most) / sum);
  }
  HIL_SAY(session, "]\r\n");
}

#endif

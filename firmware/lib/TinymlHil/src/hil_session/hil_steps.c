/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_steps.h"

#include "hil_replies.h"

#if HIL_MORE

int hil_step(hil_session_t *session, const hil_infer_t *request, uint32_t check) {
  const hil_steps_t *steps = &session->steps;

  if (request->step == steps->next) {
    return 1;
  }
  if (steps->answered && request->step == steps->last && check == steps->check) {
    hil_reply_result(session, request->model, steps->micros, steps->ticks);
  } else {
    hil_reply_error(session, HIL_ERR_STEP, steps->next, request->step);
  }
  return 0;
}

void hil_stepped(hil_session_t *session, const hil_infer_t *request, uint32_t check,
                 uint32_t micros, uint32_t ticks) {
  hil_steps_t *steps = &session->steps;

  steps->check = check;
  steps->micros = micros;
  steps->ticks = ticks;
  steps->last = request->step;
  /* not 0 again: only a reset makes that the next one */
  steps->next = (uint16_t)(request->step == 0xFFFFu ? 1u : request->step + 1u);
  steps->answered = 1;
}

#endif

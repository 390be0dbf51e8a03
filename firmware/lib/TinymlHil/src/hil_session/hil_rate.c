/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_rate.h"

#include <string.h>

#include "hil_replies.h"

enum { BOOT_RATE = 0, TRIAL = 1, PROVEN = 2 };

static void change(hil_session_t *session, uint32_t baud) {
  (void)session->setup.set_baud(baud, 1);
  session->rate = baud == 0 ? BOOT_RATE : TRIAL;
  session->rate_since = session->setup.board->uptime_ms();
  session->rate_bad = 0;
  session->rate_zeros = 0;
}

void hil_rate_request(hil_session_t *session) {
  uint32_t baud;

  if (session->setup.set_baud == NULL) { /* as firmware without BAUD does */
    hil_reply_error(session, HIL_ERR_TYPE, 0, 0);
    return;
  }
  if (session->decoder.payload_length != sizeof baud) {
    hil_reply_error(session, HIL_ERR_LENGTH, sizeof baud, session->decoder.payload_length);
    return;
  }
  memcpy(&baud, session->decoder.payload, sizeof baud);
  if (!session->setup.set_baud(baud, 0)) {
    hil_reply_error(session, HIL_ERR_BAUD, baud, 0);
    return;
  }
  hil_reply_baud(session, baud);
  change(session, baud);
}

void hil_rate_watch(hil_session_t *session, uint8_t byte, hil_decode_t event) {
  if (session->rate == BOOT_RATE) {
    return;
  }
  if (event == HIL_DECODE_FRAME) {
    session->rate = PROVEN;
    session->rate_bad = 0;
    return;
  }
  session->rate_zeros = byte ? 0 : session->rate_zeros + 1u;
  if (session->rate_zeros >= HIL_RATE_ZEROS) {
    session->rate_zeros = 0;
    session->rate_bad++;
  } else if (event != HIL_DECODE_MORE) {
    session->rate_bad++;
  }
  if (session->rate_bad >= HIL_RATE_BAD_FRAMES ||
      (session->rate == TRIAL &&
       session->setup.board->uptime_ms() - session->rate_since >= HIL_RATE_TRIAL_MS)) {
    change(session, 0);
  }
}

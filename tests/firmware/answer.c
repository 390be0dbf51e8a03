/* SPDX-License-Identifier: Apache-2.0 */
/* A filter that runs a session with the fake image: a host's bytes in, the replies out. */
#include <stdio.h>

#include "fake_board.h"

int main(void) {
  int byte;

  fake_boot(0);
  while ((byte = getchar()) != EOF) {
    fake.reply_length = 0;
    hil_session_feed(&fake.session, (uint8_t)byte);
    fwrite(fake.reply, 1, fake.reply_length, stdout);
  }
  return fake_guards_stand() ? 0 : 1;
}

/* The session over the fake image as a filter: a host's bytes in, the device's out. */
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

/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware's session with the fake image as a shared library: bytes in, bytes out. For long
 * tests of the host with the real C code (benchmarks/soaking.py). */
#include "fake_board.h"
#include "fake_more.h"

void session_boot(void);
void session_boot_more(void);
uint32_t session_feed(const uint8_t *data, uint32_t length, uint8_t *replies, uint32_t room);

void session_boot(void) { fake_boot(0); }

/* With the models of fake_more.h. */
void session_boot_more(void) { fake_boot_more(0); }

/* Returns the number of reply bytes. Replies that do not fit are dropped. */
uint32_t session_feed(const uint8_t *data, uint32_t length, uint8_t *replies, uint32_t room) {
  uint32_t i, got = 0;

  for (i = 0; i < length; i++) {
    fake.reply_length = 0;
    hil_session_feed(&fake.session, data[i]);
    if (fake.reply_length <= room - got) {
      memcpy(replies + got, fake.reply, fake.reply_length);
      got += fake.reply_length;
    }
  }
  return got;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* hil_port_read and hil_port_write over the semihosting console of an emulated board. Include it
 * once, in the port.c.
 *
 * QEMU exposes the console as a pty. The board's UART would be slower: there a character costs
 * turns of QEMU's main loop, here only instructions of the guest, and the processor sleeps while it
 * waits. docs/protocol.md has the rates. */
#ifndef HIL_CONSOLE_H
#define HIL_CONSOLE_H

#include <string.h>

#include "bare_metal/semihosting.h"
#include "hil_port.h"

#ifndef CONSOLE_READ_CHAR /* a port can add code before and after */
#define CONSOLE_READ_CHAR semihosting_read_char
#endif

size_t hil_port_read(uint8_t *data, size_t limit) {
  if (limit == 0) {
    return 0;
  }
  data[0] = CONSOLE_READ_CHAR(); /* one: the console cannot tell if there is a second */
  return 1;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  static char text[256];

  (void)context;
  while (length > 0) { /* one call per run without a zero, and per zero */
    const size_t limit = length < sizeof text - 1u ? length : sizeof text - 1u;
    const uint8_t *zero = (const uint8_t *)memchr(data, 0, limit);
    size_t run = zero ? (size_t)(zero - data) : limit;

    if (run > 0) {
      memcpy(text, data, run);
      text[run] = '\0';
      (void)semihosting_call(SYS_WRITE0, text);
    } else {
      (void)semihosting_call(SYS_WRITEC, data);
      run = 1;
    }
    data += run;
    length -= run;
  }
}

#endif

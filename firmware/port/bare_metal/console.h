/* hil_port_read and hil_port_write over the semihosting console, for the port of an emulated
 * board: include it once, in its port.c. `semihosting.h` is that port's own.
 *
 * QEMU shows the console as a pty. It is used in place of the board's UART because a character
 * costs instructions of the guest there, not turns of QEMU's main loop, and because the processor
 * sleeps while it waits. docs/protocol.md has the rates. */
#ifndef HIL_CONSOLE_H
#define HIL_CONSOLE_H

#include <string.h>

#include "hil_port.h"
#include "semihosting.h"

#ifndef CONSOLE_READ_CHAR /* a port may do something before and after */
#define CONSOLE_READ_CHAR semihosting_read_char
#endif

size_t hil_port_read(uint8_t *data, size_t limit) {
  if (limit == 0) {
    return 0;
  }
  data[0] = CONSOLE_READ_CHAR(); /* one: the console does not say whether there is a second */
  return 1;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  static char text[256];

  (void)context;
  while (length > 0) { /* runs without a zero go out in one call, zeros one by one */
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

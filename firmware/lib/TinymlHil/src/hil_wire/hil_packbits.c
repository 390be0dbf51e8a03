/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_wire.h"

enum { COPIES = 128 }; /* a head below: 1 to 128 bytes; above: one byte, 2 to 128 times */

/* Byte by byte, so that the C library's memmove is not linked just for this. `done` never passes
 * `at`, so no byte is overwritten before it is read. */
size_t hil_unpack(uint8_t *buffer, size_t size, size_t length, size_t wanted) {
  size_t at = size - length, done = 0;

  while (at < size) {
    const uint8_t head = buffer[at++];
    const size_t step = head < COPIES;
    size_t count = step ? (size_t)head + 1u : 257u - head;
    const size_t read = step ? count : 1u;

    if (head == COPIES) {
      continue; /* a no-op, by definition */
    }
    if (count > wanted - done || read > size - at || done + count > at + read) {
      return wanted + 1u;
    }
    for (at += 1u - step; count > 0; count--) {
      buffer[done++] = buffer[step ? at++ : at - 1u];
    }
  }
  while (done < wanted) { /* the sender may omit trailing zeros */
    buffer[done++] = 0;
  }
  return done;
}

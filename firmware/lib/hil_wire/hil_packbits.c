#include "hil_wire.h"

enum { COPIES = 128 }; /* a head below announces 1 to 128 bytes, one above a byte 2 to 128 times */

/* Byte by byte, so that a C library's memmove is not linked for this alone. `done` never passes
 * `at`, so that nothing is written over before it was read. */
size_t hil_unpack(uint8_t *buffer, size_t size, size_t length, size_t wanted) {
  size_t at = size - length, done = 0;

  while (at < size) {
    const uint8_t head = buffer[at++];
    const size_t step = head < COPIES;
    size_t count = step ? (size_t)head + 1u : 257u - head;
    const size_t read = step ? count : 1u;

    if (head == COPIES) {
      continue; /* means nothing, by definition */
    }
    if (count > wanted - done || read > size - at || done + count > at + read) {
      return wanted + 1u;
    }
    for (at += 1u - step; count > 0; count--) {
      buffer[done++] = buffer[step ? at++ : at - 1u];
    }
  }
  while (done < wanted) { /* zeros at the end need not be sent */
    buffer[done++] = 0;
  }
  return done;
}

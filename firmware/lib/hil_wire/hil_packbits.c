#include <string.h>

#include "hil_wire.h"

enum { COPIES = 128 }; /* a head below announces 1 to 128 bytes, one above a byte 2 to 128 times */

/* `done` never passes `at`: a run of bytes moves both alike, and a repeated byte is checked. */
uint32_t hil_unpack(uint8_t *buffer, uint32_t size, uint32_t length, uint32_t wanted) {
  const uint32_t broken = wanted + 1u;
  uint32_t at = size - length, done = 0, count;

  while (at < size) {
    const uint8_t head = buffer[at++];

    if (head == COPIES) {
      continue; /* means nothing, by definition */
    }
    count = head < COPIES ? head + 1u : 257u - head;
    if (count > wanted - done || (head < COPIES ? count : 1u) > size - at) {
      return broken;
    }
    if (head < COPIES) {
      memmove(buffer + done, buffer + at, count);
      at += count;
    } else {
      const uint8_t byte = buffer[at++];

      if (done + count > at) {
        return broken;
      }
      memset(buffer + done, byte, count);
    }
    done += count;
  }
  return done;
}

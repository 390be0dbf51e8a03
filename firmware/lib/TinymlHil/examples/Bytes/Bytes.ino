// SPDX-License-Identifier: Apache-2.0
// Raw bytes in and out, without any floating point: what a camera gives. 2 KB of RAM are enough,
// so this also runs on an Arduino Uno.
#include <TinymlHil.h>

#include "network.h"

bool predict(const uint8_t *in, uint8_t *out) {
  network(in, out);
  return true;
}

TinymlHil<uint8_t, 784, uint8_t, 10> hil("bytes-example", "1.0", predict);

void setup() {
  hil.inputShape(28, 28, 1);
  hil.outputScale(0.17126f, 128);
  hil.begin(115200);
}

void loop() { hil.poll(); }

// SPDX-License-Identifier: Apache-2.0
// Raw bytes in and out, without any floating point: what a camera gives. On an Arduino Mega it
// takes 2.4 KB of static RAM.
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

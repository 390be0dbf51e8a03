// SPDX-License-Identifier: Apache-2.0
// A network in plain C, with int8 inputs and outputs. The host knows what the integers mean:
// real = (value - zero point) * scale. It may send pixels; the library quantises them.
#include <TinymlHil.h>

#include "network.h"

bool predict(const int8_t *in, int8_t *out) {
  network(in, out);
  return true;
}

TinymlHil<int8_t, 784, int8_t, 10> hil("int8-example", "1.0", predict);

void setup() {
  hil.inputShape(28, 28, 1);
  hil.inputScale(1.0f / 255.0f, -128);
  hil.outputScale(0.17126f, 0);
  hil.begin(115200);
}

void loop() { hil.poll(); }

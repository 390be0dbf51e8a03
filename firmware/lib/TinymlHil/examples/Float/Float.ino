// SPDX-License-Identifier: Apache-2.0
// A float network in plain C: a digit of 28 x 28 pixels, in 16 patches, to ten scores.
//
//   hil bench --engine user --sketch firmware/lib/TinymlHil/examples/Float
#include <TinymlHil.h>

#include "network.h"

bool predict(const float *in, float *out) {
  network(in, out);
  return true;
}

TinymlHil<float, 784, float, 10> hil("float-example", "1.0", predict);

void setup() {
  hil.inputShape(28, 28, 1);
  hil.begin(115200);
}

void loop() { hil.poll(); }

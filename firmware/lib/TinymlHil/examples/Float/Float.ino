// SPDX-License-Identifier: Apache-2.0
// A network in plain C, with float32 inputs and outputs. `predict` may call any other code: the
// generated function of a converter, an interpreter, a library.
#include <TinymlHil.h>

#include "network.h"

bool predict(const float *in, float *out) {
  network(in, out);
  return true;  // false: the host counts this sample as failed
}

TinymlHil<float, 784, float, 10> hil("float-example", "1.0", predict);

void setup() {
  hil.inputShape(28, 28, 1);
  hil.begin(115200);
}

void loop() { hil.poll(); }

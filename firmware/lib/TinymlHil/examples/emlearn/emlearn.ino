// SPDX-License-Identifier: Apache-2.0
// A small net or a forest that emlearn (PyPI, tried: 0.23.2) made of a scikit-learn model:
//
//   emlearn.convert(MLPClassifier(...).fit(x, y), method="inline", dtype="float")
//          .save(file="model.h", name="digits")
//   hil bench --engine user --sketch emlearn
//
// emlearn has dense layers and trees, no convolution. It writes weights with six decimals, so a net
// differs by about 1e-4 from one with all digits. For a forest, call digits_predict_proba().
#include <TinymlHil.h>

#include "model.h"

#define INPUTS 784
#define OUTPUTS 10

bool predict(const float *in, float *out) {
  return eml_net_predict_proba(&digits, in, INPUTS, out, OUTPUTS) == EmlOk;
}

TinymlHil<float, INPUTS, float, OUTPUTS> hil("emlearn", "0.23.2", predict);

void setup() { hil.begin(115200); }

void loop() { hil.poll(); }

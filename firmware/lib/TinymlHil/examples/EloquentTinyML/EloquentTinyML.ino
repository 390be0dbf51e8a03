// SPDX-License-Identifier: Apache-2.0
// A float32 network run by EloquentTinyML 2.4.4 (github.com/eloquentarduino/EloquentTinyML, branch
// 2.4.4), which contains an old TensorFlow Lite Micro. Version 3 has another interface.
//
//   hil bench --engine user --sketch EloquentTinyML --model student_float32.tflite
//
// Expect every output within 1e-4 of the host's: the same sums, on ARM in CMSIS-NN's order.
#include <EloquentTinyML.h>
#include <TinymlHil.h>
#include <eloquent_tinyml/tensorflow.h>

#include "model.h"  // const unsigned char model[], the .tflite file (docs/engines-of-others.md)

#define INPUTS 784
#define OUTPUTS 10
#define ARENA (40 * 1024)

Eloquent::TinyML::TensorFlow::TensorFlow<INPUTS, OUTPUTS, ARENA> tf;

bool predict(const float *in, float *out) {
  tf.predict(const_cast<float *>(in), out);
  return tf.isOk();  // false too if begin() failed: an arena that is too small, for example
}

TinymlHil<float, INPUTS, float, OUTPUTS> hil("EloquentTinyML", "2.4.4", predict);

void setup() {
  tf.begin(model);
  hil.begin(115200);
}

void loop() { hil.poll(); }

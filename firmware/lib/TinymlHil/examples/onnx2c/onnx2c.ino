// SPDX-License-Identifier: Apache-2.0
// A float32 network in C by onnx2c (github.com/kraiskil/onnx2c, tried: ea045cc), in this folder:
//
//   python -m tf2onnx.convert --tflite student_float32.tflite --opset 13 --output student.onnx
//   onnx2c student.onnx > onnx2c/model.c
//   hil bench --engine user --sketch onnx2c --model student_float32.tflite
//
// Expect every output within 1e-4 of the host's: the same sums in another order.
#include <TinymlHil.h>

extern "C" void entry(const float in[1][28][28][1], float out[1][10]);

bool predict(const float *in, float *out) {
  entry(reinterpret_cast<const float (*)[28][28][1]>(in), reinterpret_cast<float (*)[10]>(out));
  return true;
}

TinymlHil<float, 784, float, 10> hil("onnx2c", "ea045cc", predict);

void setup() { hil.begin(115200); }

void loop() { hil.poll(); }

// SPDX-License-Identifier: Apache-2.0
// A float32 network in C by emx-onnx-cgen (PyPI, tried: 1.4.0), in this folder:
//
//   python -m tf2onnx.convert --tflite student_float32.tflite --opset 13 --output student.onnx
//   emx-onnx-cgen compile --model-name student --large-temp-threshold 0 student.onnx model.c
//   hil bench --engine user --sketch emx-onnx-cgen --model student_float32.tflite
//
// The threshold keeps temporary values on the stack, here 62 KB; without it, malloc() gives the
// memory, and the generated code does not say if that fails. Expect every output within 1e-4 of the
// host's: the same sums in another order.
#include <TinymlHil.h>

extern "C" void student(const float in[1][28][28][1], float out[1][10]);

bool predict(const float *in, float *out) {
  student(reinterpret_cast<const float (*)[28][28][1]>(in), reinterpret_cast<float (*)[10]>(out));
  return true;
}

TinymlHil<float, 784, float, 10> hil("emx-onnx-cgen", "1.4.0", predict);

void setup() { hil.begin(115200); }

void loop() { hil.poll(); }

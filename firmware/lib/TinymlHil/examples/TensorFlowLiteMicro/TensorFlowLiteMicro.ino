// SPDX-License-Identifier: Apache-2.0
// An int8 network run by TensorFlow Lite Micro itself: github.com/espressif/esp-tflite-micro
// (tried: 99f49e1), or an Arduino library of it.
//
//   hil bench --engine user --sketch TensorFlowLiteMicro --model student_int8.tflite
//
// Expect 0 differing outputs: the host's reference is TFLM too.
#include <TinymlHil.h>
#include <tensorflow/lite/micro/micro_interpreter.h>
#include <tensorflow/lite/micro/micro_mutable_op_resolver.h>
#include <tensorflow/lite/schema/schema_generated.h>

#include "model.h"  // const unsigned char model[], the .tflite file (docs/engines-of-others.md)

#define INPUTS 784
#define OUTPUTS 10
#define ARENA (9 * 1024)

alignas(16) static uint8_t arena[ARENA];
static tflite::MicroInterpreter *interpreter;

bool predict(const int8_t *in, int8_t *out) {
  if (interpreter == nullptr) {
    return false;
  }
  memcpy(interpreter->input(0)->data.int8, in, INPUTS);
  if (interpreter->Invoke() != kTfLiteOk) {
    return false;
  }
  memcpy(out, interpreter->output(0)->data.int8, OUTPUTS);
  return true;
}

TinymlHil<int8_t, INPUTS, int8_t, OUTPUTS> hil("TFLM", "99f49e1", predict);

void setup() {
  static tflite::MicroMutableOpResolver<4> resolver;  // the network's operators
  resolver.AddConv2D();
  resolver.AddMaxPool2D();
  resolver.AddReshape();
  resolver.AddFullyConnected();
  static tflite::MicroInterpreter made(tflite::GetModel(model), resolver, arena, sizeof arena);
  if (made.AllocateTensors() == kTfLiteOk) {
    interpreter = &made;
    const TfLiteTensor *input = made.input(0), *output = made.output(0);
    hil.inputScale(input->params.scale, input->params.zero_point);
    hil.outputScale(output->params.scale, output->params.zero_point);
  }
  hil.begin(115200);
}

void loop() { hil.poll(); }

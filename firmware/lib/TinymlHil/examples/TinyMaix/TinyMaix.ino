// SPDX-License-Identifier: Apache-2.0
// An int8 network run by TinyMaix (github.com/sipeed/TinyMaix, tried: 0532ece), whose include/ and
// src/ must be on the include path. Its tools/tflite2tmdl.py makes model.h of a .tflite file.
//
//   hil bench --engine user --sketch TinyMaix --model tools/tflite/mnist_valid_q.tflite
//
// TinyMaix has no pooling besides the global average. Expect outputs that differ: it rounds towards
// zero where TFLite rounds to nearest, after each layer.
#include <TinymlHil.h>

#include "tinymaix_port.h"

extern "C" {
#include <tinymaix.h>
}

#include "model.h"  // mdl_data, MDL_BUF_LEN

#define INPUTS (28 * 28)
#define OUTPUTS 10
#define SCALE (1.0f / 256)  // of the softmax in the .tflite file
#define ZERO_POINT -128

static uint8_t buffer[MDL_BUF_LEN];
static tm_mdl_t network;
static tm_mat_t input;
static bool loaded;

bool predict(const int8_t *in, int8_t *out) {
  if (!loaded) {
    return false;
  }
  memcpy(input.data, in, INPUTS);
  tm_mat_t result;
  if (tm_run(&network, &input, &result) != TM_OK) {
    return false;
  }
  for (int i = 0; i < OUTPUTS; i++) {  // TinyMaix gives the dequantised value
    out[i] = static_cast<int8_t>(lroundf(result.dataf[i] / SCALE) + ZERO_POINT);
  }
  return true;
}

TinymlHil<int8_t, INPUTS, int8_t, OUTPUTS> hil("TinyMaix", "0532ece", predict);

void setup() {
  loaded = tm_load(&network, mdl_data, buffer, nullptr, &input) == TM_OK;
  hil.inputScale(1.0f / 255, -128).outputScale(SCALE, ZERO_POINT);
  hil.begin(115200);
}

void loop() { hil.poll(); }

// SPDX-License-Identifier: Apache-2.0
// An impulse exported by Edge Impulse, run by its SDK (tried: v1.93.20 of
// github.com/edgeimpulse/inferencing-sdk-cpp). As an Arduino library, include
// <your_project_inferencing.h> instead; as a C++ library, its folders must be on the include path.
//
//   hil bench --engine user --sketch EdgeImpulse --model trained.tflite
//
// The SDK takes raw features and gives float32 results, which an int8 network dequantises. Expect 0
// differing outputs if no processing block changes the samples. But up to v1.93.20 the SDK has one
// scale per dense layer: it computes other outputs for a network that is quantised per channel
// there, as TensorFlow does since 2.17.
#include <TinymlHil.h>
#include <edge-impulse-sdk/classifier/ei_run_classifier.h>

#define INPUTS EI_CLASSIFIER_DSP_INPUT_FRAME_SIZE
#define OUTPUTS EI_CLASSIFIER_LABEL_COUNT

static const float *features;

static int get_features(size_t offset, size_t length, float *to) {
  memcpy(to, features + offset, length * sizeof *to);
  return EIDSP_OK;
}

bool predict(const float *in, float *out) {
  features = in;
  ei::signal_t signal;
  signal.total_length = INPUTS;
  signal.get_data = &get_features;
  ei_impulse_result_t result = {};
  if (run_classifier(&signal, &result, false) != EI_IMPULSE_OK) {
    return false;
  }
  for (int i = 0; i < OUTPUTS; i++) {
    out[i] = result.classification[i].value;
  }
  return true;
}

TinymlHil<float, INPUTS, float, OUTPUTS> hil(EI_CLASSIFIER_PROJECT_NAME, "SDK v1.93.20", predict);

void setup() { hil.begin(115200); }

void loop() { hil.poll(); }

/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of EloquentTinyML 2.4 that the tutorial's sketch uses, on a network in C of ours:
 * the header of the model defines run_network. */
#ifndef ELOQUENT_TENSORFLOW_FOR_TESTS_H
#define ELOQUENT_TENSORFLOW_FOR_TESTS_H

#include <stddef.h>
#include <stdint.h>

void run_network(const float *input, float *output);

namespace Eloquent {
namespace TinyML {
namespace TensorFlow {

template <size_t inputs, size_t outputs, size_t arena>
class TensorFlow {
 public:
  bool begin(const unsigned char *model) {
    ok_ = model != NULL;
    return ok_;
  }

  bool isOk() { return ok_; }

  const char *getErrorMessage() { return ok_ ? "" : "no model"; }

  bool predict(float *input, float *output) {
    run_network(input, output);
    return true;
  }

  uint8_t probaToClass(const float *output) {
    size_t best = 0;

    for (size_t i = 1; i < outputs; i++) {
      best = output[i] > output[best] ? i : best;
    }
    return (uint8_t)best;
  }

  uint8_t predictClass(float *input) {
    float output[outputs];

    predict(input, output);
    return probaToClass(output);
  }

 private:
  bool ok_ = false;
};

}  // namespace TensorFlow
}  // namespace TinyML
}  // namespace Eloquent

#endif

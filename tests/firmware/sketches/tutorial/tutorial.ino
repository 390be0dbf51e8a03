// SPDX-License-Identifier: Apache-2.0
// Prints what the sketch of the tutorial prints, with the same float arithmetic.
#include <EloquentTinyML.h>
#include <eloquent_tinyml/tensorflow.h>

#include "teacher_model_quant_float32.h"

#define N_INPUTS 784
#define N_OUTPUTS 10
#define TENSOR_ARENA_SIZE 90 * 1024

Eloquent::TinyML::TensorFlow::TensorFlow<N_INPUTS, N_OUTPUTS, TENSOR_ARENA_SIZE> tf;

float start_time = -1;
float end_time = -1;
float width_time = -1;
float input[784] = {...};  // the test puts a sample in place of the dots, as in the tutorial
float y_pred[10] = {5};

void setup() {
  Serial.begin(9600);
  delay(4000);
  tf.begin(model);
  if (!tf.isOk()) {
    Serial.print("ERROR: ");
    Serial.println(tf.getErrorMessage());
    while (true) delay(1000);
  }
}

void loop() {
  start_time = millis();
  tf.predict(input, y_pred);
  end_time = millis();
  for (int i = 0; i < 10; i++) {
    Serial.print(y_pred[i]);
    Serial.print(i == 9 ? '\n' : ',');
  }
  Serial.print("Predicted class is: ");
  Serial.println(tf.probaToClass(y_pred));
  Serial.print("Sanity check: ");
  Serial.println(tf.predictClass(input));
  Serial.print(" - Time (ms): ");
  width_time = end_time - start_time;
  Serial.println(width_time);
  delay(2000);
}

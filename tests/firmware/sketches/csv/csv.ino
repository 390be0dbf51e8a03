// SPDX-License-Identifier: Apache-2.0
// The tutorial's sketch with a sample that comes as a line of 784 numbers from 0 to 255.
#include <EloquentTinyML.h>
#include <eloquent_tinyml/tensorflow.h>

#include "teacher_model_quant_float32.h"

Eloquent::TinyML::TensorFlow::TensorFlow<784, 10, 2048> tf;

float input[784];
float y_pred[10];

void setup() {
  Serial.begin(115200);
  tf.begin(model);
}

void loop() {
  if (!Serial.available()) return;
  for (int i = 0; i < 784; i++) {
    input[i] = Serial.parseInt() / 255.0f;
  }
  while (Serial.read() != '\n') {
  }
  const float start_time = millis();
  tf.predict(input, y_pred);
  const float end_time = millis();
  for (int i = 0; i < 10; i++) {
    Serial.print(y_pred[i]);
    Serial.print(i == 9 ? '\n' : ',');
  }
  Serial.print("Predicted class is: ");
  Serial.println(tf.probaToClass(y_pred));
  Serial.print("Sanity check: ");
  Serial.println(tf.predictClass(input));
  Serial.print(" - Time (ms): ");
  Serial.println(end_time - start_time);
}

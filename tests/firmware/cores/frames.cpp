// SPDX-License-Identifier: Apache-2.0
/* Sends frames of every length through the port; usb.cpp prints a line per write. */
#include <Arduino.h>
#include <stdio.h>

#include "hil_port.h"
#include "hil_wire.h"

static int filler(int n, int i) { return n % 2 == 0 ? i % 255 + 1 : i % 3 == 0 ? 0 : '\n'; }

void setup() {
  static uint8_t payload[700];

  for (int n = 0; n <= 700; n++) {
    hil_encoder_t encoder;
    for (int i = 0; i < n; i++) {
      payload[i] = (uint8_t)filler(n, i);
    }
    printf("payload %d\n", n);
    hil_encoder_begin(&encoder, hil_port_write, nullptr, 1, (uint16_t)n);
    hil_encoder_put(&encoder, payload, (size_t)n);
    hil_encoder_end(&encoder);
  }
  printf("text\n");
  hil_port_write(nullptr, (const uint8_t *)"m-ready", 7);
  hil_port_write(nullptr, (const uint8_t *)"\r\n", 2);
  printf("end\n");
}

void loop() {}

/* SPDX-License-Identifier: Apache-2.0 */
/* The part of every Arduino core that the port uses. */
#ifndef STUB_CORE_H
#define STUB_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct SerialPort {
  void begin(unsigned long baud);
  int available();
  int read();
  size_t write(const uint8_t *data, size_t length);
  void flush();
};

unsigned long micros();
unsigned long millis();
void delay(unsigned long ms);
void yield();
void setup();
void loop();

#endif

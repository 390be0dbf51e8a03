// SPDX-License-Identifier: Apache-2.0
/* Serial over USB, on the host: each write ends its packet, as in Arduino's Mbed core. Reads the
 * host's bytes from stdin; prints a line per write, its bytes in hex. */
#include <Arduino.h>
#include <stdio.h>

SerialPort Serial;

static int next = EOF;
static bool held = false;

void SerialPort::begin(unsigned long) {}

int SerialPort::available() {
  if (!held) {
    next = getchar();
    held = true;
  }
  return next == EOF ? 0 : 1;
}

int SerialPort::read() {
  held = false;
  return next;
}

size_t SerialPort::write(const uint8_t *data, size_t length) {
  for (size_t i = 0; i < length; i++) {
    printf("%02x", data[i]);
  }
  printf("\n");
  return length;
}

void SerialPort::flush() {}

unsigned long micros() { return 0; }
unsigned long millis() { return 0; }
void delay(unsigned long) {}
void yield() {}

int main() {
  setup();
  while (Serial.available() > 0) {
    loop();
  }
  return 0;
}

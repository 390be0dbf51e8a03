// SPDX-License-Identifier: Apache-2.0
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "Arduino.h"

#include <unistd.h>

#include "pty.h"

namespace {

int line = -1;
uint64_t now_us = 0;
int peeked = -1;

void put(const char *text, size_t length) {
  while (length > 0) {
    const ssize_t sent = write(line, text, length);

    if (sent > 0) {
      text += sent;
      length -= (size_t)sent;
    } else {
      pty_wait(line, POLLOUT, -1);
    }
  }
}

}  // namespace

PtySerial Serial;

uint32_t millis() { return (uint32_t)(now_us / 1000); }

uint32_t micros() { return (uint32_t)now_us; }

void pass(uint32_t us) { now_us += us; }

void delay(uint32_t ms) { pass(ms * 1000); }

void PtySerial::begin(unsigned long) {}

void PtySerial::setTimeout(unsigned long) {}

int PtySerial::available() { return peeked >= 0 || pty_wait(line, POLLIN, 10); }

int PtySerial::peek() {
  unsigned char byte;

  while (peeked < 0) {
    if (::read(line, &byte, 1) == 1) {
      peeked = byte;
    } else {
      pty_wait(line, POLLIN, -1);
    }
  }
  return peeked;
}

int PtySerial::read() {
  const int byte = peek();

  peeked = -1;
  return byte;
}

// As the real core: skips what is not a number, and leaves what follows it.
long PtySerial::parseInt() {
  long number = 0;
  bool negative = false;

  while (peek() != '-' && (peek() < '0' || peek() > '9')) {
    read();
  }
  if (peek() == '-') {
    negative = true;
    read();
  }
  while (peek() >= '0' && peek() <= '9') {
    number = number * 10 + (read() - '0');
  }
  return negative ? -number : number;
}

void PtySerial::print(const char *text) {
  size_t length = 0;

  while (text[length] != '\0') {
    length++;
  }
  put(text, length);
}

void PtySerial::print(char c) { put(&c, 1); }

void PtySerial::print(long number) {
  char text[24];

  (void)snprintf(text, sizeof text, "%ld", number);
  print(text);
}

// The core's own rounding: half of the last digit is added in floating point, then digits are cut.
void PtySerial::print(double number, int decimals) {
  double rounding = 0.5;

  if (isnan(number) || isinf(number) || number > 4294967040.0 || number < -4294967040.0) {
    print(isnan(number) ? "nan" : isinf(number) ? "inf" : "ovf");
    return;
  }
  if (number < 0.0) {
    print('-');
    number = -number;
  }
  for (int i = 0; i < decimals; i++) {
    rounding /= 10.0;
  }
  number += rounding;
  print((long)(unsigned long)number);
  print('.');
  double rest = number - (double)(unsigned long)number;
  for (int i = 0; i < decimals; i++) {
    rest *= 10.0;
    print((long)rest);
    rest -= (double)(long)rest;
  }
}

int main() {
  line = pty_open();
  setup();
  for (;;) {
    loop();
  }
}

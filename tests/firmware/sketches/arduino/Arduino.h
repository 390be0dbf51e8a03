/* SPDX-License-Identifier: Apache-2.0 */
/* A small Arduino core for tests: Serial is a pty, and the clock is played. Time passes only in
 * delay() and pass(). */
#ifndef ARDUINO_FOR_TESTS_H
#define ARDUINO_FOR_TESTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

uint32_t millis();
uint32_t micros();
void delay(uint32_t ms);
void pass(uint32_t us); /* of a computation, which takes no time here */

/* The sketch defines them. */
void setup();
void loop();

/* Prints as the real core does, and reads what the host has sent. */
class PtySerial {
 public:
  void begin(unsigned long baud);
  void setTimeout(unsigned long ms);
  int available();
  int peek();
  int read();
  long parseInt();
  void print(const char *text);
  void print(char c);
  void print(long number);
  void print(int number) { print((long)number); }
  void print(unsigned number) { print((long)number); }
  void print(unsigned char number) { print((long)number); }
  void print(unsigned long number) { print((long)number); }
  void print(double number, int decimals = 2);
  template <typename T>
  void println(T value) {
    print(value);
    print("\r\n");
  }
};

extern PtySerial Serial;

#endif

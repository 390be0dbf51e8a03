/* SPDX-License-Identifier: Apache-2.0 */
/* The part of Espressif's Arduino core that the firmware's port uses. */
#ifndef FAKE_ARDUINO_H
#define FAKE_ARDUINO_H

#include <stddef.h>
#include <stdint.h>

#include "esp_idf_version.h"

class HardwareSerial {
 public:
  void begin(unsigned long baud);
  size_t setRxBufferSize(size_t size) { return size; }
#if ESP_IDF_VERSION_MAJOR >= 5
  bool updateBaudRate(unsigned long baud);
#else
  void updateBaudRate(unsigned long baud);
#endif
  uint32_t baudRate();
  int available() { return 0; }
  int read() { return -1; }
  size_t write(const uint8_t *, size_t length) { return length; }
  size_t write(uint8_t) { return 1; }
  void flush() {}
};

struct EspClass {
  const char *getChipModel() { return "ESP32-D0WDQ6"; }
#if ESP_IDF_VERSION_MAJOR >= 5
  uint16_t getChipRevision() { return 301; }
#else
  uint8_t getChipRevision() { return 3; }
#endif
  uint32_t getCpuFreqMHz() { return 240; }
  uint32_t getHeapSize() { return 300000; }
  uint32_t getFreeHeap() { return 260000; }
  uint32_t getCycleCount() { return 0; }
};

extern HardwareSerial Serial;
extern EspClass ESP;
size_t getArduinoLoopTaskStackSize(void);

extern "C" {
unsigned long micros(void);
unsigned long millis(void);
void delay(uint32_t ms);
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t level);
}
enum { LOW, HIGH };
enum { OUTPUT = 3 };

#endif

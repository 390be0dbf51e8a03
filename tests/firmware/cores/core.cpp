// SPDX-License-Identifier: Apache-2.0
/* A core that does nothing. The port links with it only if it needs nothing but what the real core
 * has. */
#include <Arduino.h>

SerialPort Serial;

void SerialPort::begin(unsigned long) {}
int SerialPort::available() { return 0; }
int SerialPort::read() { return -1; }
size_t SerialPort::write(const uint8_t *, size_t length) { return length; }
void SerialPort::flush() {}

unsigned long micros() { return 0; }
unsigned long millis() { return 0; }
void delay(unsigned long) {}
void yield() {}

#ifdef STUB_MBED
#include <drivers/Ticker.h>
#include <drivers/Watchdog.h>
#include <rtx_os.h>

mbed::Watchdog &mbed::Watchdog::get_instance() {
  static Watchdog one;
  return one;
}
uint32_t mbed::Watchdog::get_max_timeout() const { return 8388; }
bool mbed::Watchdog::start(uint32_t) { return true; }
void mbed::Watchdog::kick() {}
void mbed::Ticker::attach(void (*)(), std::chrono::microseconds) {}
osThreadId_t osThreadGetId() { return nullptr; }
#endif

#ifdef STUB_SYSTEM_CORE_CLOCK /* from CMSIS; not every core has it */
extern "C" {
extern uint32_t SystemCoreClock;
uint32_t SystemCoreClock = 64000000u;
}
#endif
#ifdef STUB_TEENSY
extern "C" {
volatile uint32_t F_CPU_ACTUAL = 600000000u;
}
#endif

int main() {
  setup();
  for (;;) {
    loop();
  }
}

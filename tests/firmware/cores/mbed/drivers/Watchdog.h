/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STUB_WATCHDOG_H
#define STUB_WATCHDOG_H
#include <stdint.h>
namespace mbed {
class Watchdog {
 public:
  static Watchdog &get_instance();
  uint32_t get_max_timeout() const;
  bool start(uint32_t timeout_ms);
  void kick();
};
}  // namespace mbed
#endif

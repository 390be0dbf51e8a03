/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STUB_TICKER_H
#define STUB_TICKER_H
#include <chrono>
namespace mbed {
class Ticker {
 public:
  void attach(void (*function)(), std::chrono::microseconds every);
};
}  // namespace mbed
#endif

// SPDX-License-Identifier: Apache-2.0
// Turns a sketch into a device that tinyml-hil can bench:
//
//   bool predict(const float *in, float *out) { ...; return true; }
//   TinymlHil<float, 784, float, 10> hil("digits", "1.2", predict);
//   void setup() { hil.inputShape(28, 28, 1); hil.begin(115200); }
//   void loop() { hil.poll(); }
//
// The sketch must not print on Serial after begin(). docs/your-sketch.md has the details.
#ifndef TINYML_HIL_H
#define TINYML_HIL_H

#include <stdint.h>

#include "hil_device.h"
#include "hil_session/hil_port.h"

// What differs between the types of an input or output: float, int8_t and uint8_t (raw bytes).
template <typename T>
struct HilType;

template <>
struct HilType<float> {
  static constexpr uint8_t dtype = HIL_FLOAT32;
  static hil_convert_t convert() { return hil_convert_to_float32; }
};

template <>
struct HilType<int8_t> {
  static constexpr uint8_t dtype = HIL_INT8;
  static hil_convert_t convert() { return hil_convert_to_int8; }
};

template <>
struct HilType<uint8_t> {
  static constexpr uint8_t dtype = HIL_UINT8;
  static hil_convert_t convert() { return nullptr; }  // pixels are its own type
};

// Received is the type whose size an input takes on the line: float for an int8_t input that the
// host may send in float32, which takes four times the RAM.
template <typename In, uint32_t InCount, typename Out, uint32_t OutCount, typename Received = In>
class TinymlHil {
 public:
  // Computes `out` from `in`; false if that failed. Writing past the end of `out` is noticed.
  typedef bool (*Predict)(const In *in, Out *out);

  // Name and version are shown in the report; both must outlive the device.
  TinymlHil(const char *name, const char *version, Predict predict)
      : predict_(predict), config_(), device_() {
    config_.name = name;
    config_.version = version;
    config_.input = flat(HilType<In>::dtype, InCount);
    config_.output = flat(HilType<Out>::dtype, OutCount);
    config_.convert = HilType<In>::convert();
    config_.predict = call;
    config_.context = this;
    config_.rx = rx_;
    config_.rx_size = sizeof rx_;
    config_.out = out_;
    config_.out_size = sizeof out_;
    config_.read = hil_port_read;
    config_.write = hil_port_write;
    config_.set_baud = hil_port_set_baud;
  }

  TinymlHil(const TinymlHil &) = delete;
  TinymlHil &operator=(const TinymlHil &) = delete;

  // One to six dimensions, whose product is the number of elements; without this, there is one.
  template <typename... Dims>
  TinymlHil &inputShape(Dims... dims) {
    shape(&config_.input, dims...);
    return *this;
  }

  template <typename... Dims>
  TinymlHil &outputShape(Dims... dims) {
    shape(&config_.output, dims...);
    return *this;
  }

  // real = (value - zero_point) * scale, for int8_t and uint8_t.
  TinymlHil &inputScale(float scale, int32_t zero_point) {
    config_.input.scale = scale;
    config_.input.zero_point = zero_point;
    return *this;
  }

  TinymlHil &outputScale(float scale, int32_t zero_point) {
    config_.output.scale = scale;
    config_.output.zero_point = zero_point;
    return *this;
  }

  // 32 bytes that name the network, such as the SHA-256 of its .tflite file.
  TinymlHil &sha256(const uint8_t *bytes) {
    config_.sha256 = bytes;
    return *this;
  }

  // Call it in setup(), after the functions above. Starts Serial at this rate, and the watchdog.
  // False if a shape's product is not the number of elements.
  bool begin(uint32_t baud = HIL_BAUD) {
    hil_port_init(baud);
    return hil_device_init_on(&device_, &config_, &hil_port_board);
  }

  // Call it in loop(). Answers requests, and calls `predict` for an inference.
  void poll() { hil_device_poll(&device_); }

 private:
  static bool call(void *self, const void *in, void *out) {
    return static_cast<TinymlHil *>(self)->predict_(static_cast<const In *>(in),
                                                    static_cast<Out *>(out));
  }

  static hil_tensor_t flat(uint8_t dtype, uint32_t elements) {
    hil_tensor_t tensor = hil_tensor_t();
    tensor.dtype = dtype;
    tensor.rank = 1;
    tensor.dims[0] = elements;
    tensor.elements = elements;
    return tensor;
  }

  template <typename... Dims>
  static void shape(hil_tensor_t *tensor, Dims... dims) {
    static_assert(sizeof...(dims) >= 1 && sizeof...(dims) <= HIL_MAX_RANK,
                  "a shape has one to six dimensions");
    const uint32_t given[] = {static_cast<uint32_t>(dims)...};
    tensor->rank = sizeof...(dims);
    for (uint8_t i = 0; i < sizeof...(dims); i++) {
      tensor->dims[i] = given[i];
    }
  }

  static_assert(InCount > 0 && OutCount > 0, "a tensor has at least one element");

  Predict predict_;
  hil_device_config_t config_;
  hil_device_t device_;
  HIL_DEVICE_ALIGNED uint8_t rx_[HIL_DEVICE_RX_BYTES(InCount, Received)];
  HIL_DEVICE_ALIGNED uint8_t out_[HIL_DEVICE_OUT_BYTES(OutCount, Out)];
};

#endif

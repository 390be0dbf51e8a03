/* SPDX-License-Identifier: Apache-2.0 */
/* A device with ESP-IDF on UART 0, which a devkit's USB bridge is connected to. Time comes from
 * esp_timer; the stack mark is that of the task that runs app_main. */
#include <driver/uart.h>
#include <esp_heap_caps.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include "hil_device.h"

enum { PIXELS = 784, CLASSES = 10, RING = 8192, BAUD = 115200 };

/* Replace it by your network. */
static bool network(const float *pixels, float *scores) {
  for (int i = 0; i < CLASSES; i++) {
    scores[i] = pixels[i * PIXELS / CLASSES];
  }
  return true; /* false: this sample failed */
}
HIL_PREDICT(predict, float, float, network)

/* Waits for a millisecond if nothing was received, so that the idle task runs. */
static size_t read_uart(uint8_t *data, size_t limit) {
  const int got = uart_read_bytes(UART_NUM_0, data, (uint32_t)limit, 0);

  if (got <= 0) {
    vTaskDelay(1);
  }
  return got > 0 ? (size_t)got : 0;
}

static void write_uart(void *context, const uint8_t *data, size_t length) {
  (void)context;
  uart_write_bytes(UART_NUM_0, (const char *)data, length);
}

static uint32_t micros(void) { return (uint32_t)esp_timer_get_time(); }

static uint32_t millis(void) { return (uint32_t)(esp_timer_get_time() / 1000); }

/* FreeRTOS keeps the mark from the task's start; it cannot be reset. */
static void memory(hil_memory_t *memory) {
  memory->stack_size = CONFIG_ESP_MAIN_TASK_STACK_SIZE;
  memory->stack_used = memory->stack_size - (uint32_t)uxTaskGetStackHighWaterMark(NULL);
  memory->heap_used = (uint32_t)(heap_caps_get_total_size(MALLOC_CAP_8BIT) -
                                 heap_caps_get_free_size(MALLOC_CAP_8BIT));
}

static HIL_DEVICE_ALIGNED uint8_t rx[HIL_DEVICE_RX_BYTES(PIXELS, float)];
static HIL_DEVICE_ALIGNED uint8_t out[HIL_DEVICE_OUT_BYTES(CLASSES, float)];
static hil_device_t device;

static const hil_device_config_t config = {
    .name = "digits",
    .version = "1.0",
    .input = {.dtype = HIL_FLOAT32, .rank = 3, .dims = {28, 28, 1}},
    .output = {.dtype = HIL_FLOAT32, .rank = 1, .dims = {CLASSES}},
    .convert = hil_convert_to_float32,
    .predict = predict,
    .rx = rx,
    .rx_size = sizeof rx,
    .out = out,
    .out_size = sizeof out,
    .read = read_uart,
    .write = write_uart,
    .board = "ESP32, ESP-IDF",
    .window = 2,
    .room = 13, /* 2^13 bytes: RING */
    .micros = micros,
    .millis = millis,
    .memory = memory,
};

void app_main(void) {
  const uart_config_t line = {
      .baud_rate = BAUD,
      .data_bits = UART_DATA_8_BITS,
      .parity = UART_PARITY_DISABLE,
      .stop_bits = UART_STOP_BITS_1,
      .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
  };

  ESP_ERROR_CHECK(uart_driver_install(UART_NUM_0, RING, 0, 0, NULL, 0));
  ESP_ERROR_CHECK(uart_param_config(UART_NUM_0, &line));
  (void)hil_device_init(&device, &config);
  for (;;) {
    hil_device_poll(&device);
  }
}

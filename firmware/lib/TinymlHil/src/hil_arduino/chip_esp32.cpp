// SPDX-License-Identifier: Apache-2.0
/* ESP32, S2, S3 (Xtensa) and C3 (RISC-V), with Espressif's Arduino core 2 or 3. */
#include "chip.h"

#ifdef HIL_CHIP_ESP32
#include <Arduino.h>
#include <esp_idf_version.h>
#include <esp_task_wdt.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <stdio.h>
#include <string.h>

char hil_chip_name[64] = "ESP32";

extern "C" {
extern uint8_t _data_start, _data_end, _bss_start, _bss_end; /* from the linker: internal RAM */
}

void hil_chip_init(void) {
  snprintf(hil_chip_name, sizeof hil_chip_name, "%s rev %u, %u MHz", ESP.getChipModel(),
           (unsigned)ESP.getChipRevision(), (unsigned)ESP.getCpuFreqMHz());
  Serial.setRxBufferSize(1u << HIL_CHIP_ROOM); /* two requests in float32 */
}

hil_stack_t hil_chip_stack(void) {
  uint8_t *const bottom = (uint8_t *)pxTaskGetStackStart(NULL);
  const hil_stack_t stack = {bottom, bottom + getArduinoLoopTaskStackSize()};
  return stack;
}

uint32_t hil_chip_ram_static(void) {
  return (uint32_t)(&_data_end - &_data_start) + (uint32_t)(&_bss_end - &_bss_start);
}

uint32_t hil_chip_heap_used(void) { return ESP.getHeapSize() - ESP.getFreeHeap(); }

/* CCOUNT on Xtensa. On a C3, which traps a read of mcycle, its own counter: CSR 0x7e2. */
uint32_t hil_chip_cycles(void) { return ESP.getCycleCount(); }

#ifdef HIL_CHIP_HAS_RATE
/* PROBE: a rate that only the fast clock of the UART gives; with 1 MHz it would be 1.6 Mbaud.
 * FASTEST: the limit of the UART. */
enum { PROBE = 1500000, SLOWEST = 1200, FASTEST = 5000000 };

static uint32_t fastest;

/* Whether the current divider gives `rate` within the 2 % that a receiver tolerates. */
static bool is_set(uint32_t rate) {
  const uint32_t real = Serial.baudRate();

  return (real > rate ? real - rate : rate - real) <= rate / 50u;
}

/* Core 3 chooses the UART's clock of an ESP32 or S2 by the rate: the 1 MHz REF_TICK for a low one.
 * Up to 3.3.0, updateBaudRate() keeps that clock, so that 921,600 is 2 % off and 2,000,000
 * impossible. Beginning at a high rate selects the fast clock. */
void hil_chip_begin(uint32_t baud) {
  Serial.begin(PROBE);
  if (is_set(PROBE)) {
    fastest = FASTEST;
    Serial.updateBaudRate(baud);
  } else {
    fastest = baud;
    Serial.begin(baud);
  }
}

/* Serial.begin() would reinstall the driver and lose the bytes in its buffer. */
uint8_t hil_chip_set_rate(uint32_t rate, uint8_t apply) {
  if (rate < SLOWEST || rate > fastest) {
    return 0;
  }
  if (apply) {
    Serial.updateBaudRate(rate);
    return is_set(rate);
  }
  return 1;
}
#endif

#if HIL_WATCHDOG_MS
static bool watched;

/* The task watchdog already watches the idle task, which a network starves on a single-core chip.
 * This sets one timeout for both tasks. */
static esp_err_t wait_long(void) {
#if ESP_IDF_VERSION_MAJOR >= 5
  esp_task_wdt_config_t config = {};
  esp_err_t result;

  config.timeout_ms = HIL_WATCHDOG_MS;
  config.idle_core_mask = 1u;
  config.trigger_panic = true;
  result = esp_task_wdt_reconfigure(&config);
  return result == ESP_ERR_INVALID_STATE ? esp_task_wdt_init(&config) : result; /* not running */
#else
  return esp_task_wdt_init((HIL_WATCHDOG_MS + 999u) / 1000u, true);
#endif
}

/* With the SDK's timeout of 5 s, a long inference would reset the board. So this task, which runs
 * setup() and loop(), is only added if wait_long() succeeds. */
void hil_chip_watch(void) {
  if (wait_long() == ESP_OK) {
    const esp_err_t added = esp_task_wdt_add(NULL);
    watched = added == ESP_OK || esp_task_wdt_status(NULL) == ESP_OK; /* or was added before */
  }
  if (!watched) { /* HELLO reports it */
    const size_t length = strlen(hil_chip_name);
    snprintf(hil_chip_name + length, sizeof hil_chip_name - length, ", no watchdog");
  }
}

void hil_chip_alive(void) {
  if (watched) {
    esp_task_wdt_reset();
  }
}
#endif

/* Lets the idle task run, which its watchdog requires. */
void hil_chip_idle(void) { delay(1); }
#endif

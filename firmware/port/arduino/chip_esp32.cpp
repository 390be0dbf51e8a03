/* ESP32, S2, S3 (Xtensa) and C3 (RISC-V), with Espressif's Arduino core 2 or 3. */
#include "chip.h"

#ifdef HIL_CHIP_ESP32
#include <Arduino.h>
#include <esp_idf_version.h>
#include <esp_task_wdt.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

char hil_chip_name[64] = "ESP32";

extern "C" {
extern uint8_t _data_start, _data_end, _bss_start, _bss_end; /* of the linker: internal RAM */
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

/* CCOUNT on Xtensa. The C3 has no mcycle (reading it traps): its own counter, CSR 0x7e2. */
uint32_t hil_chip_cycles(void) { return ESP.getCycleCount(); }

#ifdef HIL_CHIP_HAS_RATE
/* 5 Mbaud is the UART's limit. begin() would install the driver anew and lose what it holds. */
uint8_t hil_chip_set_rate(uint32_t rate, uint8_t apply) {
  if (rate < 1200u || rate > 5000000u) {
    return 0;
  }
  if (apply) {
    Serial.updateBaudRate(rate);
  }
  return 1;
}
#endif

#ifdef HIL_CHIP_WATCHDOG
/* The task watchdog looks after the idle task already, which a network starves on a chip of one
 * core; after this it waits as long for both. */
void hil_chip_watch(void) {
#if ESP_IDF_VERSION_MAJOR >= 5
  const esp_task_wdt_config_t config = {HIL_WATCHDOG_MS, 1u, true};
  esp_task_wdt_reconfigure(&config);
#else
  esp_task_wdt_init((HIL_WATCHDOG_MS + 999u) / 1000u, true);
#endif
  esp_task_wdt_add(NULL); /* this task, which runs setup() and loop() */
}

void hil_chip_alive(void) { esp_task_wdt_reset(); }
#endif

/* Lets the idle task run, or its watchdog barks. */
void hil_chip_idle(void) { delay(1); }
#endif

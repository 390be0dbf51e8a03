// SPDX-License-Identifier: Apache-2.0
/* The Arduino port on an ESP32: the clock of its UART, its task watchdog and the stack of its loop
 * task, as in the Arduino core of a given version. Prints NAME=VALUE lines.
 *   esp32 stack OFFSET
 *   esp32 rate SOURCE RATE...   the real rates, or "refused", or "failed" when applied
 *   esp32 watchdog FAULT */
#include <stdlib.h>

#include "Arduino.h"
#include "chip.h"
#include "esp_task_wdt.h"
#include "task.h"

extern "C" {
uint8_t _data_start, _data_end, _bss_start, _bss_end;
unsigned long micros(void) { return 0; }
unsigned long millis(void) { return 0; }
void delay(uint32_t) {}
uint8_t *pxTaskGetStackStart(TaskHandle_t) { return task_stack; }
}
size_t getArduinoLoopTaskStackSize(void) { return TASK_STACK; }
HardwareSerial Serial;
EspClass ESP;

/* ---- The UART: a divider, in sixteenths, of the clock that the core chose. */
enum { REF_TICK = 1000000, APB = 80000000, XTAL = 40000000 };

static struct {
  uint32_t ref_tick_limit; /* begin() uses REF_TICK up to this rate */
  bool update_chooses;     /* updateBaudRate() also chooses the clock */
  bool update_is_slow;     /* updateBaudRate() uses REF_TICK */
  uint32_t fast;
  uint32_t source, divider;
} uart;

static uint32_t chosen(unsigned long baud) {
  return baud <= uart.ref_tick_limit ? (uint32_t)REF_TICK : uart.fast;
}

static void divide(unsigned long baud) {
  uart.divider = (uint32_t)(((uint64_t)uart.source << 4) / baud);
}

void HardwareSerial::begin(unsigned long baud) {
  uart.source = chosen(baud);
  divide(baud);
}

#if ESP_IDF_VERSION_MAJOR >= 5
bool HardwareSerial::updateBaudRate(unsigned long baud) {
#else
void HardwareSerial::updateBaudRate(unsigned long baud) {
#endif
  if (uart.update_chooses) {
    uart.source = chosen(baud);
  }
  if (uart.update_is_slow) {
    uart.source = REF_TICK;
  }
  divide(baud);
#if ESP_IDF_VERSION_MAJOR >= 5
  return true; /* even if the rate is wrong */
#endif
}

/* Computed from the registers, as uart_get_baudrate() does. */
uint32_t HardwareSerial::baudRate() {
  return uart.divider ? (uint32_t)(((uint64_t)uart.source << 4) / uart.divider) : 0;
}

/* The rate on the wire: the hardware's divider is at least 1. */
static uint32_t wire_rate(void) { return uart.divider >= 16 ? Serial.baudRate() : 0; }

/* ---- The task watchdog. */
static struct {
  bool started, idle, task;
  uint32_t timeout_ms, resets;
  int fault; /* what the next change returns */
} watchdog = {true, true, false, 5000, 0, ESP_OK};

static esp_err_t configure(uint32_t timeout_ms, bool panic) {
  if (watchdog.fault != ESP_OK) {
    return watchdog.fault;
  }
  watchdog.started = panic;
  watchdog.timeout_ms = timeout_ms;
  return ESP_OK;
}

extern "C" {
#if ESP_IDF_VERSION_MAJOR >= 5
esp_err_t esp_task_wdt_init(const esp_task_wdt_config_t *config) {
  if (watchdog.started) {
    return ESP_ERR_INVALID_STATE;
  }
  watchdog.idle = config->idle_core_mask == 1;
  return configure(config->timeout_ms, config->trigger_panic);
}

esp_err_t esp_task_wdt_reconfigure(const esp_task_wdt_config_t *config) {
  if (!watchdog.started) {
    return ESP_ERR_INVALID_STATE;
  }
  watchdog.idle = config->idle_core_mask == 1;
  return configure(config->timeout_ms, config->trigger_panic);
}
#else
esp_err_t esp_task_wdt_init(uint32_t timeout_s, bool panic) {
  return configure(1000 * timeout_s, panic);
}
#endif

static bool add_fails;

esp_err_t esp_task_wdt_add(TaskHandle_t) {
  if (!watchdog.started) {
    return ESP_ERR_INVALID_STATE;
  }
  if (watchdog.task) {
    return ESP_ERR_INVALID_ARG;
  }
  watchdog.task = !add_fails;
  return add_fails ? ESP_ERR_NO_MEM : ESP_OK;
}

esp_err_t esp_task_wdt_status(TaskHandle_t) {
  return !watchdog.started ? ESP_ERR_INVALID_STATE : watchdog.task ? ESP_OK : ESP_ERR_NOT_FOUND;
}

esp_err_t esp_task_wdt_reset(void) {
  watchdog.resets++;
  return watchdog.task ? ESP_OK : ESP_ERR_NOT_FOUND;
}
}

/* ---- The commands. */
static void stack_body(void) {
  const size_t begin =
      (size_t)(task_stack - task_memory); /* task_memory lies at a multiple of 64 */
  uint8_t *const watched = task_memory + (begin + 31) / 32 * 32;
  bool kept = true;

  memset(watched, WATCHED, 32); /* shows a store of any value, like a watchpoint */
  hil_port_init(HIL_BAUD);
  say_stack_marks(64);
  for (int i = 0; i < 32; i++) {
    kept = kept && watched[i] == WATCHED;
  }
  printf("guard_kept=%d\n", kept);
}

static int rates(const char *source, char **wanted, int count) {
  uart.fast = APB;
  if (!strcmp(source, "xtal")) { /* S3 and C3 */
    uart.fast = XTAL;
  } else if (!strcmp(source, "3.0.0")) {
    uart.ref_tick_limit = 1000000;
  } else if (!strcmp(source, "3.0.7")) {
    uart.ref_tick_limit = 250000;
  } else if (!strcmp(source, "3.3.11")) {
    uart.ref_tick_limit = 250000;
    uart.update_chooses = true;
  } else if (!strcmp(source, "slow")) { /* a core that always uses REF_TICK */
    uart.ref_tick_limit = 0xFFFFFFFFu;
  } else if (!strcmp(source, "slow_update")) {
    uart.update_is_slow = true;
  } else if (strcmp(source, "apb") != 0) {
    return 2;
  }
  hil_port_init(HIL_BAUD);
  printf("boot=%u\n", (unsigned)wire_rate());
  for (int i = 0; i < count; i++) {
    const uint32_t rate = (uint32_t)strtoul(wanted[i], NULL, 10);
    printf("%u=", (unsigned)rate);
    if (!hil_port_set_baud(rate, 0)) {
      puts("refused");
    } else if (!hil_port_set_baud(rate, 1)) {
      puts("failed");
    } else {
      printf("%u\n", (unsigned)wire_rate());
    }
  }
  hil_port_set_baud(0, 1);
  printf("again=%u\n", (unsigned)wire_rate());
  return 0;
}

static int watch(const char *fault) {
  uint8_t byte;

  uart.fast = APB;
  if (!strcmp(fault, "not_started")) {
    watchdog.started = watchdog.idle = false;
  } else if (!strcmp(fault, "no_memory")) {
    watchdog.fault = ESP_ERR_NO_MEM;
  } else if (!strcmp(fault, "cannot_add")) {
    add_fails = true;
  } else if (!strcmp(fault, "there_already")) {
    watchdog.task = true;
  } else if (strcmp(fault, "none") != 0) {
    return 2;
  }
  hil_port_init(HIL_BAUD);
  hil_port_read(&byte, 1);
  printf("name=%s\nwaits=%u\nidle=%d\ntask=%d\nresets=%u\n", hil_port_board.name,
         (unsigned)watchdog.timeout_ms, watchdog.idle, watchdog.task, (unsigned)watchdog.resets);
  return 0;
}

int main(int count, char **words) {
  if (count < 3) {
    return 2;
  }
  if (!strcmp(words[1], "rate")) {
    return rates(words[2], words + 3, count - 3);
  }
  if (!strcmp(words[1], "watchdog")) {
    return watch(words[2]);
  }
  uart.fast = APB;
  run_task(strtoul(words[2], NULL, 10), stack_body);
  return 0;
}

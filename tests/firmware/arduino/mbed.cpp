// SPDX-License-Identifier: Apache-2.0
/* The Arduino port on Mbed's RTX: which bytes of the main thread's stack does it paint? */
#include "Arduino.h"
#include "chip.h"
#include "task.h"

static const uint32_t MAGIC = 0xE25A2EA5u; /* osRtxStackMagicWord in rtx_os.h */

char hil_chip_name[] = "Mbed";
HardwareSerial Serial;
extern "C" {
uint32_t SystemCoreClock = 480000000;
unsigned long micros(void) { return 0; }
unsigned long millis(void) { return 0; }
}

void HardwareSerial::begin(unsigned long) {}
void hil_chip_init(void) {}
uint32_t hil_chip_ram_static(void) { return 0; }
uint32_t hil_chip_heap_used(void) { return 0; }
uint32_t hil_chip_cycles(void) { return 0; }
void hil_chip_watch(void) {}
void hil_chip_alive(void) {}
void hil_chip_idle(void) {}
hil_stack_t hil_chip_stack(void) { return {task_stack, task_stack + TASK_STACK}; }

static void body(void) {
  uint32_t word;

  memcpy(task_stack, &MAGIC, sizeof MAGIC);
  hil_port_init(HIL_BAUD);
  say_stack_marks(sizeof MAGIC);
  memcpy(&word, task_stack, sizeof word);
  printf("guard_kept=%d\n", word == MAGIC);
}

int main() {
  run_task(0, body);
  return 0;
}

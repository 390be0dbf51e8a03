/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an ATmega's program until it sleeps for good: simavr-run MCU PROGRAM.elf.
 *
 * What the program writes to GPIOR0 becomes standard output, byte by byte. */
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>

enum { GPIOR0 = 0x3E };

static void heard(avr_t *avr, avr_io_addr_t at, uint8_t byte, void *unused) {
  (void)unused;
  avr->data[at] = byte;
  putchar(byte);
}

static void quiet(avr_t *avr, const int level, const char *format, va_list arguments) {
  (void)avr;
  if (level <= LOG_ERROR) {
    vfprintf(stderr, format, arguments);
  }
}

int main(int count, char **words) {
  static elf_firmware_t program;
  avr_t *avr;
  int state;

  avr_global_logger_set(quiet);
  if (count != 3 || elf_read_firmware(words[2], &program) != 0) {
    return 70;
  }
  avr = avr_make_mcu_by_name(words[1]);
  if (!avr) {
    return 70;
  }
  avr_init(avr);
  avr->frequency = 16000000;
  avr_load_firmware(avr, &program);
  avr_register_io_write(avr, GPIOR0, heard, NULL);
  do {
    state = avr_run(avr);
  } while (state != cpu_Done && state != cpu_Crashed);
  return state == cpu_Done ? 0 : 1;
}

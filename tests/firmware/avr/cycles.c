/* SPDX-License-Identifier: Apache-2.0 */
/* Runs single instructions in simavr: for each line `SREG CODE` of standard input (both in hex, the
 * code from its first byte), prints the clock cycles of the first instruction of the code.
 * `interrupt` as the only argument prints the cycles between the last instruction before the
 * vector of timer 0 and the first one in it, as simavr-runner counts them. */
#include <simavr/sim_avr.h>
#include <simavr/sim_core.h>
#include <simavr/sim_interrupts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "response.h"

enum { AT = 0x1000, RAM = 0x0400, STACK = 0x2000, GPIOR0 = 0x3E, TIMSK0 = 0x6E, OVERFLOW_0 = 23 };

static avr_t *chip(void) {
  avr_t *const avr = avr_make_mcu_by_name("atmega2560");

  if (!avr || avr_init(avr) != 0) {
    exit(64);
  }
  avr->frequency = 16000000;
  avr->codeend = avr->flashend;
  return avr;
}

static void prepare(avr_t *avr, unsigned sreg) {
  unsigned i;

  memset(avr->data, 0, 32);
  avr->data[16] = avr->data[17] = 1;
  avr->data[18] = 2;
  for (i = 26; i < 32; i += 2) {
    avr->data[i] = RAM & 0xFF;
    avr->data[i + 1] = RAM >> 8;
  }
  memset(avr->data + 0x200, 0, 0x2000);
  avr->data[GPIOR0] = 1;
  _avr_sp_set(avr, STACK);
  for (i = 0; i < 8; i++) {
    avr->sreg[i] = sreg >> i & 1u;
  }
  avr->interrupt_state = 0;
  avr->pc = AT;
  avr->run_cycle_count = 1; /* one instruction per call */
}

static void one_line(avr_t *avr, unsigned sreg, const char *code) {
  avr_cycle_count_t before;
  unsigned i, byte;

  memset(avr->flash + AT, 0, 16);
  for (i = 0; sscanf(code + 2 * i, "%2x", &byte) == 1; i++) {
    avr->flash[AT + i] = (uint8_t)byte;
  }
  prepare(avr, sreg);
  before = avr->cycle;
  (void)avr_run_one(avr);
  printf("%llu\n", (unsigned long long)(avr->cycle - before));
}

static int interrupt(avr_t *avr) {
  avr_cycle_count_t before;
  unsigned i;

  response_count(avr);
  prepare(avr, 0x80);
  avr->data[TIMSK0] = 1;
  for (i = 0; i < avr->interrupts.vector_count; i++) {
    if (avr->interrupts.vector[i]->vector == OVERFLOW_0) {
      avr_raise_interrupt(avr, avr->interrupts.vector[i]);
    }
  }
  before = avr->cycle;
  avr_service_interrupts(avr);
  printf("%llu", (unsigned long long)(avr->cycle - before));
  if (avr->pc != OVERFLOW_0 * 4u) {
    return 1; /* not at its vector */
  }
  before = avr->cycle;
  avr->flash[OVERFLOW_0 * 4] = 0x18; /* reti */
  avr->flash[OVERFLOW_0 * 4 + 1] = 0x95;
  avr->pc = avr_run_one(avr);
  printf(" %llu\n", (unsigned long long)(avr->cycle - before));
  return avr->pc == AT ? 0 : 1;
}

int main(int argc, char **argv) {
  avr_t *const avr = chip();
  char code[64];
  unsigned sreg;

  if (argc == 2 && strcmp(argv[1], "interrupt") == 0) {
    return interrupt(avr);
  }
  while (scanf("%x %63s", &sreg, code) == 2) {
    one_line(avr, sreg, code);
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// What the SDK needs from a board, where no Arduino core is: elsewhere, its own
// edge-impulse-sdk/porting/arduino has it.
#ifndef ARDUINO
#include <Arduino.h>
#include <edge-impulse-sdk/porting/ei_classifier_porting.h>

void *ei_malloc(size_t size) { return malloc(size); }

void *ei_calloc(size_t count, size_t size) { return calloc(count, size); }

void ei_free(void *memory) { free(memory); }

uint64_t ei_read_timer_us() { return micros(); }

uint64_t ei_read_timer_ms() { return millis(); }

EI_IMPULSE_ERROR ei_run_impulse_check_canceled() { return EI_IMPULSE_OK; }

// The line is for answers.
void ei_printf(const char *, ...) {}

void ei_printf_float(float) {}
#endif

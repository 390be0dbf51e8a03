/* SPDX-License-Identifier: Apache-2.0 */
/* For a sketch on a board without an Arduino core: the parts of Arduino.h that need no hardware.
 * There is no Serial: TinymlHil alone uses the line. */
#ifndef HIL_SKETCH_ARDUINO_H
#define HIL_SKETCH_ARDUINO_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t byte;

/* Constants are readable like any other data here. */
#define PROGMEM
#define F(text) (text)
#define pgm_read_byte(address) (*(const uint8_t *)(address))
#define pgm_read_float(address) (*(const float *)(address))

/* Of the board's clock; an emulated board has virtual time. */
uint32_t millis();
uint32_t micros();
void delay(uint32_t ms);

/* The sketch defines them. */
void setup();
void loop();

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Separates text commands from binary frames on the same line, and collects the commands. */
#ifndef HIL_TEXT_H
#define HIL_TEXT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_TEXT_CHARACTERS 80u /* longest command, without its '%' */
#define HIL_TEXT_END '%'

typedef enum {
  HIL_TEXT_FRAME,    /* the byte belongs to a frame, or lies between frames */
  HIL_TEXT_MORE,     /* the command continues, or the byte has no meaning */
  HIL_TEXT_COMMAND,  /* `line` holds a complete command until the next push */
  HIL_TEXT_TOO_LONG, /* a command ended that was too long to keep */
  HIL_TEXT_DAMAGED   /* a zero inside text: it was a frame that lost its start */
} hil_text_event_t;

/* All zero at boot. */
typedef struct {
  char line[HIL_TEXT_CHARACTERS + 1u];
  uint8_t length; /* HIL_TEXT_CHARACTERS + 1: too long */
  uint8_t inside; /* hil_text.c: the kind of block */
  uint8_t zeros;  /* zeros directly before this byte; 2 means two or more */
} hil_text_t;

/* Takes one byte. A block starts at boot, after a zero, and after the end of a command. It is text
 * if its first byte is 0x20 to 0x7e and fewer than two zeros came directly before it; else it is a
 * frame. */
hil_text_event_t hil_text_push(hil_text_t *text, uint8_t byte);

#ifdef __cplusplus
}
#endif
#endif

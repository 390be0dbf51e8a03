/* Commands in text among binary frames: tells the two apart, and gathers the former. */
#ifndef HIL_TEXT_H
#define HIL_TEXT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_TEXT_CHARACTERS 80u /* of a command, its '%' apart */
#define HIL_TEXT_END '%'

typedef enum {
  HIL_TEXT_FRAME,    /* the byte is a frame's, or between frames */
  HIL_TEXT_MORE,     /* the command goes on; or a byte that means nothing */
  HIL_TEXT_COMMAND,  /* `line` holds a whole one, until the next push */
  HIL_TEXT_TOO_LONG, /* one ended that did not fit; nothing is known of it */
  HIL_TEXT_DAMAGED   /* a zero in its midst: it was a frame that lost its beginning */
} hil_text_event_t;

/* All zero: nothing has come since boot. */
typedef struct {
  char line[HIL_TEXT_CHARACTERS + 1u];
  uint8_t length; /* one more than fit: too long */
  uint8_t inside; /* hil_text.c: which kind of block */
  uint8_t zeros;  /* directly before this byte; two stand for any more */
} hil_text_t;

/* Takes one byte. A block begins after boot, after a zero and after a command's end: with 0x20 to
 * 0x7e it is text, unless two zeros came directly before, and else a frame. */
hil_text_event_t hil_text_push(hil_text_t *text, uint8_t byte);

#ifdef __cplusplus
}
#endif
#endif

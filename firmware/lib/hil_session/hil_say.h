/* Lines of text on their way out, without printf. */
#ifndef HIL_SAY_H
#define HIL_SAY_H

#include "hil_session.h"

/* An AVR keeps constants in RAM unless told otherwise, and has too little of it for words. */
#ifdef __AVR__
#include <avr/pgmspace.h>
#define HIL_WORDS(literal) PSTR(literal)
#else
#define HIL_WORDS(literal) (literal)
#endif

/* Compiled for size: whatever talks waits for the line anyway. */
#define HIL_COLD __attribute__((cold))

/* `literal`, at once. */
#define HIL_SAY(session, literal) hil_say((session), HIL_WORDS(literal), sizeof(literal) - 1u)
/* Whether `word`, which ends with a zero, is `literal`. */
#define HIL_IS(word, literal) hil_is((word), HIL_WORDS(literal))

#ifdef __cplusplus
extern "C" {
#endif

/* For the macros above. */
void hil_say(hil_session_t *session, const char *words, uint32_t length);
int hil_is(const char *word, const char *literal);

/* As strcmp, which takes 700 bytes where it is written for speed. */
int hil_same(const char *one, const char *other);

/* Somebody else's text, `limit` characters at most: what is not printable ASCII becomes '?', and
 * ']' becomes ')', for it ends what every reader looks for. */
void hil_say_text(hil_session_t *session, const char *text, uint8_t limit);

void hil_say_number(hil_session_t *session, uint32_t number);

/* With 9 digits after the point, rounded; "nan" for what is none, or not below 2^32. */
void hil_say_real(hil_session_t *session, float real);

#ifdef __cplusplus
}
#endif
#endif

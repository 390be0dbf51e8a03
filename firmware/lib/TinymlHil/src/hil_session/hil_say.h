/* SPDX-License-Identifier: Apache-2.0 */
/* Sends text, without printf. */
#ifndef HIL_SAY_H
#define HIL_SAY_H

#include "hil_context.h"

/* An AVR keeps constants in RAM unless told otherwise, and has too little RAM for text. */
#ifdef __AVR__
#include <avr/pgmspace.h>
#define HIL_WORDS(literal) PSTR(literal)
#else
#define HIL_WORDS(literal) (literal)
#endif

/* Compiles a function for size: code that prints waits for the line anyway. */
#define HIL_COLD __attribute__((cold))

/* Sends `literal`. */
#define HIL_SAY(session, literal) hil_say((session), HIL_WORDS(literal), sizeof(literal) - 1u)
/* Whether the zero-terminated `word` equals `literal`. */
#define HIL_IS(word, literal) hil_is((word), HIL_WORDS(literal))

#ifdef __cplusplus
extern "C" {
#endif

/* For the macros above. */
void hil_say(hil_session_t *session, const char *words, uint32_t length);
int hil_is(const char *word, const char *literal);

/* Whether two strings are equal. A strcmp that is optimised for speed takes 700 bytes. */
int hil_same(const char *one, const char *other);

/* Sends at most `limit` characters of untrusted text: anything but printable ASCII becomes '?', and
 * ']' becomes ')', because readers search for ']' as the end. */
void hil_say_text(hil_session_t *session, const char *text, uint8_t limit);

void hil_say_number(hil_session_t *session, uint32_t number);

/* Rounded to 9 decimals; "nan" for NaN and for magnitudes from 2^32 on. */
void hil_say_real(hil_session_t *session, float real);

#ifdef __cplusplus
}
#endif
#endif

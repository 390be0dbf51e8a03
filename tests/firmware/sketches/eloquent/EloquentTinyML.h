/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for EloquentTinyML 2.4, of which nothing is in this repository: the sketch includes it. */
#ifndef ELOQUENT_FOR_TESTS_H
#define ELOQUENT_FOR_TESTS_H

#include <Arduino.h>

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* TinyMaix's sources, compiled with the port of this folder in place of its include/tm_port.h. */
#include "tinymaix_port.h" /* first */

/* the sources, in any order */
#include <tm_layers.c>
#include <tm_model.c>

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ESP_IDF_VERSION_MAJOR
#error "say -DESP_IDF_VERSION_MAJOR=4 (Arduino core 2) or 5 (core 3)"
#endif

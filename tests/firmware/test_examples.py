# SPDX-License-Identifier: Apache-2.0
"""The C programs in examples/: the one for bare metal runs in QEMU; those for ESP-IDF and Zephyr
are compiled against stand-ins of the functions that they use."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import Encoding
from hil.device import Device
from tests.support.bare_metal import start_up
from tests.support.firmware import DEVICE, DIGITS, LIBRARY, PROJECT, SOURCES, run
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(300)]
EXAMPLES = PROJECT / "examples"
M7 = ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard")
WARNINGS = ("-Wall", "-Wextra", "-Werror")
BOARD = """
name = "bare"
title = "QEMU mps2-an500 with its UART as a pty"
pio_env = "mps2"
[clock]
unit = "none"
[emulator]
command = [
  "qemu-system-arm", "-M", "mps2-an500", "-display", "none", "-monitor", "none",
  "-chardev", "pty,id=hil", "-serial", "chardev:hil", "-kernel", "{elf}",
]
port_pattern = "char device redirected to (\\\\S+)"
package = "qemu-system-arm"
"""


def test_bare_metal_answers_over_a_uart(tmp_path: Path) -> None:
    needs(missing_tools(load_board("mps2")))
    files = [EXAMPLES / "bare-metal" / "main.c", *DEVICE, *LIBRARY]
    elf = tmp_path / "firmware.elf"
    words = ["arm-none-eabi-gcc", *M7, "-Os", "-std=c11", *WARNINGS, "--specs=nano.specs"]
    words += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    words += [f"-I{SOURCES}", *start_up("mps2_an500")]
    run([*words, *map(str, files), "-lm", "-o", str(elf)])
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "bare.toml").write_text(BOARD)
    with open_board(load_board("bare", tmp_path), elf) as link:
        device = Device(link)
        hello = device.hello()
        (answer,) = device.infer(0, Encoding.PIXELS, [DIGITS[0].tobytes()])
    assert (hello.board, hello.has_micros, hello.window) == ("mps2-an500, UART 0", True, 1)
    halves = np.frombuffer(answer.result.output, "<f4")
    assert halves.tolist() == DIGITS[0].reshape(2, -1).sum(axis=1).tolist()


IDF = {
    "driver/uart.h": """
#include <stddef.h>
#include <stdint.h>
typedef enum { UART_NUM_0 } uart_port_t;
typedef enum { UART_DATA_8_BITS = 3 } uart_word_length_t;
typedef enum { UART_PARITY_DISABLE } uart_parity_t;
typedef enum { UART_STOP_BITS_1 = 1 } uart_stop_bits_t;
typedef enum { UART_HW_FLOWCTRL_DISABLE } uart_hw_flowcontrol_t;
typedef struct {
  int baud_rate;
  uart_word_length_t data_bits;
  uart_parity_t parity;
  uart_stop_bits_t stop_bits;
  uart_hw_flowcontrol_t flow_ctrl;
} uart_config_t;
typedef int esp_err_t;
#define ESP_ERROR_CHECK(x) ((void)(x))
#define CONFIG_ESP_MAIN_TASK_STACK_SIZE 3584
esp_err_t uart_driver_install(uart_port_t, int, int, int, void *, int);
esp_err_t uart_param_config(uart_port_t, const uart_config_t *);
int uart_read_bytes(uart_port_t, void *, uint32_t, uint32_t);
int uart_write_bytes(uart_port_t, const void *, size_t);
void app_main(void);
""",
    "esp_heap_caps.h": "#define MALLOC_CAP_8BIT 4\nsize_t heap_caps_get_total_size(uint32_t);\n"
    "size_t heap_caps_get_free_size(uint32_t);\n",
    "esp_timer.h": "int64_t esp_timer_get_time(void);\n",
    "freertos/FreeRTOS.h": "",
    "freertos/task.h": "void vTaskDelay(uint32_t);\n"
    "uint32_t uxTaskGetStackHighWaterMark(void *);\n",
}
ZEPHYR = {
    "zephyr/device.h": """
#include <stddef.h>
#include <stdint.h>
struct device { int unused; };
extern const struct device console_stub;
#define DT_CHOSEN(name) name
#define DEVICE_DT_GET(node) (&console_stub)
#define CONFIG_BOARD "stub"
#define CONFIG_MAIN_STACK_SIZE 4096
""",
    "zephyr/drivers/uart.h": "int uart_poll_in(const struct device *, unsigned char *);\n"
    "void uart_poll_out(const struct device *, unsigned char);\n",
    "zephyr/kernel.h": """
#define ARG_UNUSED(x) (void)(x)
struct k_thread;
int64_t k_uptime_ticks(void);
uint64_t k_ticks_to_us_floor64(uint64_t);
uint32_t k_cycle_get_32(void);
uint32_t k_uptime_get_32(void);
int sys_clock_hw_cycles_per_sec(void);
struct k_thread *k_current_get(void);
int k_thread_stack_space_get(const struct k_thread *, size_t *);
""",
}


@pytest.mark.parametrize(
    ("main", "headers"), [("esp-idf/main/main.c", IDF), ("zephyr/src/main.c", ZEPHYR)]
)
def test_a_program_for_an_operating_system_compiles(
    main: str, headers: dict[str, str], tmp_path: Path
) -> None:
    needs([tool for tool in ("gcc",) if not shutil.which(tool)])
    for name, text in headers.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#pragma once\n{text}")
    words = ["gcc", "-std=gnu11", *WARNINGS, "-O2", f"-I{SOURCES}", f"-isystem{tmp_path}"]
    run([*words, "-c", str(EXAMPLES / main), "-o", str(tmp_path / "main.o")])


@pytest.mark.parametrize("name", ["esp-idf/main", "zephyr"])
def test_the_build_file_names_folders_that_exist(name: str) -> None:
    """Its `library` is the library's folder, and it takes the sources of these folders."""
    text = (EXAMPLES / name / "CMakeLists.txt").read_text()
    above = text.split("${CMAKE_CURRENT_LIST_DIR}/")[1].split(")")[0]
    assert (EXAMPLES / name / above).resolve() == SOURCES
    for folder in ("", "hil_session/", "hil_wire/"):
        assert f"${{library}}/{folder}*.c" in text

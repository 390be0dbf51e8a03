# SPDX-License-Identifier: Apache-2.0
"""What a network takes on a board: by a link, by an estimate, or at least."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil.bench.cases import Image, Network
from hil.bench.lab import Firmware, RealLab
from hil.bench.networks import read_network
from hil.bench.sizing import Need, Sizer, buffers, in_a_sketch
from hil.bench.smaller import Sized, int8_beside, smaller
from hil.boards.config import Around, Board, BoardMemory, load_board
from hil.boards.station import missing_tools
from hil.core.errors import BuildFailed, DoesNotFit
from hil.engines import ENGINES
from hil.firmware import Footprint, Share
from tests.support.benches import PROJECT
from tests.support.needs import needs as require

MODELS = PROJECT / "models" / "digits"
ROOM = BoardMemory(flash=400_000, ram=60_000, stack=1_000)


def network(name: str) -> Network:
    return read_network(name, MODELS / f"{name}.tflite")


STUDENT, WIDE = network("student_int8"), network("teacher_float32")


def board(name: str = "mine", **changes: object) -> Board:
    """A board whose compiler is not known; ``changes`` replace fields."""
    base = load_board("mps2", PROJECT)
    fields = {"name": name, "pio_env": name, "memory": ROOM, **changes}
    return msgspec.structs.replace(base, **fields)


class Links:
    """Links every image to these sizes, or fails with ``problem``."""

    def __init__(self, problem: BuildFailed | None = None) -> None:
        self.problem = problem
        self.built: list[tuple[str, str]] = []

    def build(self, image: Image, _: Path) -> Firmware:
        name = image.networks[0].name
        self.built.append((image.board.name, name))
        if self.problem and name != "probe":
            raise self.problem
        arena = ENGINES["aot"].at_least(image.networks[0].graph)[1]
        around = 700 + buffers(image.networks[0].graph)
        shares = (
            Share(".text", "engine", 3_000, 0, 0),
            Share(".text", "firmware", 9_000, 0, 0),
            Share(".rodata", f"model {name}", 5_000, 0, 0),
            Share(".bss", "arena", 0, arena, 0),
            Share(".bss", "firmware", 0, around, 0),
        )
        return Firmware(None, "", "", 17_000, arena + around, Footprint(shares, arena, None))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler of env mps2, and no other, is installed."""

    def links_for(self: Sizer, one: Board, _: str) -> bool:
        return one.pio_env == "mps2" and self.link

    monkeypatch.setattr(Sizer, "_links_for", links_for)


def sizer(links: Links, *boards: Board, link: bool = True) -> Sizer:
    return Sizer(PROJECT, links, {one.name: one for one in boards}, link)


@pytest.mark.usefixtures("installed")
def test_a_link_is_exact_and_done_once() -> None:
    links = Links()
    here = board("mps2", pio_env="mps2")
    sizes = sizer(links, here)
    for _ in range(2):
        need = sizes.need(here, "aot", STUDENT)
    assert links.built == [("mps2", "student_int8")]
    assert (need.how, need.error, need.ram_error) == ("linked", 0, 0)
    assert (need.flash, need.constants, need.code) == (17_000, 5_000, 3_000)
    assert need.static == need.arena + buffers(STUDENT.graph) + 700


@pytest.mark.usefixtures("installed")
def test_an_estimate_adds_what_is_around_a_network() -> None:
    """Constants and arena by aot's plan, the code by the twin's link."""
    twin = board("mps2", pio_env="mps2")
    far = board(around=Around(flash=100_000, ram=40_000, error=6_000, like="mps2"))
    links = Links()
    need = sizer(links, twin, far).need(far, "aot", STUDENT)
    flash, arena = ENGINES["aot"].at_least(STUDENT.graph)
    assert links.built == [("mps2", "student_int8")]
    assert need.how == "estimated"
    assert need.flash == 100_000 + need.constants + 3_000
    assert need.constants >= flash
    assert need.static == 40_000 + arena + buffers(STUDENT.graph)
    assert (need.error, need.ram_error) == (6_000, 3_000)
    alone = sizer(links, far).need(far, "aot", STUDENT)  # the twin is not known
    assert alone.error > need.error
    assert abs(alone.flash - need.flash) < alone.error + 3_000


def test_without_facts_only_a_no_is_certain() -> None:
    far = board()
    need = sizer(Links(), far).need(far, "aot", STUDENT)
    assert (need.how, need.code, need.fits(ROOM)) == ("network", 0, None)
    tiny = BoardMemory(flash=need.constants - 1, ram=60_000)
    assert need.fits(tiny) is False


@pytest.mark.usefixtures("installed")
def test_what_the_linker_says_of_an_overflow_is_exact() -> None:
    """The other memory is estimated from a small network, which shows what is around."""
    here = board("mps2", pio_env="mps2")
    links = Links(DoesNotFit("too large", "", memory="ram", over=123))
    need = sizer(links, here).need(here, "aot", STUDENT)
    assert links.built == [("mps2", "student_int8"), ("mps2", "probe")]
    assert need.static == ROOM.ram - ROOM.stack + 123
    assert (need.how, need.ram_error, need.fits(ROOM)) == ("estimated", 0, False)
    assert need.spare(ROOM).ram == -123


@pytest.mark.usefixtures("installed")
def test_a_network_that_cannot_fit_is_not_linked() -> None:
    """Its float32 weights alone are larger than the flash."""
    here = board("mps2", pio_env="mps2", memory=BoardMemory(flash=10_000, ram=60_000))
    links = Links()
    need = sizer(links, here).need(here, "aot", WIDE)
    assert ("mps2", WIDE.name) not in links.built
    assert need.fits(here.memory or ROOM) is False


@pytest.mark.parametrize(
    ("flash", "ram", "expected"),
    [
        (90, 80, True),
        (95, 80, None),
        (105, 80, None),
        (106, 80, None),
        (107, 80, False),
        (90, 93, None),
    ],
)
def test_near_the_limit_nothing_is_claimed(flash: int, ram: int, expected: bool | None) -> None:
    need = Need("estimated", flash, 0, 1, ram, 0, 0, error=6, ram_error=3)
    room = BoardMemory(flash=100, ram=100, stack=5)
    assert need.fits(room) is expected


def test_constants_that_code_cannot_read() -> None:
    need = Need("linked", 500, 300, 1, 10, 0, 0)
    room = BoardMemory(flash=1_000, ram=100, constants=299)
    assert need.fits(room) is False
    assert need.spare(room).constants == -1
    assert need.fits(msgspec.structs.replace(room, constants=300)) is True


def test_a_board_short_of_ram_has_a_smaller_buffer() -> None:
    graph = read_network("student", PROJECT / "models" / "mnist" / "student_int8.tflite").graph
    short = BoardMemory(flash=1, ram=1, small_requests=True)
    # 784 values: in float32 or int8, again for MLPerf Tiny, one in 128, and ten outputs
    assert buffers(graph) == 4 * 784 + 24 + 784 + 10
    assert buffers(graph, short) == 784 + 6 + 784 + 10
    assert in_a_sketch(graph, Need("linked", 0, 0, 0, 9_000, 0, buffers(graph))).buffers == 794


# --- hints ---


def hints(one: Network, need: Need, around: Around | None = None) -> tuple[str, ...]:
    far = board(around=around)
    sizes = sizer(Links(), far)
    assert far.memory
    return smaller(one, "aot", [Sized(far, far.memory, need)], sizes)


def needs(flash: int = 1, ram: int = 1, arena: int = 0, taken: int = 0) -> Need:
    return Need("linked", flash, 1, 1, ram, arena, taken)


def test_a_network_that_fits_gets_no_hint() -> None:
    assert hints(WIDE, needs()) == ()


def test_the_int8_file_beside_a_float32_one_is_tried() -> None:
    found = int8_beside(WIDE)
    assert found is not None
    assert found.path.name == "teacher_int8.tflite"
    around = Around(flash=100, ram=100, error=10)
    (said, *_) = hints(WIDE, needs(flash=500_000), around=around)
    assert said == "its int8 version, teacher_int8.tflite, fits mine"
    (said, *_) = hints(WIDE, needs(flash=500_000), around=Around(399_000, 100, 10))
    assert said.endswith("does not fit these boards either")


def test_without_an_int8_file_its_size_is_computed(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes((MODELS / "student_float32.tflite").read_bytes())
    other = PROJECT / "tests" / "bench" / "data" / "sine_int8.tflite"  # of other shapes
    (tmp_path / "net_int8.tflite").write_bytes(other.read_bytes())
    one = read_network("net", tmp_path / "net.tflite")
    (said, *_) = hints(one, needs(flash=500_000))
    assert said.startswith("int8 weights take about 21,898 B instead of 87,592 B")


def test_a_request_buffer_that_is_too_much_is_named() -> None:
    taken = buffers(STUDENT.graph)
    need = needs(ram=ROOM.ram - ROOM.stack + 1, taken=taken)
    (said,) = hints(STUDENT, need)
    saved = taken - 784 - 10
    assert said.startswith(f"{saved:,} B of the RAM hold the bench's requests")
    assert said.endswith("fits mine")
    assert hints(STUDENT, needs(ram=ROOM.ram + taken, taken=taken)) == ()


# --- with a compiler ---


@pytest.mark.firmware
@pytest.mark.parametrize("name", ["mps2", "rv32", "mega2560"])
def test_an_estimate_is_as_near_as_it_says(name: str) -> None:
    """The link of a network that the estimate does not see."""
    here = load_board(name, PROJECT)
    require(missing_tools(here))
    one = read_network("student", PROJECT / "models" / "mnist" / "student_int8.tflite")
    sizes = Sizer(PROJECT, RealLab(PROJECT), {name: here})
    linked = sizes.need(here, "aot", one)
    assert linked.how == "linked"
    around = sizes.around(here)
    assert around is not None
    there = msgspec.structs.replace(here, around=around)
    estimate = Sizer(PROJECT, RealLab(PROJECT), {name: there}, link=False).need(there, "aot", one)
    assert estimate.how == "estimated"
    assert abs(estimate.flash - linked.flash) <= estimate.error
    assert estimate.arena == pytest.approx(linked.arena, abs=16)  # padding of an AVR
    assert estimate.static == pytest.approx(linked.static, abs=64)

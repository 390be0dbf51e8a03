# SPDX-License-Identifier: Apache-2.0
"""`Device`: sends requests to one board behind one link, and returns the replies.

Requests that the line loses are sent again (`hil.device.stream`, `hil.device.pace`), and only valid
replies are accepted (`hil.device.line`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from hil.core.errors import (
    DeviceRefused,
    HilError,
    LineHopeless,
    LinkError,
    NoAnswer,
    UsageError,
    WrongFirmware,
)
from hil.core.records import ClockSteps, DType, Encoding, Hello, LineCounts, Status
from hil.device.line import END_OF_ALL, QUIET_S, Line, Timing, refused
from hil.device.pace import Pace, Rates
from hil.device.probe import Prober
from hil.device.stream import Answer, Failure, Request, Stream
from hil.device.verdict import verdict
from hil.link import Link
from hil.wire.diagnosis import FLASH_IT
from hil.wire.frames import Frame, check_of, encode_request
from hil.wire.messages import (
    MOST_REPEATS,
    ErrorCode,
    Piece,
    Repeated,
    Reply,
    StateReset,
    clock_request,
    hello_request,
    infer_request,
    layers_request,
    repeat_request,
    reset_request,
    status_request,
)
from hil.wire.packbits import pack
from hil.wire.traces import ENOUGH

T = TypeVar("T", bound=Reply)
REPEAT_S: Final = 30.0  # HIL_REPEAT_MS of the firmware: no inference starts later
CLOCK_S: Final = 1.0  # CLOCK takes this much longer than HELLO: half a second per clock
FLOOD: Final = 8  # damaged frames in a row without a good one: these are not replies


class Device:
    """One board behind one link.

    ``number`` is that of the first request, for runs that must be reproducible to the bit; by
    default it is drawn at random.
    """

    def __init__(
        self,
        link: Link,
        timing: Timing | None = None,
        boot_baud: int | None = None,
        *,
        number: int | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self._line = Line(link, self.timing, number)
        self._pace = Pace(self._line)
        self._rates = Rates(self._line, boot_baud, self.hello)

    @property
    def link(self) -> Link:
        """The port."""
        return self._line.link

    @property
    def bytes_out(self) -> int:
        """Bytes written so far."""
        return self._line.bytes_out

    @property
    def bytes_in(self) -> int:
        """Bytes read so far."""
        return self._line.bytes_in

    @property
    def retries(self) -> int:
        """Requests sent again so far."""
        return self._line.retries

    @property
    def probed(self) -> int:
        """Valid replies to probes of the line, which the board's counters include."""
        return self._line.probed

    @property
    def counts(self) -> LineCounts:
        """What crossed the line so far, and what went wrong on it."""
        return self._line.counts()

    @property
    def printed(self) -> str:
        """The text that the board printed since it last answered HELLO; the latest 8 KB."""
        return self._line.printed

    def diagnosis(self) -> HilError | None:
        """What is wrong with the board, by the text that it printed; None if nothing is known."""
        found = self._line.diagnosis()
        return found.error(self.link.name) if found else None

    def hello(self) -> Hello:
        """What the board reports about itself.

        Repeats HELLO until the board has booted, and sends it again at once when the line damages
        the reply. Raises NoAnswer, WrongFirmware, LineHopeless, or the `diagnosis`.
        """
        line = self._line
        deadline = self.timing.deadline(self.timing.boot)
        heard, good = line.bytes_in, line.frames_in
        asked: dict[int, int] = {}
        while not deadline.expired:
            frame = hello_request(line.number())
            asked[frame.seq] = check_of(frame)
            noise = line.noise
            line.write(END_OF_ALL)
            line.send(encode_request(frame))
            started = line.now()
            attempt = deadline.sooner(self.timing.hello_every)
            while (reply := line.reply(attempt, asked, Hello)) is not None:
                if isinstance(reply[1], Hello):
                    taken = line.now() - started
                    self._pace.answered(Hello, taken, disturbed=line.noise != noise)
                    line.quieten(deadline)
                    line.forget()
                    return reply[1]
                attempt = attempt.sooner(QUIET_S)  # not at once: boot text may hold delimiters
                if attempt.expired:  # text that never ends
                    break
        problem = self._unheard(line.bytes_in > heard, line.frames_in > good, asked)
        raise self._explained(problem, WrongFirmware)

    def _unheard(self, heard: bool, understood: bool, asked: Iterable[int]) -> HilError:
        name = self.link.name
        answers = understood or self._line.traces(asked) >= ENOUGH
        if not answers and (known := self.diagnosis()):
            return known
        if answers:
            return LineHopeless(
                f"HELLO: line {name} is hopeless at {self.link.baud} baud: no intact reply in "
                f"{self.timing.boot:g} s, {self._line.damaged_in} frames arrived damaged",
                "check the cable and its ground, use a shorter one, or lower the baud rate",
            )
        if heard:
            said = self._line.last_text()
            return WrongFirmware(
                f"port {name} sent data for {self.timing.boot:g} s, but not in this protocol"
                + (f': it printed "{said}"' if said else ""),
                f"{FLASH_IT}; if it already runs firmware of this project, check the cable and the "
                "baud rate; raise timeouts.boot if it boots slowly",
            )
        return NoAnswer(
            f"nothing answered on port {name} within {self.timing.boot:g} s",
            "check the port's name (`hil boards` lists ports), and that the firmware runs",
        )

    def rest(self, seconds: float) -> None:
        """Ask nothing for ``seconds``; what arrives meanwhile counts as noise."""
        deadline = self.timing.deadline(seconds)
        while not deadline.expired:
            self._line.reply(deadline, {}, Hello)

    def speed_up(self, rates: Iterable[int]) -> int:
        """Raise the rate to the fastest of ``rates`` (baud) that carries frames; the final rate.

        Stops at firmware without BAUD or at a rate that fails; neither is an error.
        """
        return self._rates.speed_up(rates)

    def slow_down(self) -> None:
        """Return to the boot rate, which the next program that opens the port expects."""
        self._rates.slow_down()

    def status(self, *, reset: bool = False) -> Status:
        """Memory marks and counters; ``reset`` clears both afterwards."""
        usual = self._pace.measured(Hello)  # HELLO takes longer: it prepares the models
        return self.insist(
            lambda seq: status_request(seq, reset=reset), Status, "STATUS", usual=usual
        )

    def clock_steps(self) -> ClockSteps | None:
        """The resolution of the board's clocks; None from firmware without CLOCK."""
        usual = self._pace.measured(Hello)
        usual = None if usual is None else usual + CLOCK_S
        try:
            return self.insist(clock_request, ClockSteps, "CLOCK", usual=usual)
        except DeviceRefused as refusal:
            if refusal.code == ErrorCode.TYPE:
                return None
            raise

    def idle_round_trip(self, rounds: int = 5) -> int:
        """Shortest of ``rounds`` round trips of STATUS, in microseconds: the link's latency."""
        shortest = 0
        for done in range(rounds):
            started = self._line.now()
            self.status()
            taken = round((self._line.now() - started) * 1e6)
            shortest = min(shortest, taken) if done else taken
        return shortest

    def infer(
        self,
        model: int,
        encoding: Encoding,
        inputs: Iterable[bytes],
        *,
        window: int = 1,
        room: int | None = None,
        pack: bool = False,
        first: int = 0,
        sequence: bool = False,
    ) -> Iterator[Answer]:
        """Stream ``inputs`` to model number ``model``, at most ``window`` in flight.

        ``room``: bytes on the line that all requests in flight may take together; a single one is
        always sent. ``pack``: send each input in PackBits where that is shorter, for a board that
        unpacks. Answers come in order; numbering starts at ``first``. ``sequence``: for a model
        with state, whose samples have numbers from 0 on since `reset_state`. One is in flight at a
        time, none is packed, and the board computes none of them twice.

        Raises:
            DeviceRefused: the board refused.
            StateLost: the board is at another step of the sequence.
            NoAnswer: the board is silent.
            LineHopeless: so few frames pass the line that the work would take hours.
        """
        for answer in self.attempt(
            model,
            encoding,
            inputs,
            window=window,
            room=room,
            pack=pack,
            first=first,
            sequence=sequence,
        ):
            if isinstance(answer, Failure):
                raise refused(answer.refusal)
            yield answer

    def attempt(
        self,
        model: int,
        encoding: Encoding,
        inputs: Iterable[bytes],
        *,
        window: int = 1,
        room: int | None = None,
        pack: bool = False,
        first: int = 0,
        sequence: bool = False,
    ) -> Iterator[Answer | Failure]:
        """As `infer`, but an inference that fails on the board is a `Failure`; the others go on.

        Raises as `infer`; DeviceRefused only for requests that the board cannot carry out at all.
        """

        def build(seq: int, request: Request) -> Frame:
            sample = request.index if sequence else None
            return infer_request(
                seq, model, encoding, request.values, packed=request.packed, sample=sample
            )

        stream = Stream(
            self._line,
            self._pace,
            (model, encoding),
            build,
            (_request(i, values, pack and not sequence) for i, values in enumerate(inputs, first)),
            window=1 if sequence else window,
            room=room,
            slower=self._rates.leave,
        )
        return self._explaining(stream.answers(first))

    def _explaining(self, answers: Iterator[Answer | Failure]) -> Iterator[Answer | Failure]:
        try:
            yield from answers
        except (LineHopeless, NoAnswer) as problem:
            raise self._explained(problem) from problem

    def _explained(self, problem: HilError, *also: type[HilError]) -> HilError:
        """``problem``, or what probes of the line say about its cause. Errors of other classes than
        LineHopeless, NoAnswer and ``also`` name their cause themselves."""
        if type(problem) not in (LineHopeless, NoAnswer, *also):
            return problem
        try:
            waited = self.timing.boot if also else self.timing.reply
            if self._pace.silent:
                waited = 0.0  # it has been silent for longer than probes would take
            elif also and type(problem) is LineHopeless:
                waited /= 2  # it boots no more: it answers at once, if damaged
            prober = Prober(self._line, self._pace.measured(Hello), waited)
            found = verdict(prober.evidence())
        except LinkError:
            return problem
        return found.error(f"{problem.what}; {found.what}", found.hint) if found else problem

    def repeat(
        self,
        model: int,
        encoding: Encoding,
        values: bytes,
        count: int,
        *,
        seconds: float = REPEAT_S,
    ) -> Repeated:
        """Run one inference ``count`` times between two edges of the marker pin, without traffic on
        the line meanwhile.

        ``seconds``: how long they take at most; the board stops after `REPEAT_S` by itself, and
        then reports a smaller count. A request that the line loses is sent again (`retries`), and
        the pin may have marked a window for each.

        Raises:
            UsageError: ``count`` is not 1 to `MOST_REPEATS`.
            DeviceRefused: the firmware is older, or the model cannot be repeated.
            NoAnswer, LineHopeless: as `infer`.
        """
        if not 1 <= count <= MOST_REPEATS:
            raise UsageError(
                f"an inference cannot be repeated {count:,} times", f"choose 1 to {MOST_REPEATS:,}"
            )
        return self.insist(
            lambda seq: repeat_request(seq, model, encoding, values, count),
            Repeated,
            "REPEAT",
            patience=min(seconds, REPEAT_S),
        )

    def reset_state(self, model: int) -> None:
        """Let model number ``model`` forget all earlier inferences; raises as `infer`."""
        self.insist(lambda seq: reset_request(seq, model), StateReset, "RESET_STATE")

    def insist(
        self,
        ask: Callable[[int], Frame],
        kind: type[T],
        what: str,
        *,
        usual: float | None = None,
        patience: float = 0.0,
    ) -> T:
        """The reply of ``kind`` to a request that may be sent again; raises as `infer` does.

        ``usual``: the seconds that it usually takes, if known. ``patience``: seconds that the board
        may take for it in addition to those of any request.
        """
        try:
            return self._insist(ask, kind, what, usual, patience)
        except (LineHopeless, NoAnswer) as problem:
            raise self._explained(problem) from problem

    def _insist(
        self,
        ask: Callable[[int], Frame],
        kind: type[T],
        what: str,
        usual: float | None,
        patience: float,
    ) -> T:
        line, pace = self._line, self._pace
        pace.begin()
        asked: dict[int, int] = {}
        babble = 0
        while True:
            frame, noise, started = ask(line.number()), line.noise, line.now()
            asked[frame.seq] = check_of(frame)
            line.send(encode_request(frame), again=len(asked) > 1)
            good = line.frames_in
            wait = pace.timeout(kind, usual) + patience
            reply = line.reply(self.timing.deadline(wait), asked, kind)
            if reply is None:
                line.timed_out()
                pace.timed_out()
            elif isinstance(reply[1], kind):
                pace.answered(kind, line.now() - started, disturbed=line.noise != noise)
                return reply[1]
            babble = babble + 1 if line.frames_in == good else 0
            if babble >= FLOOD:
                line.quieten(self.timing.deadline(self.timing.reply))
                babble = 0
            pace.lost()
            pace.judge(what)


def _request(index: int, values: bytes, pack_it: bool) -> Request:
    if pack_it and len(packed := pack(values)) < len(values):
        return Request(index, packed, packed=True)
    return Request(index, values, packed=False)


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """The output of one layer for one sample, and the number of layers."""

    dtype: DType
    data: bytes
    layers: int


def ask_layer(
    device: Device, model: int, encoding: Encoding, values: bytes, layer: int
) -> LayerOutput:
    """The output of layer number ``layer``, from 0 (or `INPUT_LAYER`): one inference per piece.

    Raises as `Device.infer`; DeviceRefused also when there is no such layer.
    """
    found = bytearray()

    def ask(seq: int) -> Frame:
        return layers_request(seq, model, encoding, values, layer=layer, offset=len(found))

    while True:
        piece = device.insist(ask, Piece, f"LAYERS of layer {layer}")
        if (piece.model, piece.layer, piece.offset) != (model, layer, len(found)):
            raise WrongFirmware(
                f"requested layer {layer} of model {model}, "
                f"but the board sent layer {piece.layer} of model {piece.model}",
                FLASH_IT,
            )
        found += piece.data
        if not piece.data or len(found) == piece.nbytes:
            return LayerOutput(piece.dtype, bytes(found), piece.layers)

# SPDX-License-Identifier: Apache-2.0
"""The call graph of linked firmware, and what each function puts on the stack: of machine code.

So it holds for what the compiler made of the sources and for the C library's own functions, with
one method for every instruction set. A function counts as deep as all its pushes together, on
whichever path they are. A call through a pointer goes wherever the table that is given says; one
of which it says nothing is an error, as is whatever moves the stack pointer by an unknown amount.
"""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LINE: Final = re.compile(r"\s*([0-9a-f]+):\t(\S+)(?:\t([^\t]*))?")  # a comment follows behind a tab
HEAD: Final = re.compile(r"([0-9a-f]+) <(.+)>:$")


@dataclass(frozen=True)
class Machine:
    """How an instruction set calls, as regular expressions of what objdump says: ``calls`` and
    ``jumps`` (calls among them) to an address, ``pointers`` those through a register, ``ends``
    after which the next instruction does not follow, ``tables`` jumps to one of many places.
    ``table``, where it is needed, loads a table's address. ``returns``: bytes that a call itself
    puts on the stack, ``interrupted``: an interrupt's own."""

    tool: str
    calls: str
    jumps: str
    pointers: str
    ends: str
    tables: str
    table: str = ""
    returns: int = 0
    interrupted: int = 0


ARM: Final = Machine(
    "arm-none-eabi-",
    r"blx?$",
    r"(bl|b|b(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le))(\.[nw])?$|cbn?z$",
    r"blx (?=r|ip|lr)|bx (?!lr)|ldr(\.w)? pc|mov pc|add pc",
    r"(b|bx|udf|tb[bh])(\.[nw])? |(pop|ldm).*pc|ldr(\.w)? pc",
    r"tb[bh] ",
    interrupted=108,  # the core's 8 words and the FPU's 18, and one to align them
)
RISCV: Final = Machine(
    "riscv64-unknown-elf-",
    r"jal$",
    r"jal|j|b[a-z]+$",
    r"jalr |jr ",
    r"j |jr |ret|unimp|ebreak",
    r"jr ",
)
XTENSA: Final = Machine(
    "xtensa-lx106-elf-",
    r"call0$",
    r"call0$|j$|b[a-z0-9]+(\.n)?$",
    r"callx0 |jx ",
    r"jx? |ret(\.n)? ?$|ill|break",
    r"jx ",
    r"l32r .*\(([0-9a-f]+) <",  # what pads the code is read as instructions: not all of them count
)
AVR: Final = Machine(
    "avr-",
    r"r?call$",
    r"r?call$|r?jmp$|br[a-z]+$",
    r"e?icall",
    r"r?jmp |reti? ?$|e?ijmp",
    r"e?ijmp",
    returns=3,
    interrupted=3,
)


@dataclass(frozen=True)
class Step:
    """An instruction: takes ``pushes`` bytes of stack, calls or jumps to ``to``, and then the next
    one follows or, where it ``ends``, does not."""

    at: int
    pushes: int
    to: int | None
    calls: bool
    by_pointer: bool
    ends: bool
    said: str
    unknown: str = ""  # why nobody knows ``pushes``


@dataclass
class Function:
    name: str
    start: int
    steps: list[Step] = field(default_factory=list)


def _registers(listed: str) -> int:
    """How many ``{r4, r5-r7, lr}`` names."""
    count = 0
    for part in listed.strip("{} ").split(","):
        first, _, last = part.strip().partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return count


def _arm(op: str, args: str) -> int:
    width = 8 if "{d" in args else 4
    if op.startswith(("push", "vpush")):
        return width * _registers(args)
    if op.startswith(("stmdb", "vstmdb")) and args.startswith("sp!"):
        return width * _registers(args.partition(",")[2])
    if found := re.search(r"\[sp, #-(\d+)\]!", args):
        return int(found[1])
    if found := re.fullmatch(r"(?:sp, )?sp, #(\d+)", args):
        return int(found[1]) if op.startswith("sub") else 0
    moves = re.match(r"(sub|add|mov|bic|and)\S* sp,", f"{op} {args}")
    if moves and "r7" not in args:  # from a frame pointer it only goes back
        raise ValueError(f"{op} {args} moves the stack by nobody knows how much")
    return 0


def _riscv(op: str, args: str) -> int:
    if found := re.fullmatch(r"sp,sp,(-?\d+)", args):
        return max(0, -int(found[1]))
    if found := re.search(r"<__riscv_save_(\d+)>", args):
        return 16 * (int(found[1]) // 4 + 1)  # libgcc's pushes for its caller, in steps of 16
    if (op, args) == ("sub", "sp,sp,t1"):
        return 0  # in them: gives back what was too much
    if re.match(r"(add|sub|mv) sp,(?!s0)", f"{op} {args}"):
        raise ValueError(f"{op} {args} moves the stack by nobody knows how much")
    return 0


class _Xtensa:
    """A frame beyond an ADDI's reach is in a register first."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __call__(self, op: str, args: str) -> int:
        to, _, rest = args.partition(", ")
        if to != "a1":
            self.known.pop(to, None)
            if op.startswith("movi"):
                self.known[to] = int(rest, 0)
            return 0
        if found := re.fullmatch(r"a1, (-?\d+|-?0x[0-9a-f]+)", rest):  # addi, addmi
            return max(0, -int(found[1], 0))
        if (op, args) == ("or", "a1, a1, a1"):
            return 0  # does nothing
        if op in ("sub", "add", "add.n") and rest.removeprefix("a1, ") in self.known:
            more = self.known[rest.removeprefix("a1, ")]
            return max(0, more if op == "sub" else -more)
        if re.match(r"(add|sub|mov|or|and)\S* (?!a15)", f"{op} {rest}"):  # a frame pointer
            raise ValueError(f"{op} {args} moves the stack by nobody knows how much")
        return 0


class _Avr:
    """r29:r28 takes a frame off and is put into the stack pointer a few instructions later."""

    def __init__(self) -> None:
        self.low = self.pending = 0

    def __call__(self, op: str, args: str) -> int:
        if op == "push":
            return 1
        if (op, args) == ("rcall", ".+0"):
            return 3  # room for three bytes in one instruction
        if found := re.fullmatch(r"r28, 0x([0-9A-F]+)", args, re.IGNORECASE):
            self.low = int(found[1], 16)
            if op in ("sbiw", "adiw", "subi"):
                self.pending = self.low if op != "adiw" else 0
        elif found := re.fullmatch(r"r29, 0x([0-9A-F]+)", args, re.IGNORECASE):
            if op == "sbci":
                both = int(found[1], 16) << 8 | self.low
                self.pending = both if both < 0x8000 else 0  # a negative one gives it back
        elif op == "out" and args.startswith("0x3d"):
            if args != "0x3d, r28":
                return 0  # start-up's
            taken, self.pending = self.pending, 0
            return taken
        return 0


def read(machine: Machine, elf: Path, *part: str) -> list[Function]:
    """Every function of ``elf``, by its address; ``part`` are objdump's options that pick some."""
    words = [f"{machine.tool}objdump", "-dC", "--no-show-raw-insn", *part, str(elf)]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    functions: list[Function] = []
    skipped = False  # the instruction before may leave this one out
    pushes: Callable[[str, str], int] = {RISCV.tool: _riscv}.get(machine.tool, _arm)
    kinds: dict[str, Callable[[], Callable[[str, str], int]]] = {
        AVR.tool: _Avr,
        XTENSA.tool: _Xtensa,
    }
    fresh = kinds.get(machine.tool)
    for line in text.splitlines():
        if head := HEAD.match(line):
            functions.append(Function(head[2], int(head[1], 16)))
            pushes = fresh() if fresh else pushes
        elif found := LINE.match(line):
            op, args = found[2], (found[3] or "").partition(" # ")[0].strip()
            said = f"{op} {args}"
            by_pointer = re.match(machine.pointers, said) is not None
            to = _target(line) if re.match(machine.jumps, op) and not by_pointer else None
            ends = re.match(machine.ends, said) is not None and not skipped
            skipped = machine is AVR and re.match(r"sb[ri][cs]$|cpse$", op) is not None
            calls = re.match(machine.calls, op) is not None
            taken, unknown = 0, ""
            try:
                taken = pushes(op, args)
            except ValueError as problem:  # of constants among the code too, which nobody reaches
                unknown = str(problem)
            at = int(found[1], 16)
            step = Step(at, taken, to, calls, by_pointer, ends, said, unknown)
            functions[-1].steps.append(step)
    return sorted(functions, key=lambda function: function.start)


def _target(line: str) -> int | None:
    """Where a call or jump goes: AVR's objdump says it behind the semicolon, as 0x..."""
    found = re.search(r"; 0x([0-9a-f]+)|([0-9a-f]+) <", line.partition(":")[2])
    return int(found[1] or found[2], 16) if found else None


class Bound:
    """Deepest stack from a function on; ``pointers`` names, by regular expressions, whom a
    function that calls through a pointer may call. ValueError for a cycle, naming it."""

    def __init__(self, machine: Machine, elf: Path, pointers: Mapping[str, str]) -> None:
        self.machine = machine
        self._elf = elf
        self.functions = read(machine, elf)
        self._starts = [function.start for function in self.functions]
        self._pointers = pointers
        self._depths: dict[int, int] = {}
        self._below: dict[int, int] = {}

    def at(self, address: int) -> Function:
        """The function that ``address`` lies in."""
        return self.functions[bisect_right(self._starts, address) - 1]

    def named(self, pattern: str) -> list[int]:
        """Where the functions begin whose whole name matches."""
        wanted = re.compile(pattern)
        return [one.start for one in self.functions if wanted.fullmatch(one.name)]

    def depth(self, entry: int, above: tuple[tuple[int, bool], ...] = ()) -> int:
        """Bytes from the address ``entry`` on: of a function, or of the rest of one whose middle
        another jumps to, as a library's assembler does. ``above``: entries on the way here, and
        whether each is left by a call or by a jump."""
        entries = [one for one, _ in above]
        if entry in entries:
            cycle = above[entries.index(entry) :]
            if not any(called or self._frame(one) for one, called in cycle):
                return 0  # labels of one assembler function, and a loop
            names = [self.at(one).name for one in (*entries[entries.index(entry) :], entry)]
            raise ValueError(f"recursion: {' -> '.join(names)}")
        if entry not in self._depths:
            deepest = 0
            for to, called in self._leads_to(entry):
                found = self.depth(to, (*above, (entry, called)))
                if (found := found + self.machine.returns * called) > deepest:
                    deepest, self._below[entry] = found, to
            self._depths[entry] = self._frame(entry) + deepest
        return self._depths[entry]

    def _reached(self, entry: int) -> list[Step]:
        """What is run from ``entry`` on within its function; all of it where a table says where
        a jump goes."""
        function = self.at(entry)
        jumps = [
            number
            for number, step in enumerate(function.steps)
            if re.match(self.machine.tables, step.said)
        ]
        if jumps and not self.machine.table:
            return function.steps
        found: dict[int, Step] = {}
        steps: dict[int, int] = {}
        todo = [entry]
        for number in jumps:
            todo += self._table(function, number)
        while todo:
            at = todo.pop()
            if at in found:
                continue
            if at not in steps:
                if all(step.at != at for step in function.steps):
                    self._read_again(function, at)
                steps = {step.at: number for number, step in enumerate(function.steps)}
            number = steps[at]
            step = found[at] = function.steps[number]
            if step.to is not None and not step.calls and self.at(step.to) is function:
                todo.append(step.to)
            if not step.ends and number + 1 < len(function.steps):
                todo.append(function.steps[number + 1].at)
        return [found[at] for at in sorted(found)]

    def _table(self, function: Function, number: int) -> list[int]:
        """Where the jump that is step ``number`` goes: addresses in a table, as long as they lie
        in the function. Its own address is loaded shortly before."""
        before = function.steps[max(0, number - 6) : number]
        loads = [found for step in before if (found := re.match(self.machine.table, step.said))]
        if not loads:
            raise ValueError(f"{function.name} jumps: where to?")
        address = int(loads[-1][1], 16)
        end = self._starts[bisect_right(self._starts, function.start)]
        part = ["-s", f"--start-address={address:#x}", f"--stop-address={address + 1024:#x}"]
        words = [f"{self.machine.tool}objdump", *part, str(self._elf)]
        text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
        lines = re.findall(r"^ [0-9a-f]+ ((?:[0-9a-f]{2,8} ){1,4})", text, re.MULTILINE)
        data = bytes.fromhex("".join(lines).replace(" ", ""))
        goes: list[int] = []
        for at in range(0, len(data) - 3, 4):
            to = int.from_bytes(data[at : at + 4], "little")
            if not function.start <= to < end:
                break
            goes.append(to)
        return goes

    def _read_again(self, function: Function, at: int) -> None:
        """From ``at`` on, which is jumped to: what pads the code before it is no instruction, and
        objdump takes it for the beginning of one."""
        after = bisect_right(self._starts, function.start)
        part = [f"--start-address={at:#x}"]
        if after < len(self._starts):
            part.append(f"--stop-address={self._starts[after]:#x}")
        again = [step for one in read(self.machine, self._elf, *part) for step in one.steps]
        function.steps = [step for step in function.steps if step.at < at] + again

    def _frame(self, entry: int) -> int:
        reached = self._reached(entry)
        for step in reached:
            if step.unknown:
                raise ValueError(f"{self.at(entry).name}: {step.unknown}")
        return sum(step.pushes for step in reached)

    def _leads_to(self, entry: int) -> Iterator[tuple[int, bool]]:
        function = self.at(entry)
        reached = self._reached(entry)
        for step in reached:
            if step.by_pointer:
                rows = [
                    to for who, to in self._pointers.items() if re.fullmatch(who, function.name)
                ]
                if not rows:
                    raise ValueError(f"{function.name} calls through a pointer: whom?")
                yield from ((to, True) for to in self.named("|".join(rows)))
            elif step.to and (step.calls or self.at(step.to) is not function):
                yield step.to, step.calls  # to 0: a weak function that is not there, nor called
        if reached[-1] is function.steps[-1] and not reached[-1].ends:
            after = bisect_right(self._starts, function.start)
            yield self._starts[after], False

    def of(self, pattern: str) -> int:
        """The deepest of the functions whose name matches."""
        found = self.named(pattern)
        if not found:
            raise ValueError(f"no function is called {pattern}")
        return max(map(self.depth, found))

    def path(self, name: str) -> list[str]:
        """The deepest chain of calls from ``name`` on, with each one's own bytes."""
        entry: int | None = self.named(name)[0]
        self.of(name)
        chain = []
        while entry is not None:
            chain.append(f"{self.at(entry).name} {self._frame(entry)}")
            entry = self._below.get(entry)
        return chain

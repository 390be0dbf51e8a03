# SPDX-License-Identifier: Apache-2.0
"""The call graph of linked firmware, and the stack that each function uses, from machine code.

Machine code includes what the compiler generated and the C library's functions, and one method
serves every instruction set. The depth of a function is the sum of all its pushes, on whichever
path they are. The caller supplies a table of the functions that are called through pointers. A
pointer call that is not in the table is an error, as is an instruction that moves the stack pointer
by an unknown amount.
"""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LINE: Final = re.compile(r"\s*([0-9a-f]+):\t(\S+)(?:\t([^\t]*))?")  # a comment follows after a tab
HEAD: Final = re.compile(r"([0-9a-f]+) <(.+)>:$")


@dataclass(frozen=True)
class Machine:
    """How an instruction set calls, as regular expressions for objdump's output.

    ``calls`` and ``jumps`` (which include calls) go to an address, ``pointers`` through a register.
    After ``ends`` the next instruction is not executed. ``tables`` jump to one of several places;
    ``table`` loads a table's address, if the machine needs it. ``returns`` is the number of bytes
    that a call pushes, ``interrupted`` the number that an interrupt pushes.
    """

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
    r"(bl|b|b(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le))(\.[nw])?$|cbn?z$|(le|wls)(tp)?(\.\w+)?$",
    r"blx (?=r|ip|lr)|bx (?!lr)|ldr(\.w)? pc, (?!\[sp\], #4)|mov pc|add pc",
    r"(b|bx|udf|tb[bh])(\.[nw])? |(pop|ldm).*pc|ldr(\.w)? pc",
    r"tb[bh] ",
    interrupted=108,  # 8 words of the core, 18 of the FPU, and one for alignment
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
    r"l32r .*\(([0-9a-f]+) <",  # padding looks like instructions, so not all code is executed
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
    """An instruction: pushes ``pushes`` bytes, calls or jumps to ``to``; if it ``ends``, the next
    one does not follow."""

    at: int
    pushes: int
    to: int | None
    calls: bool
    by_pointer: bool
    ends: bool
    said: str
    unknown: str = ""  # why ``pushes`` is not known


@dataclass
class Function:
    name: str
    start: int
    steps: list[Step] = field(default_factory=list)


def _registers(listed: str) -> int:
    """The number of registers in a list like ``{r4, r5-r7, lr}``."""
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
    if moves and "r7" not in args:  # from a frame pointer it only frees
        raise ValueError(f"{op} {args} moves the stack by an unknown amount")
    return 0


def _riscv(op: str, args: str) -> int:
    if found := re.fullmatch(r"sp,sp,(-?\d+)", args):
        return max(0, -int(found[1]))
    if found := re.search(r"<__riscv_save_(\d+)>", args):
        return 16 * (int(found[1]) // 4 + 1)  # libgcc pushes for its caller, in steps of 16
    if (op, args) == ("sub", "sp,sp,t1"):
        return 0  # inside those functions: frees the excess
    if re.match(r"(add|sub|mv) sp,(?!s0)", f"{op} {args}"):
        raise ValueError(f"{op} {args} moves the stack by an unknown amount")
    return 0


class _Xtensa:
    """A frame too large for an ADDI is loaded into a register first."""

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
            return 0  # a no-op
        if op in ("sub", "add", "add.n") and rest.removeprefix("a1, ") in self.known:
            more = self.known[rest.removeprefix("a1, ")]
            return max(0, more if op == "sub" else -more)
        if re.match(r"(add|sub|mov|or|and)\S* (?!a15)", f"{op} {rest}"):  # a frame pointer
            raise ValueError(f"{op} {args} moves the stack by an unknown amount")
        return 0


class _Avr:
    """The frame is subtracted from r29:r28, which is copied to the stack pointer later."""

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
                self.pending = both if both < 0x8000 else 0  # a negative number frees it
        elif op == "out" and args.startswith("0x3d"):
            if args != "0x3d, r28":
                return 0  # start-up code
            taken, self.pending = self.pending, 0
            return taken
        return 0


def read(machine: Machine, elf: Path, *part: str) -> list[Function]:
    """The functions of ``elf`` by address; ``part``: options of objdump that select some."""
    words = [f"{machine.tool}objdump", "-dC", "--no-show-raw-insn", *part, str(elf)]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    functions: list[Function] = []
    skipped = False  # the previous instruction may skip this one
    pushes: Callable[[str, str], int] = {RISCV.tool: _riscv}.get(machine.tool, _arm)
    kinds: dict[str, Callable[[], Callable[[str, str], int]]] = {
        AVR.tool: _Avr,
        XTENSA.tool: _Xtensa,
    }
    fresh = kinds.get(machine.tool)
    for line in text.splitlines():
        head = HEAD.match(line)
        if head and head[2].startswith(".L"):
            continue  # a label inside a function of an object file
        if head:
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
            except ValueError as problem:  # perhaps a constant in the code
                unknown = str(problem)
            at = int(found[1], 16)
            step = Step(at, taken, to, calls, by_pointer, ends, said, unknown)
            functions[-1].steps.append(step)
    return sorted(functions, key=lambda function: function.start)


def _target(line: str) -> int | None:
    """The target of a call or jump; on AVR, objdump prints it after the semicolon as 0x..."""
    found = re.search(r"; 0x([0-9a-f]+)|([0-9a-f]+) <", line.partition(":")[2])
    return int(found[1] or found[2], 16) if found else None


class Bound:
    """The deepest stack below a function. ``pointers`` maps functions that call through a pointer
    to those they may call, as regular expressions. ValueError names a cycle."""

    def __init__(self, machine: Machine, elf: Path, pointers: Mapping[str, str]) -> None:
        self.machine = machine
        self._elf = elf
        self.functions = read(machine, elf)
        self._starts = [function.start for function in self.functions]
        self._pointers = pointers
        self._depths: dict[int, int] = {}
        self._below: dict[int, int] = {}

    def at(self, address: int) -> Function:
        """The function that contains ``address``."""
        return self.functions[bisect_right(self._starts, address) - 1]

    def named(self, pattern: str) -> list[int]:
        """The addresses of the functions whose whole name matches."""
        wanted = re.compile(pattern)
        return [one.start for one in self.functions if wanted.fullmatch(one.name)]

    def depth(self, entry: int, above: tuple[tuple[int, bool], ...] = ()) -> int:
        """Bytes of stack below the address ``entry``: of a function, or of its rest if another one
        jumps into its middle, as assembler code of libraries does. ``above``: the entries on the
        path, and whether each is left by a call."""
        entries = [one for one, _ in above]
        if entry in entries:
            cycle = above[entries.index(entry) :]
            if not any(called or self._frame(one) for one, called in cycle):
                return 0  # a loop between labels of one assembler function
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
        """The steps executed from ``entry`` on within its function; the whole function if it jumps
        through a table."""
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
        """The targets of the jump at step ``number``: the addresses in a table that lie in the
        function. The table's own address is loaded shortly before."""
        before = function.steps[max(0, number - 6) : number]
        loads = [found for step in before if (found := re.match(self.machine.table, step.said))]
        if not loads:
            raise ValueError(f"{function.name} jumps to an unknown place")
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
        """Disassemble again from the jump target ``at``: objdump takes the padding before it for
        the start of an instruction."""
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
                    raise ValueError(f"{function.name} calls through a pointer that has no entry")
                yield from ((to, True) for to in self.named("|".join(rows)))
            elif step.to and (step.calls or self.at(step.to) is not function):
                yield step.to, step.calls  # 0: a weak function that is not defined, and not called
        if reached[-1] is function.steps[-1] and not reached[-1].ends:
            after = bisect_right(self._starts, function.start)
            yield self._starts[after], False

    def of(self, pattern: str) -> int:
        """The depth of the deepest function whose name matches."""
        found = self.named(pattern)
        if not found:
            raise ValueError(f"no function is called {pattern}")
        return max(map(self.depth, found))

    def path(self, name: str) -> list[str]:
        """The deepest chain of calls from ``name`` on, with the bytes of each."""
        entry: int | None = self.named(name)[0]
        self.of(name)
        chain = []
        while entry is not None:
            chain.append(f"{self.at(entry).name} {self._frame(entry)}")
            entry = self._below.get(entry)
        return chain

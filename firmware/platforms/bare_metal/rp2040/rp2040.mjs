// SPDX-License-Identifier: Apache-2.0
// Runs a firmware on rp2040js. UART0 is standard input and output.
//
//   node rp2040.mjs PACKAGE FIRMWARE.elf
//
// PACKAGE is the folder of the npm package rp2040js. Prints `ready` on standard error when the
// firmware waits for its first byte. The firmware ends this program by semihosting's SYS_EXIT_EXTENDED.
//
// Time is counted in instructions: each takes a microsecond of the chip's timer. rp2040js has a
// count of cycles too, but knows neither the cache of the flash nor the bus, so it says nothing about
// a real chip.
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const FLASH = 0x10000000;
const SRAM = 0x20000000;
const BOOT2 = 0x20041f00; // where the ROM copies the second-stage boot to
const PAGE = 256;
const FIFO = 32;
const SLICE = 4_000_000; // instructions before the next look at standard input

const [folder, file] = process.argv.slice(2);
const { RP2040 } = await import(pathToFileURL(join(folder, 'dist', 'esm', 'index.js')));

function fail(what, code = 70) {
  process.stderr.write(`rp2040.mjs: ${what}\n`);
  process.exit(code);
}

let instructions = 0;
const clock = {
  get nanos() {
    return instructions * 1000;
  },
  createAlarm: () => ({ schedule() {}, cancel() {} }), // the firmware uses no interrupt
};
const chip = new RP2040(clock);
const { core } = chip;
const [uart] = chip.uart;
const ignore = () => {};
const fatal = (component, message) => {
  // peripherals warn of registers that they do not have; the core, of what ends in a fault on a chip
  if (component === 'CortexM0Core' || component === 'RP2040') {
    fail(`${message} (pc ${core.PC.toString(16)})`);
  }
};
chip.logger = { debug: ignore, info: ignore, warn: fatal, error: fatal };

function loadSegments(elf) {
  const table = elf.readUInt32LE(28);
  const size = elf.readUInt16LE(42);
  for (let i = 0; i < elf.readUInt16LE(44); i++) {
    const at = table + size * i;
    const [type, offset, , physical, length] = [0, 4, 8, 12, 16].map((k) => elf.readUInt32LE(at + k));
    if (type === 1 && length) {
      const target = physical - FLASH;
      if (target < 0 || target + length > chip.flash.length) {
        fail(`a segment at ${physical.toString(16)} is not in the flash`, 65);
      }
      chip.flash.set(elf.subarray(offset, offset + length), target);
    }
  }
}

function crc32(data) {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
    }
  }
  return crc >>> 0;
}

// What the ROM does, which is not part of rp2040js.
function boot() {
  const page = chip.flash.subarray(0, PAGE);
  if (crc32(page.subarray(0, PAGE - 4)) !== chip.flashView.getUint32(PAGE - 4, true)) {
    fail('the second-stage boot has a wrong checksum', 65);
  }
  chip.sram.set(page, BOOT2 - SRAM);
  core.PC = BOOT2;
}

const SYS_EXIT_EXTENDED = 0x20;
chip.onBreak = () => {
  const code = core.registers[0] === SYS_EXIT_EXTENDED ? chip.readUint32(core.registers[1] + 4) : 70;
  process.exit(code);
};

// With HIL_MARKER_FILE, each edge of a pin is a line `MICROSECONDS LEVEL PIN` in that file.
if (process.env.HIL_MARKER_FILE) {
  const edges = openSync(process.env.HIL_MARKER_FILE, 'a');
  chip.gpio.forEach((pin, number) =>
    pin.addListener((state) => writeSync(edges, `${instructions} ${Number(state === 1)} ${number}\n`)),
  );
}

let sent = [];
uart.onByte = (byte) => sent.push(byte);
function flush() {
  if (sent.length) {
    process.stdout.write(Uint8Array.from(sent));
    sent = [];
  }
}

const received = []; // chunks that UART0 has not taken yet
let next = 0; // in the first of them
function feed() {
  while (received.length && uart.rxFIFO.itemCount < FIFO) {
    uart.feedByte(received[0][next++]);
    if (next === received[0].length) {
      received.shift();
      next = 0;
    }
  }
}

let running = false;
let ready = false;
function run() {
  running = true;
  const end = instructions + SLICE;
  while (instructions < end) {
    if (core.waiting) {
      feed();
      if (uart.rxFIFO.empty) {
        break;
      }
      core.waiting = false;
    }
    core.executeInstruction();
    instructions++;
  }
  flush();
  running = !core.waiting;
  if (running) {
    setImmediate(run);
  } else if (!ready) {
    ready = true;
    process.stderr.write('ready\n');
  }
}

loadSegments(readFileSync(file));
boot();
process.stdin.on('data', (chunk) => {
  received.push(chunk);
  if (!running) {
    run();
  }
});
process.stdin.on('end', () => process.exit(0));
run();

/* SPDX-License-Identifier: Apache-2.0 */
/* The second-stage boot: the ROM copies this page to SRAM, compares the CRC in its last word (which
 * the builder inserts) and calls it. It sets up the SSI so that the flash can be read in place, by
 * the read command that every SPI flash has (03h, one data line), and starts the firmware. See
 * sections 2.8.1 and 4.10 of the RP2040's data sheet. */
    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .equ SSI, 0x18000000
    .equ CTRLR0, 0x00
    .equ CTRLR1, 0x04
    .equ SSIENR, 0x08
    .equ BAUDR, 0x14
    .equ SPI_CTRLR0, 0xf4
    .equ VTOR, 0xe000ed08
    .equ VECTORS, 0x10000100

    .section .boot, "ax"
    .thumb_func
    .global boot2
boot2:
    ldr     r3, =SSI
    movs    r0, #0
    str     r0, [r3, #SSIENR]       /* off, so that it can be configured */
    movs    r0, #4
    str     r0, [r3, #BAUDR]        /* the system clock divided by four */
    ldr     r0, =(31 << 16) | (3 << 8)
    str     r0, [r3, #CTRLR0]       /* frames of 32 bits, one data line, EEPROM read */
    movs    r0, #0
    str     r0, [r3, #CTRLR1]       /* one frame per access */
    ldr     r0, =(0x03 << 24) | (2 << 8) | (6 << 2)
    ldr     r1, =SSI + SPI_CTRLR0
    str     r0, [r1]                /* read command 03h: 8 bits, then 24 bits of address */
    movs    r0, #1
    str     r0, [r3, #SSIENR]
    ldr     r0, =VECTORS
    ldr     r1, =VTOR
    str     r0, [r1]
    ldm     r0!, {r1, r2}           /* stack, entry point */
    mov     sp, r1
    bx      r2
    .ltorg

    .org    boot2 + 252
    .word   0                       /* the CRC */

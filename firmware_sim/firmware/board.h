/* The info page: what an image must know of the board it runs on. Read-only, at a fixed address.
 * The build defines where things lie on other machines (firmware_sim/cores.py); each address has
 * a default of its own. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#ifndef BOARD_IMAGE_BASE
#define BOARD_IMAGE_BASE 0x00000000u /* flash: the image, then both slots */
#endif
#ifndef BOARD_INFO_ADDRESS
#define BOARD_INFO_ADDRESS 0x003ff000u
#endif
#ifndef BOARD_RAM_BASE
#define BOARD_RAM_BASE 0x20000000u
#endif
#ifndef BOARD_UART_BASE
#define BOARD_UART_BASE 0x40004000u
#endif
#ifndef BOARD_NVIC_WORD
#define BOARD_NVIC_WORD 0u       /* 32 interrupts each */
#endif
#ifndef BOARD_RX_INTERRUPTS
#define BOARD_RX_INTERRUPTS 0x5u /* receivers of both UARTs in that word */
#endif

#define BOARD_INFO_MAGIC 0x4e494654u /* "TFIN" */
#define BOARD_NAME_BYTES 64u

typedef struct board_info {
    uint32_t magic;
    uint32_t ram_bytes;   /* from BOARD_RAM_BASE */
    uint32_t flash_bytes; /* from BOARD_IMAGE_BASE */
    uint32_t slot_base;   /* address of slot A; slot B follows it */
    uint32_t slot_bytes;  /* of one slot, its header included */
    uint32_t clock_hz;
    char name[BOARD_NAME_BYTES]; /* zero-padded */
} board_info;

#endif

/* The info page: what an image must know of the board it runs on. Read-only, at a fixed address. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define BOARD_INFO_ADDRESS 0x003ff000u
#define BOARD_INFO_MAGIC 0x4e494654u /* "TFIN" */
#define BOARD_RAM_BASE 0x20000000u
#define BOARD_NAME_BYTES 64u

typedef struct board_info {
    uint32_t magic;
    uint32_t ram_bytes;   /* from BOARD_RAM_BASE */
    uint32_t flash_bytes; /* from address 0 */
    uint32_t slot_base;   /* address of slot A; slot B follows it */
    uint32_t slot_bytes;  /* of one slot, its header included */
    uint32_t clock_hz;
    char name[BOARD_NAME_BYTES]; /* zero-padded */
} board_info;

#endif

/* All that the firmware asks of a machine. One file implements it: port_mps2.c. */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"

typedef enum port_line { PORT_LINK = 0, PORT_SENSOR = 1 } port_line;

const board_info *port_info(void);

/* The RAM that nothing else uses, 8-byte aligned. */
uint8_t *port_arena(uint32_t *size);

/* Most bytes of stack used since reset. */
uint32_t port_peak_stack(void);

void port_init(void);

/* Take a byte if one has come. */
bool port_get(port_line line, uint8_t *byte);

/* Send a byte; waits while the line is busy. */
void port_put(port_line line, uint8_t byte);

/* Sleep until this line may have a byte; do not sleep if it has one. */
void port_idle(port_line line);

/* The last words are sent: restart. What cannot restart itself may return, and stands still. */
void port_crashed(void);

/* Send a byte on the link: a sink for frames. */
void port_put_link(uint8_t byte);

/* Flash is erased to 0xff in pages of this many bytes (a power of two, at least 64), and written by
 * clearing bits. The caller keeps within the slots and sets no bit by a write; all writes start at
 * a multiple of 4, and none but a file's last one ends elsewhere. */
uint32_t port_flash_page(void);
void port_flash_erase(uint32_t address);
void port_flash_write(uint32_t address, const uint8_t *data, uint32_t size);

#endif

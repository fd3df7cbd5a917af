/* What the linker script lays out. */
#ifndef STARTUP_H
#define STARTUP_H

#include <stdint.h>

#define STACK_PAINT 0xc5c5c5c5u

extern uint32_t image_stack[];     /* lowest word of the stack, at the bottom of RAM */
extern uint32_t image_stack_top[]; /* one past its highest word */
extern uint8_t image_arena[];      /* first byte after .bss */

void Reset_Handler(void);
void fence_memory(void);
void paint_stack(void); /* all that lies below the stack in use */
void report_fault(const uint32_t *frame);

int main(void);

#endif

/* From reset to main. Nothing here may touch a float before the FPU is on. */
#include "startup.h"

#include "../board.h"

#define CPACR (*(volatile uint32_t *)0xe000ed88u)
#ifndef VTOR_ENTRIES
#define VTOR_ENTRIES 16u
#endif

extern uint32_t image_data[], image_data_end[], image_data_load[];
extern uint32_t image_bss[], image_bss_end[];

typedef union vector {
    void (*handler)(void);
    uint32_t *stack;
} vector;

static void fault_entry(void);
static void stop(void);

extern const vector vectors[VTOR_ENTRIES];
__attribute__((section(".vectors"), used)) const vector vectors[VTOR_ENTRIES] = {
    {.stack = image_stack_top},
    {.handler = Reset_Handler},
    {.handler = stop},        /* NMI */
    {.handler = fault_entry}, /* HardFault: all other faults escalate to it */
    {.handler = fault_entry},
    {.handler = fault_entry},
    {.handler = fault_entry},
};

static void stop(void)
{
    for (;;) {
        __asm__ volatile("wfi");
    }
}

/* Hands the exception frame (r0-r3, r12, lr, pc, psr) to report_fault. */
__attribute__((naked, used)) static void fault_entry(void)
{
    __asm__ volatile("mrs r0, msp\n"
                     "bl report_fault\n"
                     "1: wfi\n"
                     "b 1b\n");
}

static void paint_stack(void)
{
    uint32_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (volatile uint32_t *at = image_stack; at < here; at++) {
        *at = STACK_PAINT;
    }
}

static void load_memory(void)
{
    const uint32_t *from = image_data_load;
    for (volatile uint32_t *to = image_data; to < image_data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = image_bss; to < image_bss_end; to++) {
        *to = 0;
    }
}

void Reset_Handler(void)
{
    __asm__ volatile("cpsid i");
    paint_stack();
    load_memory();
#ifdef __ARM_FP
    CPACR |= 0xfu << 20;
    __asm__ volatile("dsb\nisb" ::: "memory");
#endif
    fence_memory();
    (void)main();
    stop();
}

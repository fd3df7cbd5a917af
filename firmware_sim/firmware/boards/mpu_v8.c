/* The fence of mpu.c for ARMv8-M (PMSAv8): regions may not overlap, and no region can refuse a
 * privileged access, so whatever lies in no region faults. */
#include "../board.h"
#include "startup.h"

#if __ARM_ARCH >= 8
#define MPU_TYPE (*(volatile uint32_t *)0xe000ed90u)
#define MPU_CTRL (*(volatile uint32_t *)0xe000ed94u)
#define MPU_RNR (*(volatile uint32_t *)0xe000ed98u)
#define MPU_RBAR (*(volatile uint32_t *)0xe000ed9cu)
#define MPU_RLAR (*(volatile uint32_t *)0xe000eda0u)
#define MPU_MAIR0 (*(volatile uint32_t *)0xe000edc0u)

#define IMAGE_BYTES 0x10000u
#define PAGE_BYTES 0x1000u
#define READ_WRITE 1u /* never executed */
#define READ_ONLY 5u
#define EXECUTE 4u
#define DEVICE 0u /* indices into MAIR0 */
#define NORMAL 1u

static uint32_t next_region;

static void region(uint32_t base, uint32_t bytes, uint32_t access, uint32_t memory)
{
    MPU_RNR = next_region++;
    MPU_RBAR = base | access;
    MPU_RLAR = ((base + bytes - 1u) & ~31u) | memory << 1 | 1u;
}

void fence_memory(void)
{
    const board_info *info = (const board_info *)BOARD_INFO_ADDRESS;
    if ((MPU_TYPE >> 8 & 0xffu) < 5u || info->magic != BOARD_INFO_MAGIC) {
        return;
    }
    MPU_MAIR0 = 0xaa04u; /* 1: normal, write-through; 0: device, nGnRE */
    next_region = 0;
    region(BOARD_IMAGE_BASE, IMAGE_BYTES, EXECUTE, NORMAL);
    region(info->slot_base, 2u * info->slot_bytes, READ_WRITE, NORMAL);
    region(BOARD_INFO_ADDRESS, PAGE_BYTES, READ_ONLY, NORMAL);
    region(BOARD_RAM_BASE, info->ram_bytes, READ_WRITE, NORMAL);
    region(BOARD_UART_BASE, 2u * PAGE_BYTES, READ_WRITE, DEVICE);
    MPU_CTRL = 1;
    __asm__ volatile("dsb\nisb" ::: "memory");
}
#endif

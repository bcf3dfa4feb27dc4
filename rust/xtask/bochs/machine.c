/* A PC's ROM that runs one statically linked x86-64 Linux program, for CPUs that only an emulator has.
 *
 * start.S switches the CPU to 64 bits and all of its vector registers on. What is here reads the program and its arguments
 * from the disk, and answers the system calls that a Rust test program cannot do without. There is no second thread, no
 * protection and no file: the program runs in ring 0, in memory that is mapped to itself. What it writes goes to port 0xe9,
 * between the lines "start" and "exit CODE"; then the machine is switched off. There is no handler of exceptions: one resets
 * the machine, which Bochs takes for a failure. */
#include <asm/unistd.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* The disk: sectors that are used (32 bits), arguments and environment (each a number of strings, then an empty one), and
 * from sector 128 on the program's ELF file. */
#define SECTOR 512
#define FILE_AT 128

/* Where things are in memory, of which there is 1 GiB. */
#define DISK ((char *)0x10000000)
#define WORDS (DISK + 4)
#define FILE (DISK + SECTOR * FILE_AT)
#define STACK ((uint64_t *)0x0f000000)
#define HEAP 0x20000000ul
#define MAPPINGS 0x30000000ul
#define END 0x40000000ul

/* What start.S uses. */
__attribute__((aligned(4096), used)) uint64_t directory[512], pages[512];
__attribute__((aligned(16), used)) char stack[0x4000];
uint64_t entry, stack_of_program;
static uint64_t heap, mappings; /* their lengths */

static void out(uint16_t port, char byte) { __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port)); }

static uint8_t in(uint16_t port) {
    uint8_t byte;
    __asm__ volatile("inb %1, %0" : "=a"(byte) : "Nd"(port));
    return byte;
}

/* Reads sectors of the first ATA disk, 256 at a time. */
static void read_disk(char *to, uint32_t sectors) {
    for (uint32_t first = 0; first < sectors; first += 256) {
        const uint8_t task[] = {0, first, first >> 8, first >> 16, 0xe0 | first >> 24, 0x20};
        for (int i = 0; i < 6; i++)
            out(0x1f2 + i, task[i]);
        for (int sector = 0; sector < 256; sector++) {
            while ((in(0x1f7) & 0x88) != 0x08) { /* busy, or no data yet */
            }
            uint64_t words = SECTOR / 2;
            __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"(0x1f0) : "memory");
        }
    }
}

static void print(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        out(0xe9, text[i]);
}

static void copy(char *to, const char *from, size_t length) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

static void clear(char *to, size_t length) {
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(0) : "memory");
}

__attribute__((noreturn)) static void off(int code) {
    char line[] = "\nexit 000\n";
    for (int i = 8; i > 5; i--, code /= 10)
        line[i] += code % 10;
    print(line, sizeof line - 1);
    for (const char *c = "Shutdown"; *c; c++)
        out(0x8900, *c);
    for (;;)
        __asm__ volatile("hlt");
}

/* Puts pointers to the strings from `words` to an empty one in place, with a null after them. */
static uint64_t *list(uint64_t *at, const char **words) {
    while (**words) {
        *at++ = (uint64_t)*words;
        while (*(*words)++) {
        }
    }
    ++*words;
    *at++ = 0;
    return at;
}

/* Brings the program to where it is linked to; returns its stack. */
__attribute__((used)) uint64_t *load(void) {
    print("\nstart\n", 7);
    read_disk(DISK, 256);
    read_disk(DISK, *(uint32_t *)DISK);
    const Elf64_Ehdr *file = (const void *)FILE;
    const Elf64_Phdr *headers = (const void *)(FILE + file->e_phoff);
    uint64_t headers_in_memory = 0;
    for (int i = 0; i < file->e_phnum; i++) {
        const Elf64_Phdr *header = &headers[i];
        if (header->p_type == PT_PHDR)
            headers_in_memory = header->p_vaddr;
        if (header->p_type != PT_LOAD)
            continue;
        copy((char *)header->p_vaddr, FILE + header->p_offset, header->p_filesz);
        clear((char *)header->p_vaddr + header->p_filesz, header->p_memsz - header->p_filesz);
    }
    entry = file->e_entry;

    /* Room for as many words as nobody passes; what is random need not be. */
    uint64_t *start = STACK - 2048, *at = start;
    const char *words = WORDS;
    for (const char *word = words; *word; ++*at)
        while (*word++) {
        }
    at = list(at + 1, &words);
    at = list(at, &words);
    const uint64_t facts[] = {AT_PHDR,   headers_in_memory, AT_PHENT,  file->e_phentsize, AT_PHNUM, file->e_phnum,
                              AT_PAGESZ, 4096,              AT_RANDOM, (uint64_t)FILE,    AT_NULL,  0};
    copy((char *)at, (const char *)facts, sizeof facts);
    return start;
}

static int64_t map(uint64_t length) {
    uint64_t start = MAPPINGS + mappings;
    if (length > END - start)
        return -ENOMEM;
    mappings += (length + 4095) & -4096ul;
    clear((char *)start, length);
    return start;
}

__attribute__((used)) int64_t answer(int64_t a, int64_t b, int64_t c, int64_t number) {
    switch (number) {
    case __NR_write:
        print((const char *)b, c);
        return c;
    case __NR_exit_group:
        off(a & 0xff);
    case __NR_mmap:
        return map(b);
    case __NR_brk:
        if (a >= (int64_t)(HEAP + heap) && a <= (int64_t)MAPPINGS) {
            clear((char *)HEAP + heap, a - HEAP - heap);
            heap = a - HEAP;
        }
        return HEAP + heap;
    case __NR_arch_prctl: /* of which only the base of the thread's own memory is ever set */
        __asm__ volatile("wrmsr" : : "c"(0xc0000100), "a"((uint32_t)b), "d"((uint32_t)(b >> 32)));
        return 0;
    case __NR_clock_gettime: {
        uint64_t *time = (uint64_t *)b;
        time[0] = time[1] = 0;
        return 0;
    }
    case __NR_getrandom:
        clear((char *)a, b);
        return b;
    case __NR_clone:
    case __NR_clone3:
        return -EAGAIN;
    case __NR_poll:
    case __NR_munmap:
    case __NR_mprotect:
    case __NR_madvise:
    case __NR_rt_sigaction:
    case __NR_rt_sigprocmask:
    case __NR_sigaltstack:
    case __NR_futex:
    case __NR_sched_yield:
        return 0;
    case __NR_gettid:
    case __NR_set_tid_address:
        return 1;
    default:
        return -ENOSYS;
    }
}

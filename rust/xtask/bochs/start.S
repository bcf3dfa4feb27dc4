/* From the first instruction after a reset, at the end of the ROM, through 16 and 32 bits to 64; and the way of a system call.
 * The ROM is at 0xf0000, machine.c's variables at 0x10000. */
.section .reset, "ax"
.code16
    ljmp $0xf000, $start - 0xf0000
    .fill 11

.text
start:
    cli
    lgdtl %cs:table_of_segments - 0xf0000
    mov $1, %eax  /* protection */
    mov %eax, %cr0
    ljmpl $8, $start_32

.code32
start_32:
    mov $24, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $0x10000, %edi  /* our variables: memory is not zero after a reset */
    mov $_end - 0x10000, %ecx
    xor %eax, %eax
    rep stosb
    movl $pages + 3, directory
    movl $0x83, pages  /* present, writable, large */
    mov $directory, %eax
    mov %eax, %cr3
    mov $0x40620, %eax  /* PAE, SSE and its exceptions, XSAVE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx  /* EFER: long mode, system calls */
    mov $0x101, %eax
    xor %edx, %edx
    wrmsr
    mov $0x80000033, %eax  /* paging, FPU */
    mov %eax, %cr0
    ljmpl $16, $start_64

.code64
start_64:
    mov $0xd, %eax  /* which register states there are: x87, SSE, AVX, AVX-512 */
    xor %ecx, %ecx
    cpuid
    and $0xe7, %eax
    xor %edx, %edx
    xor %ecx, %ecx
    xsetbv
    fninit
    mov $0xc0000081, %ecx  /* STAR: the segments of the kernel, which are also the program's */
    xor %eax, %eax
    mov $16, %edx
    wrmsr
    mov $0xc0000082, %ecx  /* LSTAR */
    mov $system_call, %eax
    xor %edx, %edx
    wrmsr
    mov $stack + 0x4000, %rsp
    call load
    mov %rax, %rsp
    xor %edx, %edx  /* nothing to be called at the exit */
    jmp *entry

system_call:
    mov %rsp, stack_of_program
    mov $stack + 0x4000, %rsp
    push %rcx
    push %rdi
    push %rsi
    push %rdx
    push %r8
    push %r9
    push %r10
    push %r11
    mov %rax, %rcx
    call answer
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdx
    pop %rsi
    pop %rdi
    pop %rcx
    mov stack_of_program, %rsp
    jmp *%rcx

.balign 8
segments:  /* none, code of 32 and of 64 bits, data */
    .quad 0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff
table_of_segments:
    .word 31
    .long segments

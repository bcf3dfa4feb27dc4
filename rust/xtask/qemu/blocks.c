/* A plugin of QEMU's user mode: how often each block of translated instructions ran, and which instructions those are.
 *
 * At the end of the program it writes a line per block to standard output: "block", how often it ran, and its instructions
 * as hexadecimal words. It uses only what has the same form in every version of the interface since the first, of which a
 * plugin has to name one that the running QEMU knows: compile with -DVERSION=1, or more.
 *
 * The interface is described in QEMU's documentation, "QEMU TCG Plugins"; it is declared here because Debian has no package
 * of the header. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *);

struct block {
    struct block *next;
    uint64_t runs;
    size_t length;
    uint32_t words[];
};

static struct block *blocks;

/* Programs that are counted have one thread. */
static void on_run(unsigned cpu, void *block)
{
    (void)cpu;
    ((struct block *)block)->runs++;
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    size_t length = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + length * sizeof block->words[0]);
    if (!block)
        abort();
    for (size_t i = 0; i < length; i++)
        memcpy(&block->words[i], qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, i)), sizeof block->words[i]);
    block->length = length;
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_run, 0, block);
}

static void at_exit(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    for (struct block *block = blocks; block; block = block->next) {
        if (!block->runs)
            continue;
        printf("block %" PRIu64, block->runs);
        for (size_t i = 0; i < block->length; i++)
            printf(" %08" PRIx32, block->words[i]);
        putchar('\n');
    }
    fflush(stdout);
}

__attribute__((visibility("default"))) int qemu_plugin_version = VERSION;

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}

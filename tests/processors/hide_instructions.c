/* Hides instruction sets from a program, by LD_PRELOAD: Linux on Intel, x86-64.
 *
 * The library asks the kernel to trap the CPUID instruction. Its signal handler returns the values
 * of CPUID without the bits of the sets that HIDE_INSTRUCTIONS names, such as "amx fp16 bf16 vnni
 * avx512". TensorFlow, oneDNN and everything else then choose kernels for a lesser processor.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define SET_CPUID 0x1012 /* ARCH_SET_CPUID of <asm/prctl.h> */

enum { EAX, EBX, ECX, EDX };

/* Bits of CPUID's leaf 7 that belong to a set. */
static const struct {
    const char *set;
    int subleaf, reg;
    unsigned bits;
} SETS[] = {
    {"amx", 0, EDX, 1u << 22 | 1u << 24 | 1u << 25}, /* BF16, TILE, INT8 */
    {"amx", 1, EAX, 1u << 21},                       /* FP16 */
    {"amx", 1, EDX, 1u << 8},                        /* COMPLEX */
    {"fp16", 0, EDX, 1u << 23},
    {"fp16", 1, EDX, 1u << 5}, /* AVX_NE_CONVERT */
    {"bf16", 1, EAX, 1u << 5},
    {"vnni", 0, ECX, 1u << 11},
    {"vnni", 1, EAX, 1u << 4 | 1u << 23}, /* AVX_VNNI, AVX_IFMA */
    {"vnni", 1, EDX, 1u << 4},            /* AVX_VNNI_INT8 */
    {"avx512", 0, EBX, 1u << 16 | 1u << 17 | 1u << 21 | 1u << 28 | 1u << 30 | 1u << 31},
    {"avx512", 0, ECX, 1u << 1 | 1u << 6 | 1u << 12 | 1u << 14},
};

static unsigned hidden[2][4];
static int armed;

static long trap(int on) { return syscall(SYS_arch_prctl, SET_CPUID, !on); }

static void answer(int signal_number, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (unsigned char *)regs[REG_RIP];
    unsigned leaf = regs[REG_RAX], subleaf = regs[REG_RCX], out[4];
    int reg;

    if (code[0] != 0x0f || code[1] != 0xa2) { /* a fault of the program's own */
        armed = 0;
        signal(SIGSEGV, SIG_DFL);
        return;
    }
    trap(0);
    __asm__ volatile("cpuid"
                     : "=a"(out[EAX]), "=b"(out[EBX]), "=c"(out[ECX]), "=d"(out[EDX])
                     : "a"(leaf), "c"(subleaf));
    trap(1);
    if (leaf == 7 && subleaf < 2)
        for (reg = 0; reg < 4; reg++) out[reg] &= ~hidden[subleaf][reg];
    regs[REG_RAX] = out[EAX];
    regs[REG_RBX] = out[EBX];
    regs[REG_RCX] = out[ECX];
    regs[REG_RDX] = out[EDX];
    regs[REG_RIP] += 2;
}

/* Nobody else takes SIGSEGV while instructions are hidden. */
int sigaction(int number, const struct sigaction *action, struct sigaction *old) {
    int (*real)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
    if (number == SIGSEGV && armed) {
        if (old) memset(old, 0, sizeof *old);
        return 0;
    }
    return real(number, action, old);
}

__attribute__((constructor)) static void hide(void) {
    const char *names = getenv("HIDE_INSTRUCTIONS");
    struct sigaction action;
    size_t index;

    if (!names) return;
    for (index = 0; index < sizeof SETS / sizeof *SETS; index++)
        if (strstr(names, SETS[index].set))
            hidden[SETS[index].subleaf][SETS[index].reg] |= SETS[index].bits;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
    armed = trap(1) == 0;
}

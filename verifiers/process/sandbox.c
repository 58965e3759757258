#include "verifiers/process/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "protocol/base/sanitized.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

enum { MAX_FDS_GRADER = 64, MAX_FDS_PROGRAM = 256, MAX_CALLS = 64 };

#define GIB ((rlim_t)1 << 30)

// All that reading, grading and answering take, and ending in whatever way.
static const uint32_t allowed[] = {
    SYS_read,         SYS_write,          SYS_readv,
    SYS_writev,       SYS_pread64,        SYS_close,
    SYS_fstat,        SYS_lseek,          SYS_brk,
    SYS_mmap,         SYS_munmap,         SYS_mremap,
    SYS_mprotect,     SYS_madvise,        SYS_futex,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_sigaltstack,  SYS_getpid,         SYS_gettid,
    SYS_tgkill,       SYS_clock_gettime,  SYS_clock_nanosleep,
    SYS_nanosleep,    SYS_sched_yield,    SYS_restart_syscall,
    SYS_getrandom,    SYS_exit,           SYS_exit_group,
    SYS_newfstatat,
};

// io_uring opens sockets on its own; a handle opens files past every folder.
static const uint32_t refused[] = {
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_userfaultfd,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_personality,
    SYS_quotactl,
    SYS_acct,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_socket, // the last one: SANDBOX_NETWORK leaves it out
};

struct filter {
    struct sock_filter code[MAX_CALLS + 8];
    unsigned short n;
};

static void add(struct filter *f, struct sock_filter line) {
    f->code[f->n++] = line;
}

// Calls of the list end at `listed`, all others at `other`; another instruction set's (x32 too) are
// refused.
static void build(struct filter *f, uint32_t arch, const uint32_t *calls, int n, uint32_t listed,
                  uint32_t other) {
    const uint32_t no = SECCOMP_RET_ERRNO | EPERM;
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                        offsetof(struct seccomp_data, arch)));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0));
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    add(f,
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, no));
    for (int i = 0; i < n; i++)
        add(f,
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], (uint8_t)(n - i), 0));
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, other));
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed));
}

static int set_filter(enum sandbox kind, struct error *err) {
#ifdef ARCH
    const uint32_t no = SECCOMP_RET_ERRNO | EPERM;
    struct filter f = {.n = 0};
    int n = (int)(sizeof refused / sizeof refused[0]) - (kind == SANDBOX_NETWORK);
    // Sanitizers take more calls than a list could name.
    if (kind == SANDBOX_GRADER && !IS_SANITIZED)
        build(&f, ARCH, allowed, (int)(sizeof allowed / sizeof allowed[0]), SECCOMP_RET_ALLOW, no);
    else
        build(&f, ARCH, refused, n, no, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = f.n, .filter = f.code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) return 0;
    return error_set(err, ERROR_UNAVAILABLE, "The kernel takes no filter of system calls: %s.",
                     strerror(errno));
#else
    (void)kind;
    return error_set(err, ERROR_UNAVAILABLE, "There is no filter for this instruction set.");
#endif
}

static void limit(__rlimit_resource_t what, rlim_t most) {
    struct rlimit now;
    if (getrlimit(what, &now)) return;
    if (now.rlim_max > most) now.rlim_max = most;
    if (now.rlim_cur > now.rlim_max) now.rlim_cur = now.rlim_max;
    setrlimit(what, &now);
}

int sandbox_enter(enum sandbox kind, struct error *err) {
    bool is_grader = kind == SANDBOX_GRADER;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (is_grader) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); // nobody of this user looks into it
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, is_grader ? MAX_FDS_GRADER : MAX_FDS_PROGRAM);
    // Data that may be written; what only reserves addresses counts not.
    if (!IS_SANITIZED) limit(RLIMIT_DATA, is_grader ? 4 * GIB : 16 * GIB);
    return set_filter(kind, err);
}

/* What a start costs the kernel: the system calls of one start by hilum, with their arguments, and nothing else. No
 * configuration, no plan, no report, no supervision, nothing that can be told when something fails.
 *
 *   floor ROOT            one start of ROOT/bin/busybox true, then the end: for a launcher that is executed each time
 *   floor ROOT resident   one start for each byte of standard input, and the microseconds of each on a line
 *   as process 1          the mounts of hilum's boot, and one start of /images/first/bin/probe now
 *
 * With WITHOUT_LIBC it starts ROOT/bin/probe exit 0, whose own start takes no time.
 *
 * As root, in a mount namespace of its own, with TEMPLATE (see below) made by the bench. GROUP names a control group that
 * it makes, limits and removes; without it there is none, as with hilum in a PID namespace of the host.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(call) ({ long r_ = (long)(call); if (r_ < 0) { fprintf(stderr, "floor: line %d: %s: %s\n", __LINE__, #call, strerror(errno)); _exit(125); } r_; })
enum { PROC = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, IDS = 65536 };

static int beneath(int folder, const char *path, int flags) {
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_PATH | flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS };
    return syscall(SYS_openat2, folder, path, &how, sizeof how);
}
static void attach(int mount, const char *path) {
    int target = MUST(beneath(AT_FDCWD, path, O_DIRECTORY));
    MUST(syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}
static int make(const char *kind, unsigned attributes) {
    int context = MUST(syscall(SYS_fsopen, kind, FSOPEN_CLOEXEC));
    MUST(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    return MUST(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
}
static void put(const char *path, const char *text) {
    int file = MUST(open(path, O_WRONLY | O_CLOEXEC));
    MUST(write(file, text, strlen(text)));
    close(file);
}
static void loopback_up(void) {
    struct ifreq link = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    int socket_ = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    MUST(ioctl(socket_, SIOCSIFFLAGS, &link));
    close(socket_);
}
/* One mount(2) on the descriptor of the folder, by its name in the /proc that is still the old one. */
static void mount_at(const char *kind, const char *path, const char *options, unsigned long flags) {
    char own[32];
    snprintf(own, sizeof own, "/proc/self/fd/%d", (int)MUST(beneath(AT_FDCWD, path, O_DIRECTORY)));
    MUST(syscall(SYS_mount, kind, own, kind, flags, options));
}
/* As long as hilum's default program, and as deep as its search by halves: the kernel tries every call when it is set. */
static void filter(void) {
    struct sock_filter program[189] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) };
    for (int i = 1; i < 188; i++) program[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 100000 + i, 0, 0);
    program[10] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 188 - 11, 0, 0);
    program[188] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog all = { 189, program };
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &all));
}
static void landlock(int abi, const int held[3]) {
    struct landlock_ruleset_attr files = { .handled_access_fs = (1 << 13) - 1 };
    static const char *const paths[] = { "/dev/shm", "/tmp", "/run" };
    if (abi < 0) return;
    int rules = MUST(syscall(SYS_landlock_create_ruleset, &files, sizeof files, 0));
    for (int i = 0; i < 6; i++) {
        struct landlock_path_beneath_attr rule = { i ? files.handled_access_fs : 13, i < 3 ? held[i] : MUST(open(paths[i - 3], O_PATH | O_CLOEXEC)) };
        MUST(syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0));
    }
    MUST(syscall(SYS_landlock_restrict_self, rules, 0));
}
static char *const busybox[] = { "/bin/busybox", "true", NULL }, *const probe[] = { "/bin/probe", "now", NULL }, *const bare[] = { "/bin/probe", "exit", "0", NULL }, *const *program = busybox;
static void child(int handover, int output, const char *template, int abi) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct mount_attr root_only = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
    struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY | PROC };
    static const char *const fixed[] = { "bus", "fs", "irq", "sys", "sysrq-trigger" };
    static const char *const masks[] = { "kcore", "keys", "timer_list", "sched_debug", "latency_stats", "interrupts", "acpi", "scsi", "asound" };
    MUST(recvmsg(handover, &message, 0));
    int root = *(int *)CMSG_DATA(CMSG_FIRSTHDR(&message));
    MUST(syscall(SYS_setresgid, 0, 0, 0));
    MUST(syscall(SYS_setresuid, 0, 0, 0));
    MUST(setsid());
    syscall(SYS_keyctl, 1, "floor");
    MUST(sethostname("floor", 5));
    loopback_up();
    put("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    put("/proc/sys/net/ipv4/ping_group_range", "0 65535");
    int masked = MUST(open(template, O_PATH | O_DIRECTORY | O_CLOEXEC));
    MUST(syscall(SYS_mount, NULL, "/", NULL, 0x44000 /* MS_REC | MS_PRIVATE */, NULL));
    MUST(syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
    MUST(fchdir(root));
    MUST(syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &root_only, sizeof root_only));
    int proc = make("proc", PROC);
    attach(proc, "proc");
    for (int i = 0; i < 5; i++) {
        int tree = syscall(SYS_open_tree, proc, fixed[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0) continue;
        MUST(syscall(SYS_move_mount, tree, "", proc, fixed[i], MOVE_MOUNT_F_EMPTY_PATH));
        MUST(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only));
    }
    int empty = -1; /* what covered nothing, because there was nothing, is the next one's */
    for (int i = 0; i < 9; i++) {
        if (empty < 0 || i == 6) empty = MUST(syscall(SYS_open_tree, masked, i < 6 ? "mask/file" : "mask/folder", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
        if (syscall(SYS_move_mount, empty, "", proc, masks[i], MOVE_MOUNT_F_EMPTY_PATH) == 0) empty = -1;
        else if (errno != ENOENT) MUST(-1);
    }
    int dev = MUST(syscall(SYS_open_tree, masked, "dev", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    attach(dev, "dev");
    mount_at("devpts", "dev/pts", "mode=0620,ptmxmode=0666", 10 /* nosuid, noexec */);
    mount_at("tmpfs", "dev/shm", "mode=1777,size=16777216", 14 /* and nodev */);
    mount_at("tmpfs", "tmp", "mode=1777,size=16777216", 14);
    mount_at("tmpfs", "run", "mode=0755,size=16777216", 14);
    int null = MUST(openat(dev, "null", O_RDONLY | O_CLOEXEC));
    dup2(null, 0), dup2(output, 1), dup2(output, 2);
    MUST(syscall(SYS_pivot_root, ".", "."));
    MUST(syscall(SYS_umount2, ".", 2 /* MNT_DETACH */));
    for (int capability = 0; capability <= 40; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    landlock(abi, (const int[3]){ root, proc, dev });
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct none[2] = { 0 };
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    MUST(syscall(SYS_capset, &head, none));
    umask(022);
    MUST(syscall(SYS_close_range, 3, ~0U, 0));
    filter();
    execv(program[0], program);
    _exit(127);
}
/* Who decides about devices. hilum's is longer, but both are loaded once; a start attaches it. */
static int devices(void) {
    static const struct bpf_insn allow[] = { { BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1 }, { BPF_JMP | BPF_EXIT, 0, 0, 0, 0 } };
    union bpf_attr load = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insn_cnt = 2, .insns = (uintptr_t)allow, .license = (uintptr_t)"GPL" };
    return MUST(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load));
}
static void limit(int group, const char *name, const char *value) {
    int file = openat(group, name, O_WRONLY | O_CLOEXEC);
    if (file < 0) return; /* no such controller */
    MUST(write(file, value, strlen(value)));
    close(file);
}
/* A group that is still busy from the last start is used again, as hilum does. */
static int group(const char *path) {
    static int filter = -1;
    if (filter < 0) filter = devices();
    if (mkdir(path, 0755) < 0 && errno != EEXIST) MUST(-1);
    int made = MUST(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    limit(made, "pids.max", "512"), limit(made, "memory.max", "200000000"), limit(made, "memory.swap.max", "0"), limit(made, "memory.oom.group", "1");
    union bpf_attr attach = { .target_fd = made, .attach_bpf_fd = filter, .attach_type = BPF_CGROUP_DEVICE };
    MUST(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
    return made;
}
static void start(const char *root, const char *template) {
    const char *group_path = getenv("GROUP");
    static int abi;
    if (!abi) abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), umask(0);
    int log[2], report[2], handover[2], process = -1, status, born = group_path ? group(group_path) : -1;
    char path[64], read_[16], control[CMSG_SPACE(sizeof(int))] = { 0 }, ids[32];
    MUST(pipe2(log, O_CLOEXEC)), MUST(pipe2(report, O_CLOEXEC));
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, handover));
    struct clone_args how = { .flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME,
                              .pidfd = (uint64_t)(uintptr_t)&process, .exit_signal = SIGCHLD };
    if (group_path) how.flags |= CLONE_INTO_CGROUP, how.cgroup = born;
    long pid = MUST(syscall(SYS_clone3, &how, sizeof how));
    if (pid == 0) child(handover[1], log[1], template, abi);
    snprintf(path, sizeof path, "/proc/%ld/ns/user", pid);
    int users = MUST(open(path, O_RDONLY | O_CLOEXEC));
    snprintf(ids, sizeof ids, "0 %d %d", IDS, IDS);
    snprintf(path, sizeof path, "/proc/%ld/setgroups", pid), put(path, "deny");
    snprintf(path, sizeof path, "/proc/%ld/uid_map", pid), put(path, ids);
    snprintf(path, sizeof path, "/proc/%ld/gid_map", pid), put(path, ids);
    snprintf(path, sizeof path, "/proc/%ld/oom_score_adj", pid), put(path, "0");
    int folder = MUST(open(root, O_PATH | O_DIRECTORY | O_CLOEXEC));
    int tree = MUST(syscall(SYS_open_tree, folder, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
    struct mount_attr mapped = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = users };
    /* The ramfs of an initramfs cannot map owners before 6.3. */
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &mapped, sizeof mapped) < 0 && errno != EINVAL) MUST(-1);
    struct iovec part = { "!", 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
    *(int *)CMSG_DATA(CMSG_FIRSTHDR(&message)) = tree;
    MUST(sendmsg(handover[0], &message, 0));
    close(users), close(folder), close(tree), close(handover[0]), close(handover[1]), close(log[1]), close(report[1]);
    MUST(read(report[0], read_, sizeof read_));
    for (long got; (got = read(log[0], read_, sizeof read_)) > 0;) if (program == probe) MUST(write(1, read_, got));
    MUST(waitpid(pid, &status, 0));
    close(log[0]), close(report[0]), close(process);
    if (group_path) close(born), rmdir(group_path);
    if (status != 0) { fprintf(stderr, "floor: the start failed with %#x\n", status); exit(1); }
}
/* A root that can be pivoted, with everything of the old one in it, and what hilum mounts before it reads its configuration. */
static void boot(void) {
    static const char *const early[][4] = { { "proc", "/proc", "", "e" }, { "sysfs", "/sys", "", "e" }, { "devtmpfs", "/dev", "mode=0755", "d" }, { "devpts", "/dev/pts", "mode=0620", "e" },
        { "tmpfs", "/dev/shm", "mode=1777", "n" }, { "tmpfs", "/run", "mode=0755", "n" }, { "cgroup2", "/sys/fs/cgroup", "nsdelegate", "e" } };
    int copy = MUST(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    MUST(syscall(SYS_move_mount, copy, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
    MUST(fchdir(copy)), MUST(chroot(".")), MUST(chdir("/")), close(copy);
    for (int i = 0; i < 7; i++) {
        mkdir(early[i][1], 0755);
        MUST(mount(early[i][0], early[i][1], early[i][0], *early[i][3] == 'e' ? 14 : *early[i][3] == 'n' ? 6 : 2, early[i][2]));
    }
    static const char *const folders[] = { "/run/t", "/run/t/mask", "/run/t/mask/folder", "/run/t/dev" };
    for (int i = 0; i < 4; i++) MUST(mkdir(folders[i], 0755));
    MUST(mknod("/run/t/mask/file", S_IFREG, 0)), MUST(mount("tmpfs", "/run/t/dev", "tmpfs", 10, "mode=0755"));
    MUST(mkdir("/run/t/dev/pts", 0755)), MUST(mkdir("/run/t/dev/shm", 0755));
    static const struct { const char *path; int minor; } devices_[] = { { "null", 3 }, { "zero", 5 }, { "full", 7 }, { "random", 8 }, { "urandom", 9 }, { "tty", 0 } };
    for (int i = 0; i < 6; i++) {
        char path[32];
        snprintf(path, sizeof path, "/run/t/dev/%s", devices_[i].path);
        MUST(mknod(path, S_IFCHR | 0666, makedev(i == 5 ? 5 : 1, devices_[i].minor)));
    }
    put("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids");
    setenv("GROUP", "/sys/fs/cgroup/first", 1);
    program = probe;
    start("/images/first", "/run/t");
}
int main(int count, char **words) {
    if (getpid() == 1) {
        boot();
        for (;;) pause();
    }
    const char *template = getenv("TEMPLATE");
    if (count < 2 || !template) { fprintf(stderr, "usage: TEMPLATE=FOLDER floor ROOT [resident]\n"); return 2; }
    if (getenv("WITHOUT_LIBC")) program = bare;
    if (count == 2) return start(words[1], template), 0;
    for (char byte; read(0, &byte, 1) == 1;) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        start(words[1], template);
        clock_gettime(CLOCK_MONOTONIC, &to);
        printf("%ld\n", (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
        fflush(stdout);
    }
    return 0;
}

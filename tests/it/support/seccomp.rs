//! A program under a seccomp filter that refuses system calls, as a container runtime's profile, a
//! sandbox or an older kernel does.

use nix::libc::{self, c_long};

/// Installs a filter (`seccomp(2)`): each pair NUMBER:ERRNO of `sys.argv[1]` makes that system call
/// fail with that error, where there is a third part only with that first argument; then becomes
/// `sys.argv[2:]`. The instructions are load, compare, return (`bpf.h`).
const SCRIPT: &str = "
import ctypes, os, struct, sys
number, argument = (0x20, 0, 0, 0), (0x20, 0, 0, 16)
code = [number]
for rule in sys.argv[1].split(','):
    call, errno, *first = map(int, rule.split(':'))
    refuse = (0x06, 0, 0, 0x00050000 | errno)
    if first: code += [(0x15, 0, 4, call), argument, (0x15, 0, 1, first[0]), refuse, number]
    else: code += [(0x15, 0, 1, call), refuse]
code += [(0x06, 0, 0, 0x7fff0000)]
filter = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in code))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(code), ctypes.cast(filter, ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[2], sys.argv[2:])
";

/// What the default profiles of Docker and containerd both refuse a container without capabilities
/// (moby/profiles 0.3.0: `seccomp/default.json`, containerd 2.2.9:
/// `contrib/seccomp/seccomp_default.go`), of what both of our architectures have. The profiles
/// themselves are tried by `tests/pod/seccomp.py`.
const REFUSED_BY_DEFAULT: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// What to stand behind, so that system call `number` fails with EPERM.
pub(crate) fn refusing(number: c_long) -> Vec<String> {
    behind(&[format!("{number}:{}", libc::EPERM)])
}

/// The same for all that the default profiles of Docker and containerd refuse; `clone3` is unknown
/// there.
pub(crate) fn of_a_container() -> Vec<String> {
    let refused = REFUSED_BY_DEFAULT.iter().map(|number| format!("{number}:{}", libc::EPERM));
    let unknown = format!("{}:{}", libc::SYS_clone3, libc::ENOSYS);
    behind(&refused.chain([unknown]).collect::<Vec<_>>())
}

/// The same for sockets of netlink, as a sandbox that has none.
pub(crate) fn without_netlink() -> Vec<String> {
    behind(&[format!("{}:{}:{}", libc::SYS_socket, libc::EAFNOSUPPORT, libc::AF_NETLINK)])
}

fn behind(rules: &[String]) -> Vec<String> {
    ["python3", "-c", SCRIPT, &rules.join(",")].map(str::to_owned).to_vec()
}

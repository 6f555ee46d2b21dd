//! Which errors a system call may return, by its manual page: of EINTR, EAGAIN, EMFILE, ENOMEM,
//! EPERM and EACCES.

/// The errors of `call` with these arguments, as strace writes them. Where its manual names none of
/// them: EPERM, as the seccomp profile of a container runtime answers.
pub(crate) fn of(call: &str, arguments: &str) -> &'static [&'static str] {
    match call {
        // It has room, and does not wait (eventfd(2)).
        "write" if arguments.contains("[eventfd]") => &["EAGAIN"],
        // A ready one is read at once (signalfd(2)).
        "read" if arguments.contains("[signalfd]") => &["EINTR"],
        // Memory is not to be had, and the end is not to be refused.
        "mmap" | "munmap" | "mprotect" | "madvise" | "mremap" | "brk" | "exit_group" => &[],
        // They fail never, or for an argument that is wrong.
        "getpid" | "getppid" | "geteuid" | "getegid" | "getpgrp" | "gettid" => &[],
        "rt_sigprocmask" | "rt_sigaction" | "sigaltstack" | "set_tid_address" => &[],
        // The kernel closes it all the same (close(2)); strace would not have it called.
        "close" => &[],
        "open" | "openat" => &["EINTR", "EMFILE", "ENOMEM", "EACCES", "EPERM"],
        "read" | "readv" => &["EINTR", "EAGAIN"],
        "write" | "writev" => &["EINTR", "EAGAIN", "EPERM"],
        "wait4" | "futex" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => &["EINTR"],
        "fcntl" => &["EINTR", "EAGAIN", "EMFILE", "EACCES", "EPERM"],
        "stat" | "lstat" | "fstat" | "newfstatat" | "statx" | "readlink" => &["ENOMEM", "EACCES"],
        "poll" | "ppoll" => &["EINTR", "ENOMEM"],
        "epoll_create1" | "eventfd2" | "signalfd4" => &["EMFILE", "ENOMEM"],
        "epoll_ctl" => &["ENOMEM", "EPERM"],
        "socket" => &["EACCES", "EMFILE", "ENOMEM"],
        "connect" => &["EACCES", "EPERM", "EAGAIN", "EINTR"],
        "sendto" | "sendmsg" => &["EACCES", "EAGAIN", "EINTR", "ENOMEM"],
        "recvfrom" | "recvmsg" => &["EAGAIN", "EINTR", "ENOMEM"],
        // Asked for what is there (GRND_INSECURE), it does not answer EAGAIN.
        "getrandom" => &["EINTR", "EPERM"],
        "faccessat" | "faccessat2" | "access" => &["EACCES", "ENOMEM", "EPERM"],
        "clone" | "clone3" | "vfork" | "fork" => &["EAGAIN", "ENOMEM", "EPERM"],
        "execve" => &["EACCES", "EAGAIN", "EMFILE", "ENOMEM", "EPERM"],
        "pipe" | "pipe2" => &["EMFILE"],
        "prctl" | "setpgid" => &["EACCES", "EPERM"],
        _ => &["EPERM"],
    }
}

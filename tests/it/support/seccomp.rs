//! A program under a seccomp filter that refuses one system call, as a container runtime's profile
//! may.

/// Installs a filter (`seccomp(2)`): system call `sys.argv[1]` fails with errno `sys.argv[2]`, all
/// others pass; then becomes `sys.argv[3:]`. The instructions are load, compare, return (`bpf.h`).
const SCRIPT: &str = "
import ctypes, os, struct, sys
number, errno = int(sys.argv[1]), int(sys.argv[2])
refuse, allow = (0x06, 0, 0, 0x00050000 | errno), (0x06, 0, 0, 0x7fff0000)
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), refuse, allow]
filter = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in code))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(code), ctypes.cast(filter, ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[3], sys.argv[3:])
";

/// What to stand behind, so that system call `number` fails with EPERM.
pub(crate) fn refusing(number: nix::libc::c_long) -> Vec<String> {
    let errno = nix::libc::EPERM.to_string();
    ["python3", "-c", SCRIPT, &number.to_string(), &errno].map(str::to_owned).to_vec()
}

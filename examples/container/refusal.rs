//! System calls that a sandbox refuses, as an old seccomp profile of a container runtime does: seccomp(2).
//!
//! A filter compares the number of the call and answers with an errno; it stays over exec and for every descendant.
//! `subreaper` stands for one operation of prctl(2), which is looked at by its first argument.
#![allow(unsafe_code, reason = "a filter is handed over as a pointer")]

use nix::errno::Errno;
use nix::libc::{self, c_long, sock_filter, sock_fprog};
use nix::sys::prctl;

/// A call, and the errno that it is answered with.
pub(crate) struct Refusal {
    call: Call,
    errno: u32,
}

enum Call {
    Number(c_long),
    Prctl(i32),
}

/// Where `struct seccomp_data` has the number of the call.
const NUMBER: u32 = 0;
/// And the lower half of its first argument, on a little-endian machine.
const FIRST_ARGUMENT: u32 = 16;

/// `CALL=ERRNO`.
pub(crate) fn parse(text: &str) -> Result<Refusal, String> {
    let unknown = || format!("`--refuse {text}` is not known");
    let (call, errno) = text.split_once('=').ok_or_else(unknown)?;
    let call = match call {
        "pidfd_open" => Call::Number(libc::SYS_pidfd_open),
        "pidfd_send_signal" => Call::Number(libc::SYS_pidfd_send_signal),
        "close_range" => Call::Number(libc::SYS_close_range),
        "pwritev2" => Call::Number(libc::SYS_pwritev2),
        "subreaper" => Call::Prctl(libc::PR_SET_CHILD_SUBREAPER),
        _ => return Err(unknown()),
    };
    let errno = match errno {
        "EPERM" => Errno::EPERM,
        "ENOSYS" => Errno::ENOSYS,
        "EINVAL" => Errno::EINVAL,
        _ => return Err(unknown()),
    };
    Ok(Refusal { call, errno: (errno as i32).unsigned_abs() })
}

/// Refuses them from now on.
pub(crate) fn install(refused: &[Refusal]) -> Result<(), String> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut filter: Vec<sock_filter> = refused.iter().flat_map(program).collect();
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    let length = u16::try_from(filter.len()).map_err(|_| "too many refusals".to_owned())?;
    let program = sock_fprog { len: length, filter: filter.as_mut_ptr() };
    let apply = || {
        // SAFETY: the program and its length belong together, and the kernel copies it.
        Errno::result(unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
        })
    };
    let result = apply().or_else(|_| {
        // Without rights a filter is accepted only where no exec grants any.
        prctl::set_no_new_privs()?;
        apply()
    });
    result.map(drop).map_err(|errno| format!("cannot install a filter: {errno}"))
}

/// Instructions that answer this call, or continue after them.
fn program(refusal: &Refusal) -> Vec<sock_filter> {
    let refuse = answer(libc::SECCOMP_RET_ERRNO | refusal.errno);
    match refusal.call {
        Call::Number(number) => vec![load(NUMBER), jump_unless(number, 1), refuse],
        Call::Prctl(operation) => vec![
            load(NUMBER),
            jump_unless(libc::SYS_prctl, 3),
            load(FIRST_ARGUMENT),
            jump_unless(c_long::from(operation), 1),
            refuse,
        ],
    }
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset)
}

fn jump_unless(value: c_long, over: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, over, u32::try_from(value).unwrap_or(u32::MAX))
}

fn answer(value: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, value)
}

fn instruction(code: u32, jump_if_false: u8, operand: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: 0, jf: jump_if_false, k: operand }
}

//! From the kernel's initial stack to the program's main function.
//!
//! Reads the vector that execve(2) leaves there, and passes it on as C strings. There is no C runtime: no threads, no
//! constructors, no stack guard.

use core::ffi::{CStr, c_char};

#[cfg(all(panic = "abort", not(feature = "hosted")))]
unsafe extern "Rust" {
    /// The program's main function, defined by `hilum_sys::entry!`.
    safe fn hilum_main(arguments: Arguments) -> i32;
}

/// Called by `_start` with the stack pointer that the kernel set: argc, argv and a null, envp and a null, auxv.
///
/// # Safety
/// `vector` is the initial stack pointer of the process, and this is its first call.
#[cfg(all(panic = "abort", not(feature = "hosted")))]
pub(crate) unsafe extern "C" fn enter(vector: *const usize) -> ! {
    // SAFETY: the kernel writes argc as one machine word at the initial stack pointer (create_elf_tables in fs/binfmt_elf.c).
    let count = unsafe { vector.read() };
    let first = vector.wrapping_add(1).cast::<*const c_char>();
    crate::fault::handle();
    let status = hilum_main(Arguments { first, count });
    crate::process::exit(status)
}

/// The arguments and the environment that execve(2) gave to this process, read where the kernel put them.
#[derive(Clone, Copy)]
pub struct Arguments {
    /// argv, `count` pointers and a null; envp follows it, ended by a null.
    first: *const *const c_char,
    count: usize,
}

impl Arguments {
    /// Returns argument number `index`; 0 is the program's name. `None` after the last one.
    pub fn get(&self, index: usize) -> Option<&'static CStr> {
        if index < self.count { string(self.first, index) } else { None }
    }

    /// Iterates over the arguments, beginning with the program's name.
    pub fn iter(&self) -> impl Iterator<Item = &'static CStr> {
        let arguments = *self;
        (0..arguments.count).map_while(move |index| arguments.get(index))
    }

    /// Iterates over the environment, `NAME=value` each.
    pub fn environment(&self) -> impl Iterator<Item = &'static CStr> {
        let first = self.first.wrapping_add(self.count).wrapping_add(1);
        (0..).map_while(move |index| string(first, index))
    }
}

/// Returns the C string that entry `index` of a vector on the initial stack points to; `None` for the terminating null.
fn string(first: *const *const c_char, index: usize) -> Option<&'static CStr> {
    let entry = first.wrapping_add(index);
    // SAFETY: callers count within argc, or stop at the null that ends envp, so the entry is on the initial stack.
    let pointer = unsafe { entry.read() };
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the kernel copied a NUL-terminated string there (copy_strings in fs/exec.c), and nothing unmaps or writes it.
    Some(unsafe { CStr::from_ptr(pointer) })
}

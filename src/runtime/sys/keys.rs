//! Signatures, verified by the kernel.

use crate::call::call;
use core::ffi::CStr;
use linux_raw_sys::general::{__NR_add_key, __NR_keyctl};
use rustix::io::Errno;

/// A key in this process's session keyring.
pub struct Key(usize);

impl Key {
    /// Adds the public key of a certificate (X.509, DER) to the session keyring, which should be this process's own
    /// ([`crate::own_keyring`]).
    ///
    /// # Errors
    /// EBADMSG for something else than a certificate, ENOPKG for an algorithm that the kernel does not have, ENODEV without
    /// CONFIG_ASYMMETRIC_KEY_TYPE.
    pub fn add(certificate: &[u8]) -> Result<Self, Errno> {
        /// KEY_SPEC_SESSION_KEYRING of linux/keyctl.h.
        const SESSION: isize = -3;
        let [kind, name] = [c"asymmetric", c"update"].map(|text| text.as_ptr() as usize);
        let arguments = [kind, name, certificate.as_ptr() as usize, certificate.len(), SESSION as usize, 0];
        // SAFETY: the kernel reads two C strings and the certificate, which outlive the call.
        unsafe { call(__NR_add_key, arguments) }.map(Self)
    }

    /// Verifies a signature by RSA (PKCS #1, version 1.5) of a SHA-256 hash.
    ///
    /// # Errors
    /// EKEYREJECTED or EBADMSG if it is not this key's.
    pub fn verify(&self, hash: &[u8; 32], signature: &[u8]) -> Result<(), Errno> {
        /// KEYCTL_PKEY_VERIFY of linux/keyctl.h.
        const VERIFY: usize = 28;
        const HOW: &CStr = c"enc=pkcs1 hash=sha256";
        // struct keyctl_pkey_params: the key, and the lengths of hash and signature.
        let mut params = [0_u32; 10];
        (params[0], params[1], params[2]) = (self.0 as u32, hash.len() as u32, signature.len() as u32);
        let texts =
            [params.as_ptr() as usize, HOW.as_ptr() as usize, hash.as_ptr() as usize, signature.as_ptr() as usize];
        // SAFETY: the kernel reads the parameters, a C string, and as many bytes as the parameters say.
        unsafe { call(__NR_keyctl, [VERIFY, texts[0], texts[1], texts[2], texts[3], 0]) }.map(|_| ())
    }
}

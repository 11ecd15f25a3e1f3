//! Who may say what a board runs: the certificates of the image.

use super::{Reason, reason, refused};
use crate::os::files::{read_file, sys_path};
use hilum::text;
use hilum::text::Text;
use hilum::update::{Bundle, SIGNATURES, hash};
use hilum_sys::{Key, own_keyring};
use rustix::io::Errno;

/// The certificates, 1.der and 2.der, which the image builder puts there.
const KEYS: &str = "/etc/hilum/update";
/// Bytes of a certificate at most.
const CERTIFICATE_BYTES: usize = 4096;

/// What is said of a certificate that the kernel does not take.
const UNUSABLE: Text = text!("a certificate in /etc/hilum/update: {}");

/// Returns the number of the key that has signed a bundle, 1 or 2.
///
/// # Errors
/// It is none of this image's, or the kernel cannot verify it.
pub(super) fn verify(bundle: &Bundle<'_>) -> Result<usize, Reason> {
    own_keyring(c"hilum").map_err(|errno| refused(text!("the keyring: {}"), errno))?;
    let hash = hash(&[], bundle.signed());
    let (mut buffer, mut has_key) = ([0; CERTIFICATE_BYTES], false);
    for number in 1..=SIGNATURES {
        let path = sys_path(format_args!("{KEYS}/{number}.der"));
        let length = match read_file(&path, &mut buffer) {
            Err(Errno::NOENT) => continue,
            length => length.map_err(|errno| refused(UNUSABLE, errno))?,
        };
        has_key = true;
        let key = Key::add(&buffer[..length]).map_err(|errno| refused(UNUSABLE, errno))?;
        // Either signature may be by either key: a bundle has the old key's and the new one's, and so may the image.
        if (0..SIGNATURES).filter_map(|index| bundle.signature(index)).any(|text| key.verify(&hash, text).is_ok()) {
            return Ok(number);
        }
    }
    Err(reason(if has_key { text!("not signed by a key of this image") } else { text!("this image has no key") }, 0))
}

//! The host name of a board, which may contain what differs between boards with the same image.

use super::address::Mac;
use super::limits;
use heapless::String;

/// Returns a pattern with `%m` replaced by the last six hexadecimal digits of a MAC address, and `%s` by the letters and
/// digits of a serial number, in lower case. `None` if it has `%m` and there is no address, if another character follows a
/// `%`, or if the result is longer than a host name.
pub fn expand(pattern: &str, mac: Option<Mac>, serial: &str) -> Option<String<{ limits::HOSTNAME_BYTES }>> {
    let mut name = String::new();
    let mut letters = pattern.bytes();
    while let Some(letter) = letters.next() {
        if letter != b'%' {
            name.push(letter.into()).ok()?;
            continue;
        }
        match letters.next()? {
            b'm' => {
                for byte in &mac?.0[3..] {
                    for digit in [byte >> 4, byte & 15] {
                        name.push(char::from_digit(digit.into(), 16)?).ok()?;
                    }
                }
            }
            b's' => {
                for letter in serial.bytes().filter(u8::is_ascii_alphanumeric) {
                    name.push(letter.to_ascii_lowercase().into()).ok()?;
                }
            }
            _ => return None,
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_the_address_and_the_serial_number() {
        let mac = Some(Mac([0xb8, 0x27, 0xeb, 0x0a, 0xbc, 0x9f]));
        let name = |pattern| expand(pattern, mac, "10000000AB-cd\0");
        assert_eq!(name("kitchen").as_deref(), Some("kitchen"));
        assert_eq!(name("kitchen-%m").as_deref(), Some("kitchen-0abc9f"));
        assert_eq!(name("%s.example").as_deref(), Some("10000000abcd.example"));
        assert_eq!((name("a%"), name("a%x"), name("%%")), (None, None, None));
        assert_eq!((expand("a-%m", None, ""), expand("a-%s", None, "b").as_deref()), (None, Some("a-b")));
        assert_eq!(name(&"%m".repeat(11)), None, "65 bytes and more");
    }
}

//! Which part of the confinement a program ran into, by what it printed before it exited.

use crate::text;
use crate::text::Text;

/// The text of an error as of strerror(3), without the first letter, which Go and Node.js write small; and what to do about it.
const REFUSALS: [(&[u8], Text); 4] = [
    (b"not permitted", text!("write its user in the user line, or add: capability chown setuid setgid")),
    (b"ermission denied", text!("add a volume there, correct the user line, or for programs in /tmp: tmp 16M exec")),
    (b"ead-only file system", text!("add overlay to the root line, or a volume there")),
    (b"o such file or directory", text!("add a volume there, or the file to the image")),
];

/// Returns what to do about an error in a line of a program's output, if the confinement is a likely cause.
pub fn remedy(line: &[u8]) -> Option<Text> {
    let is_in = |text: &[u8]| line.windows(text.len()).any(|part| part == text);
    REFUSALS.iter().find(|(text, _)| is_in(text)).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_recognized_as_programs_print_them() {
        for (line, expected) in [
            ("nginx: [emerg] mkdir() \"/var/lib/nginx/body\" failed (30: Read-only file system)", "overlay"),
            ("Error: EROFS: read-only file system, open '/data'", "overlay"),
            ("initgroups(www-data, 33) failed (1: Operation not permitted)", "setgid"),
            ("\"root\" execution of the PostgreSQL server is not permitted.", "user line"),
            ("{\"error\":\"mkdir /.config: permission denied\"}", "volume"),
            ("bash: /tmp/x: Permission denied", "tmp 16M exec"),
            ("open /var/lib/x: no such file or directory", "volume"),
        ] {
            assert!(remedy(line.as_bytes()).is_some_and(|remedy| remedy.to_string().contains(expected)), "{line}");
        }
        assert_eq!([&b"not permitte"[..], b""].map(remedy), [None, None]);
    }
}

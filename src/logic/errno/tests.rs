use super::*;

#[test]
fn errno_is_shown_with_name_and_description() {
    assert_eq!(Errno(1).to_string(), "EPERM (operation not permitted)");
    assert_eq!(Errno(110).to_string(), "ETIMEDOUT (connection timed out)");
}

#[test]
fn unknown_errno_is_shown_as_a_number() {
    assert_eq!(Errno(4000).to_string(), "errno 4000");
}

#[test]
fn names_match_kernel_and_descriptions_match_strerror() {
    for line in TABLE.unpack(&mut [0; 4096]).lines() {
        let (number, rest) = line.split_once(' ').expect("a number");
        let (name, words) = rest.split_once(' ').expect("a name");
        let number = number.parse().expect("a number");
        assert_eq!(syscalls::Errno::new(number).name(), Some(name), "{line}");
        let known = std::io::Error::from_raw_os_error(number).to_string();
        let known = known.split(" (os error").next().expect("a text").to_owned();
        let known = known[..1].to_lowercase() + &known[1..];
        assert_eq!(words, known, "{line}");
    }
}

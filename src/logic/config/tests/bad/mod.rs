//! Refused files, with the exact error: encoding, sections, keys and exceeded limits. Each table of a board is exceeded
//! by one here. The words of single keys are in a file for each kind of key.

mod network;
mod order;
mod values;

use super::super::limits;
use super::refusal;

const WORKLOAD: &str = "[workload a]\nroot /r\nexec /x\n";

/// Returns the error for a file whose third line is `line`, in the system section.
fn in_system(line: &str) -> String {
    refusal(format!("hilum 1\n[system]\n{line}\n").as_bytes())
}

/// Returns the error for a file whose fifth line is `line`, in a complete workload.
fn in_workload(line: &str) -> String {
    refusal(format!("hilum 1\n{WORKLOAD}{line}\n").as_bytes())
}

#[test]
fn file_that_is_not_text_is_refused() {
    for (bytes, expected) in [
        (&b""[..], "1:1: the first line must be: hilum 1"),
        (b"\n \n# only a comment\n", "1:1: the first line must be: hilum 1"),
        (b"hilum\n", "1:1: the first line must be: hilum 1"),
        (b"  [system]\n", "1:3: the first line must be: hilum 1"),
        (b"hilum 2\n", "1:7: unknown version \"2\"; write: hilum 1"),
        (b"\xef\xbb\xbfhilum 1\n", "1:1: the file starts with a byte order mark; save it as plain UTF-8"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "1:1: control character 0x7f; only spaces and tabs separate words"),
        (b"hilum 1\n[system]\nhostname \xc3\xa4\xff\n", "3:11: byte 0xff is not UTF-8 text; save the file as UTF-8"),
        (b"hilum 1\n[system]\nhostname a\0b\n", "3:11: control character 0x00; only spaces and tabs separate words"),
        (b"hilum 1\r\n[system]\r\n", "1:8: the line ends with CR LF; use LF alone"),
        (
            "hilum 1\n[workload a\u{202e}]\n".as_bytes(),
            "2:12: control character 0x202e; only spaces and tabs separate words",
        ),
        ("hilum 1\n# \u{2066}\n".as_bytes(), "2:3: control character 0x2066; only spaces and tabs separate words"),
        (b"hilum 1\n\x1b[2J\n", "2:1: control character 0x1b; only spaces and tabs separate words"),
    ] {
        assert_eq!(refusal(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn truncated_file_is_refused() {
    let whole = "hilum 1\n[workload a]\nroot /r\nexec /x \"y z\"\n";
    for (length, expected) in [
        (5, "1:1: the first line must be: hilum 1"),
        (16, "2:1: unknown section \"[workloa\"; expected [system] or [workload NAME]"),
        (19, "2:1: unknown section \"[workload\"; expected [system] or [workload NAME]"),
        (20, "2:1: workload \"a\" has no \"root\", which is required"),
        (23, "3:1: unknown key \"ro\" in [workload]; see docs/config.md"),
        (25, "3:5: \"root\" needs an absolute path, or LABEL=, UUID= or PARTUUID= with up to 40 bytes"),
        (29, "2:1: workload \"a\" has no \"exec\", which is required"),
        (39, "4:9: unclosed quote; add \" after the word"),
    ] {
        assert_eq!(refusal(&whole.as_bytes()[..length]), expected, "{}", &whole[..length]);
    }
}

#[test]
fn malformed_word_or_section_is_refused() {
    for (line, expected) in [
        ("exec \"/x", "5:6: unclosed quote; add \" after the word"),
        ("env A \"b\"c", "5:10: missing space after the closing quote"),
        ("exec /x 'y z", "5:9: unclosed quote; add ' after the word"),
        ("exec /x '", "5:9: unclosed quote; add ' after the word"),
        ("exec /x 'y\"", "5:9: unclosed quote; add ' after the word"),
        ("env A 'b'c", "5:10: missing space after the closing quote"),
        ("env A 'b'\"c\"", "5:10: missing space after the closing quote"),
        ("env A b\"c\"", "5:8: quotes enclose whole words; use the other kind around the word"),
        ("env A ä'c'", "5:8: quotes enclose whole words; use the other kind around the word"),
        ("env A it's", "5:9: quotes enclose whole words; use the other kind around the word"),
        ("[system", "5:1: unknown section \"[system\"; expected [system] or [workload NAME]"),
        ("[system] x", "5:10: unexpected word \"x\"; remove it, or quote words that belong together"),
        ("[workload b] x", "5:14: unexpected word \"x\"; remove it, or quote words that belong together"),
        (
            "[workload B]",
            "5:11: found \"B\", expected a name of at most 32 lower-case letters, digits and -, starting with a letter",
        ),
        (
            "[workload ]",
            "5:11: found \"\", expected a name of at most 32 lower-case letters, digits and -, starting with a letter",
        ),
        ("\"[system]\"", "5:1: unknown key \"[system]\" in [workload]; see docs/config.md"),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
    assert_eq!(
        refusal(b"hilum 1\nroot /r\n"),
        "2:1: \"root\" precedes the first section; put it below [system] or [workload NAME]"
    );
    assert_eq!(
        refusal(b"hilum 1\n[system]\n[system]\n"),
        "3:1: duplicate [system]; move its lines below the first one"
    );
}

#[test]
fn unknown_key_is_refused_with_a_suggestion() {
    assert_eq!(in_workload("memroy 3"), "5:1: unknown key \"memroy\" in [workload]; did you mean \"memory\"?");
    assert_eq!(in_workload("  restrat never"), "5:3: unknown key \"restrat\" in [workload]; did you mean \"restart\"?");
    assert_eq!(in_workload("colour blue"), "5:1: unknown key \"colour\" in [workload]; see docs/config.md");
    assert_eq!(in_system("exec /x"), "3:1: unknown key \"exec\" in [system]; it belongs in [workload]");
    assert_eq!(in_system("hostnam x"), "3:1: unknown key \"hostnam\" in [system]; did you mean \"hostname\"?");
}

#[test]
fn volume_without_volumes_line_is_refused() {
    assert_eq!(in_workload("volume data /var/lib/x"), "5:1: volume needs a line in [system]: volumes FOLDER");
}

#[test]
fn duplicate_key_is_refused_with_its_first_line() {
    assert_eq!(in_workload("root /other"), "5:1: duplicate \"root\", first on line 3; remove one of them");
    assert_eq!(in_system("idle stay\nidle stay"), "4:1: duplicate \"idle\", first on line 3; remove one of them");
    assert_eq!(in_workload("env A 1\nenv A 2"), "6:5: variable \"A\" is set twice; remove one of the lines");
}

#[test]
fn duplicate_workload_name_is_refused() {
    assert_eq!(in_workload("[workload a]"), "5:11: workload \"a\" is already on line 2; choose another name");
}

#[test]
fn exceeding_any_limit_is_refused() {
    let mut text = String::from("hilum 1\n");
    for index in 0..=limits::WORKLOADS {
        text.push_str(&format!("[workload w{index}]\nroot /r\nexec /x\n"));
    }
    assert_eq!(refusal(text.as_bytes()), "98:11: too many workloads; the limit is 32");

    let words = " a".repeat(limits::EXEC_WORDS);
    let exec = format!("hilum 1\n[workload a]\nroot /r\nexec /x{words}\n");
    assert_eq!(refusal(exec.as_bytes()), "4:71: too many arguments of exec; the limit is 32");

    let env: String = (0..=limits::VARIABLES).map(|index| format!("env V{index} x\n")).collect();
    assert_eq!(in_workload(&env), "37:5: too many env lines; the limit is 32");

    let line = format!("needs{}", " a".repeat(limits::LINE_WORDS));
    assert_eq!(in_workload(&line), "5:85: too many words in a line; the limit is 40");

    assert_eq!(in_workload(&"x".repeat(limits::LINE_BYTES + 1)), "5:1: the line is longer than 1024 bytes; shorten it");
    assert_eq!(refusal(&[b'\n'; limits::FILE_BYTES + 1]), "1:1: the file is larger than 65536 bytes; shorten it");

    let path = format!("directory /{}", "d".repeat(limits::PATH_BYTES));
    assert!(in_workload(&path).contains("of at most 255 bytes"));
    let name = format!("[workload a{}]", "b".repeat(limits::NAME_BYTES));
    assert!(in_workload(&name).contains("at most 32"));
    assert!(in_system(&format!("hostname {}", "h".repeat(limits::HOSTNAME_BYTES + 1))).contains("at most 64"));
}

#[test]
fn long_word_is_shortened_in_error() {
    let found = in_workload(&"ä".repeat(100));
    assert_eq!(found, format!("5:1: unknown key \"{}...\" in [workload]; see docs/config.md", "ä".repeat(20)));
}

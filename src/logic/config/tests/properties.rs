//! For any bytes: no panic, and an error that points into the file and fits a line of the console.

use super::super::{Config, limits, parse};
use proptest::prelude::*;

const GOOD: &str = "hilum 1\n[system]\nhostname sensor-7\nconsole ttyS0 log\nidle poweroff\n\
    link lan0 mac=52:54:00:12:34:56 mtu=1400 10.0.0.2/24 fd00::2/64 via 10.0.0.1\nlink lan1 path=/sys/devices/a dhcp\n\
    bridge br0 10.77.0.1/24 fd77::1/64\nmasquerade br0 lan0\nroute 10.9.0.0/16 via 10.0.0.1\nnameserver 1.1.1.1 fd00::53\n\
    time dhcp 192.0.2.1 keep=/d\n\
    sysctl net.ipv4.ip_forward 1\n\
    [workload web]\nroot /images/web\nexec /bin/httpd -f \"a b\" 'c \"d\"'\nenv A \"1 2\"\nuser 1000:50\nneeds db\n\
    restart always delay=1s max=2m limit=5/1h else=reboot\nstop INT 250ms\nshare net=db uts\nseccomp strict +ptrace\ndevice /dev/ttyS1 rw\ndevice usb=0403:6001:A1 class=tty as /dev/ttyMETER r\nmemory 32M high=1M\n\
    rlimit nofile 5 6\nscheduler rr 5\ntcp bind=80,443 connect=1\nio /dev/vda rbps=1\numask 022\nids 65536\n\
    [workload db]\nroot /images/db\nexec /bin/db # comment\nlink veth br0 10.77.0.2/24 fd77::2/64 via 10.77.0.1 spoof\n\
    link macvlan lan0 dhcp mac=02:00:00:00:00:01\nlink move eth9\npublish 10.0.0.2:80:80/tcp\ntalk board\nresolv\n";

#[test]
fn file_before_mutation_is_valid() {
    let mut config = Box::new(Config::EMPTY);
    parse(GOOD.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{error}"));
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut config = Box::new(Config::EMPTY);
    if let Err(error) = parse(bytes, &mut config) {
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        prop_assert!(error.line >= 1 && error.line as usize <= lines.len(), "{error}");
        prop_assert!(error.column >= 1 && error.column as usize <= lines[error.line as usize - 1].len() + 1, "{error}");
        let text = error.to_string();
        prop_assert!(text.len() < 512 && !text.chars().any(char::is_control), "{text:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_accepted_or_refused_with_place(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes)?;
    }

    #[test]
    fn any_words_are_accepted_or_refused_with_place(
        words in prop::collection::vec(prop::sample::select(&[
            "hilum", "1", "\n", "[system]", "[workload", "a]", "b]", "root", "/r", "exec", "needs", "a", "b", "after",
            "restart", "always", "limit=5/60s", "else=stop", "delay=1s", "\"", "\"x y\"", "'", "'x \"y'", "#", "env", "user", "1:2", "\t",
            "console", "log", "stop", "TERM", "5s", "ä",
            "share", "net=a", "net=b", "seccomp", "default", "+read", "memory", "1G", "max", "device", "/dev/x", "rw", "usb=0403:6001", "class=tty", "as", "mount",
            "capability", "kill", "rlimit", "cpu", "50%", "nice", "-5", "tcp", "bind=1,2", "io", "rbps=5", "privileged", "control", "operate", "all",
            "link", "veth", "macvlan", "move", "br0", "eth0", "bridge", "masquerade", "route", "via", "probe", "10.0.0.1/24", "10.0.0.2/24",
            "10.0.0.1", "fd00::1/64", "fd00::1", "mac=02:00:00:00:00:01", "mtu=1400", "dhcp", "up", "spoof", "publish",
            "80:80/tcp", "[fd00::1]:80:80/udp", "talk", "board", "resolv", "nameserver", "sysctl",
        ][..]), 0..80)
    ) {
        check(format!("hilum 1\n{}", words.join(" ")).as_bytes())?;
    }

    #[test]
    fn quoted_word_is_the_argument_verbatim(
        words in prop::collection::vec(("[a-c #'\"\\\\äö$\t]{0,12}", any::<bool>()), 1..6)
    ) {
        let quote = |word: &str, prefers_single: bool| {
            let quotes = if prefers_single { ['\'', '"'] } else { ['"', '\''] };
            let quote = quotes.into_iter().find(|quote| !word.contains(*quote))?;
            Some((word.to_owned(), format!("{quote}{word}{quote}")))
        };
        let words: Vec<_> = words.iter().filter_map(|(word, single)| quote(word, *single)).collect();
        let quoted: Vec<&str> = words.iter().map(|(_, quoted)| quoted.as_str()).collect();
        let text = format!("hilum 1\n[system]\n[workload a]\nroot /r\nexec /x {}\n", quoted.join(" "));
        let mut config = Box::new(Config::EMPTY);
        let parsed = parse(text.as_bytes(), &mut config);
        prop_assert!(parsed.is_ok(), "{text}: {parsed:?}");
        let exec: Vec<&str> = config.pools.of(config.workloads[0].exec).to_vec();
        let wanted: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        prop_assert_eq!(&exec[1..], &wanted[..]);
    }

    #[test]
    fn mutated_file_is_accepted_or_refused_with_place(at in 0..GOOD.len(), byte in any::<u8>(), cut in 0..GOOD.len()) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = byte;
        check(&bytes)?;
        bytes.truncate(cut);
        check(&bytes)?;
    }

    #[test]
    fn error_in_largest_file_has_its_place(byte in any::<u8>()) {
        check(&std::vec![byte; limits::FILE_BYTES])?;
    }
}

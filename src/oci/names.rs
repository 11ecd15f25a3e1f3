//! Words of config.json and their numbers.

use hilum::config::{Capabilities, RESOURCES, Signal};
use hilum::namespaces::Namespaces;

/// Returns the flag of a kind of namespaces.
pub fn namespace(kind: &str) -> Option<u64> {
    Some(match kind {
        "pid" => Namespaces::PID,
        "network" => Namespaces::NET,
        "mount" => Namespaces::MNT,
        "ipc" => Namespaces::IPC,
        "uts" => Namespaces::UTS,
        "user" => Namespaces::USER,
        "cgroup" => Namespaces::CGROUP,
        "time" => Namespaces::TIME,
        _ => return None,
    })
}

/// Returns a set of capabilities, `CAP_CHOWN` each. Names that the library does not know are left out, as by runc: they
/// are of a newer kernel.
pub fn capabilities(names: &[String]) -> Capabilities {
    let known = |name: &String| {
        let name = name.strip_prefix("CAP_").unwrap_or(name).to_ascii_lowercase();
        Capabilities(u64::MAX >> 1).names().position(|known| known == name)
    };
    Capabilities(names.iter().filter_map(known).fold(0, |set, number| set | 1 << number))
}

/// Returns the number of a limit, `RLIMIT_NOFILE`.
pub fn rlimit(name: &str) -> Option<u8> {
    let name = name.strip_prefix("RLIMIT_").filter(|name| name.bytes().all(|letter| letter.is_ascii_uppercase()))?;
    RESOURCES.split(' ').position(|known| known == name.to_ascii_lowercase()).map(|number| number as u8)
}

/// Returns a signal's number from `9`, `KILL` or `SIGKILL`; from 1 to 64.
pub fn signal(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return Some(number).filter(|number| (1..=64).contains(number));
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let real_time = |prefix: &str, first: i16, sign: i16| {
        let rest = name.strip_prefix(prefix)?;
        let offset = if rest.is_empty() { 0 } else { rest.get(1..)?.parse::<i16>().ok()? };
        u8::try_from(first + sign * offset).ok().filter(|number| (34..=64).contains(number))
    };
    let known = Signal::from_name(name).map(|signal| signal.0);
    known.or_else(|| real_time("RTMIN", 34, 1)).or_else(|| real_time("RTMAX", 64, -1))
}

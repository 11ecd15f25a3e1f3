//! The few messages of D-Bus that systemd needs (D-Bus specification, "Message Protocol"): calls, their answers, and one signal.
//!
//! A crate for D-Bus has more code than the rest of this program. All numbers are in little-endian order.

use crate::error::{At, Error, Result};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const SOCKET: &str = "/run/dbus/system_bus_socket";
const BUS: [&str; 3] = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];
/// The bus allows more, and no answer that is read here comes near.
const LONGEST: usize = 1 << 20;

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Fills with zeros up to a multiple.
    pub(super) fn align(&mut self, multiple: usize) {
        self.0.resize(self.0.len().next_multiple_of(multiple), 0);
    }

    /// Adds a number of 32 bits, or a boolean.
    pub(super) fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    /// Adds a number of 64 bits.
    pub(super) fn long(&mut self, number: u64) {
        self.align(8);
        self.0.extend(number.to_le_bytes());
    }

    /// Adds a string or an object's path.
    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// Adds a signature, which a variant begins with.
    pub(super) fn signature(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// Adds an array of elements with an alignment.
    pub(super) fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.number(0);
        let length = self.0.len();
        self.align(alignment);
        let start = self.0.len();
        fill(self);
        let bytes = (self.0.len() - start) as u32;
        if let Some(place) = self.0.get_mut(length - 4..length) {
            place.copy_from_slice(&bytes.to_le_bytes());
        }
    }
}

/// What was received of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// 2 for an answer, 3 for an error, 4 for a signal.
    kind: u8,
    /// The call that it answers.
    answers: u32,
    /// The signal's name.
    member: String,
    /// The error's name.
    error: String,
    /// The numbers and texts of its body, in order; what follows another type is left out.
    body: Vec<String>,
}

/// Reads a message from its start. `None` if it is not well-formed.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn align(&mut self, multiple: usize) {
        self.at = self.at.next_multiple_of(multiple);
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.take(1)?;
        Some(text)
    }

    /// Reads a value of a basic type as text. `None` for other types as well.
    fn value(&mut self, kind: u8) -> Option<String> {
        match kind {
            b's' | b'o' => {
                let length = self.number()? as usize;
                self.text(length)
            }
            b'g' => {
                let length = usize::from(*self.take(1)?.first()?);
                self.text(length)
            }
            b'u' | b'i' | b'b' => self.number().map(|number| number.to_string()),
            _ => None,
        }
    }
}

/// Returns how long a message is, from its first 16 bytes.
fn length(start: &[u8; 16]) -> Option<usize> {
    let number = |at: usize| Some(u32::from_le_bytes(start.get(at..at + 4)?.try_into().ok()?) as usize);
    let length = 16_usize.checked_add(number(12)?)?.checked_next_multiple_of(8)?.checked_add(number(4)?)?;
    (start[0] == b'l' && length <= LONGEST).then_some(length)
}

/// Reads a whole message.
fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { bytes, at: 12 };
    let mut message = Message { kind: *bytes.get(1)?, ..Message::default() };
    let mut signature = String::new();
    let end = reader.number()? as usize + 16;
    while reader.at < end {
        reader.align(8);
        let field = *reader.take(1)?.first()?;
        let kind = reader.value(b'g')?;
        let value = reader.value(*kind.as_bytes().first()?)?;
        match field {
            3 => message.member = value,
            4 => message.error = value,
            5 => message.answers = value.parse().ok()?,
            8 => signature = value,
            _ => {}
        }
    }
    reader.align(8);
    message.body = signature.bytes().map_while(|kind| reader.value(kind)).collect();
    Some(message)
}

/// A connection to the system's bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Signals that came before what was waited for.
    signals: Vec<Message>,
}

impl Bus {
    /// Connects.
    ///
    /// # Errors
    /// There is no bus, or it refuses this user.
    pub(super) fn connect() -> Result<Self> {
        let mut stream = UnixStream::connect(SOCKET).at(SOCKET)?;
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(patience)).at(SOCKET)?;
        let user = rustix::process::geteuid().as_raw().to_string();
        let user: String = user.bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes()).at(SOCKET)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") && answer.len() < 512 {
            let mut byte = [0];
            stream.read_exact(&mut byte).at(SOCKET)?;
            answer.extend(byte);
        }
        if !answer.starts_with(b"OK ") {
            return Err(Error(format!("{SOCKET}: {}", String::from_utf8_lossy(&answer).trim_end())));
        }
        stream.write_all(b"BEGIN\r\n").at(SOCKET)?;
        let mut bus = Self { stream, serial: 0, signals: Vec::new() };
        bus.call(BUS, "Hello", "", |_| {})?;
        Ok(bus)
    }

    fn receive(&mut self) -> Result<Message> {
        let mut start = [0; 16];
        self.stream.read_exact(&mut start).at(SOCKET)?;
        let wrong = || Error(format!("{SOCKET}: a message is not well-formed"));
        let mut bytes = start.to_vec();
        bytes.resize(length(&start).ok_or_else(wrong)?, 0);
        self.stream.read_exact(bytes.get_mut(16..).unwrap_or_default()).at(SOCKET)?;
        parse(&bytes).ok_or_else(wrong)
    }

    /// Calls a method, and returns the values of its answer.
    ///
    /// # Errors
    /// The error of the method, in its words.
    pub(super) fn call(
        &mut self,
        [destination, path, interface]: [&str; 3],
        member: &str,
        signature: &str,
        fill: impl FnOnce(&mut Writer),
    ) -> Result<Vec<String>> {
        self.serial += 1;
        let mut body = Writer::default();
        fill(&mut body);
        let fields =
            [(1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination), (8, "g", signature)];
        let message = message([b'l', 1, 0, 1], self.serial, &fields, &body);
        self.stream.write_all(&message).at(SOCKET)?;
        loop {
            let found = self.receive()?;
            match found.kind {
                2 if found.answers == self.serial => return Ok(found.body),
                3 if found.answers == self.serial => {
                    return Err(Error(format!("{member}: {}: {}", found.error, found.body.join(" "))));
                }
                4 => self.signals.push(found),
                _ => {}
            }
        }
    }

    /// Calls a method of systemd that starts a job, and waits for the job's end.
    ///
    /// # Errors
    /// The method's, and a job that is not done.
    pub(super) fn run_job(
        &mut self,
        object: [&str; 3],
        member: &str,
        signature: &str,
        fill: impl FnOnce(&mut Writer),
    ) -> Result<()> {
        let rule = format!("type='signal',interface='{}',member='JobRemoved'", object[2]);
        self.call(BUS, "AddMatch", "s", |writer| writer.text(&rule))?;
        // Without a subscription systemd may send none.
        self.call(object, "Subscribe", "", |_| {})?;
        let job = self.call(object, member, signature, fill)?;
        loop {
            let found = match self.signals.pop() {
                Some(signal) => signal,
                None => self.receive()?,
            };
            // JobRemoved(number, job, unit, result)
            if found.member == "JobRemoved" && found.body.get(1) == job.first() {
                return match found.body.get(3).map(String::as_str) {
                    Some("done") => Ok(()),
                    other => Err(Error(format!("{member}: the job's result is {}", other.unwrap_or("unknown")))),
                };
            }
        }
    }
}

/// Returns a message: its first bytes, the header fields that have a value, each with its number and its type, and the body.
fn message(start: [u8; 4], serial: u32, fields: &[(u8, &str, &str)], body: &Writer) -> Vec<u8> {
    let mut message = Writer(start.to_vec());
    message.number(body.0.len() as u32);
    message.number(serial);
    message.array(8, |writer| {
        for &(field, kind, value) in fields.iter().filter(|(_, _, value)| !value.is_empty()) {
            writer.align(8);
            writer.0.push(field);
            writer.signature(kind);
            if kind == "g" { writer.signature(value) } else { writer.text(value) }
        }
    });
    message.align(8);
    message.0.extend(&body.0);
    message.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JobRemoved of a real systemd, as dbus-monitor shows it.
    fn signal() -> Vec<u8> {
        let mut body = Writer::default();
        body.number(7);
        for text in ["/org/freedesktop/systemd1/job/7", "hilum-x.scope", "done"] {
            body.text(text);
        }
        let fields = [(1, "o", "/org/freedesktop/systemd1"), (3, "s", "JobRemoved"), (8, "g", "uoss")];
        message([b'l', 4, 1, 1], 9, &fields, &body)
    }

    #[test]
    fn a_signal_is_read_with_its_values() {
        let bytes = signal();
        let start = bytes.first_chunk::<16>().expect("a start");
        assert_eq!(length(start), Some(bytes.len()));
        let message = parse(&bytes).expect("a message");
        assert_eq!((message.kind, message.member.as_str()), (4, "JobRemoved"));
        assert_eq!(message.body, ["7", "/org/freedesktop/systemd1/job/7", "hilum-x.scope", "done"]);
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_no_message_and_no_panic() {
        let bytes = signal();
        for end in 0..bytes.len() {
            let cut = parse(bytes.get(..end).expect("a part"));
            assert_ne!(cut, parse(&bytes), "{end}");
        }
        assert_eq!(length(&[0xff; 16]), None);
    }
}

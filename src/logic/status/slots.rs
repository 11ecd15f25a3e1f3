//! The slots of updates.

use super::Text;
use crate::fixed_string::text;
use crate::update::{Record, Slot, Verdict};
use core::fmt;
use heapless::String;

/// Passes to `say` what there is to say about the slots, line by line.
pub fn lines(record: &Record, running: Slot, say: &mut dyn FnMut(&str)) {
    for slot in Slot::ALL {
        let version: String<32> = match record.version(slot) {
            0 => text(format_args!("empty")),
            version => text(format_args!("version {version}")),
        };
        let is = |is: bool, word| if is { word } else { "" };
        say(&text::<96>(format_args!(
            "slot {}: {version}{}{}{}",
            slot.name(),
            is(slot == record.committed(), ", committed"),
            is(slot == running, ", running"),
            is(Some(slot) == record.trial(), ", on trial"),
        )));
    }
    let last = last(record);
    if !last.is_empty() {
        say(&last);
    }
    if record.floor() > 0 {
        say(&text::<64>(format_args!("no version below {} is taken", record.floor())));
    }
}

/// Returns how the last trial ended; empty if there was none, or if it has not ended.
fn last(record: &Record) -> String<200> {
    let (verdict, version, why) = record.verdict();
    if version == 0 || verdict == Verdict::None {
        return String::new();
    }
    let because = if why.is_empty() { "" } else { ": " };
    text(format_args!("version {version} {}{because}{why}", verdict.text()))
}

/// Formats the record and the slot that runs as a JSON object.
#[derive(Debug)]
pub struct Json<'a>(pub &'a Record, pub Slot);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record, running) = self;
        write!(
            f,
            "{{\"a\":{},\"b\":{},\"running\":\"{}\",\"committed\":\"{}\",\"trial\":{},\"floor\":{},\"last\":{}}}",
            record.version(Slot::A),
            record.version(Slot::B),
            running.name(),
            record.committed().name(),
            Text(record.trial().map_or("", Slot::name)),
            record.floor(),
            Text(&last(record)),
        )
    }
}

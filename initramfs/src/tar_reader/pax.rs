//! Extended headers: records of `LENGTH KEY=VALUE` and a newline ("pax Extended Header" in pax(1) of POSIX.1-2017).
//!
//! The length delimits the value, which may therefore contain any bytes.

use super::acl;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

/// Prefixes of Linux extended attributes (xattr(7)). Others, such as those of macOS, are dropped.
const NAMESPACES: [&str; 4] = ["security.", "system.", "trusted.", "user."];

/// Records in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Records(Vec<(String, Vec<u8>)>);

impl Records {
    /// Parses the contents of an extended header.
    ///
    /// # Errors
    /// A malformed record.
    pub(super) fn read(mut bytes: &[u8]) -> Result<Self> {
        const DAMAGED: &str = "an extended header is damaged";
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let blank = bytes.iter().position(|byte| *byte == b' ').context(DAMAGED)?;
            let digits = &bytes[..blank];
            ensure!(digits.iter().all(u8::is_ascii_digit), DAMAGED);
            let length: usize = std::str::from_utf8(digits)?.parse().context(DAMAGED)?;
            ensure!(length > blank + 1 && length <= bytes.len() && bytes[length - 1] == b'\n', DAMAGED);
            let record = &bytes[blank + 1..length - 1];
            let equals = record.iter().position(|byte| *byte == b'=').context(DAMAGED)?;
            let key = std::str::from_utf8(&record[..equals]).context(DAMAGED)?;
            records.push((key.to_owned(), record[equals + 1..].to_vec()));
            bytes = &bytes[length..];
        }
        Ok(Self(records))
    }

    /// Returns these records followed by others, which take precedence.
    pub(super) fn followed_by(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).cloned().collect())
    }

    /// Iterates over all records, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// Returns the last value of a key. An empty value means that there is none.
    pub(super) fn value(&self, key: &str) -> Option<&[u8]> {
        let found = self.0.iter().rev().find(|(found, _)| found == key);
        found.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())
    }

    /// Returns a numeric value.
    ///
    /// # Errors
    /// Any other value.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.value(key).map(|value| number(value).with_context(|| format!("its {key} is not a number"))).transpose()
    }

    /// Refuses records that change the meaning of a member in an unsupported way. POSIX allows to ignore all other
    /// unknown keys.
    ///
    /// # Errors
    /// Such a record.
    pub(super) fn check(&self) -> Result<()> {
        for (key, value) in self.iter() {
            let is_other = match key {
                // star(1), Solaris.
                "SCHILY.filetype" => matches!(value, b"sparse" | b"meta"),
                "SCHILY.realsize" | "SUN.holesdata" => true,
                "hdrcharset" => !matches!(value, b"" | b"BINARY" | b"ISO-IR 10646 2000 UTF-8"),
                "SCHILY.acl.ace" => true,
                // A part of a file that continues in another archive.
                "GNU.volume.filename" | "GNU.volume.size" | "GNU.volume.offset" => true,
                _ => false,
            };
            ensure!(!is_other, "unsupported record {key}; pack it with GNU tar without options");
        }
        Ok(())
    }

    /// Returns extended attributes, including access control lists in attribute form.
    ///
    /// # Errors
    /// A malformed list or value.
    pub(super) fn xattrs(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        for (key, value) in self.iter() {
            // libarchive writes both forms, or only this one.
            if let Some(name) = key.strip_prefix("LIBARCHIVE.xattr.") {
                let name = String::from_utf8(unescaped(name)?).ok().context("an attribute is not UTF-8")?;
                all.insert(name, base64(value)?);
            }
        }
        for (key, value) in self.iter() {
            if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                all.insert(name.to_owned(), value.to_vec());
            }
        }
        for which in ["access", "default"] {
            let text = self.value(&format!("SCHILY.acl.{which}"));
            if let Some(list) = text.map(|text| acl::attribute(text, which == "default")).transpose()?.flatten() {
                all.insert(format!("system.posix_acl_{which}"), list);
            }
        }
        all.retain(|name, _| NAMESPACES.iter().any(|space| name.starts_with(space)));
        for name in all.keys() {
            ensure!(name.len() <= 255 && !name.contains('\0'), "an invalid name of an attribute");
        }
        Ok(all)
    }
}

/// Parses a decimal number.
pub(super) fn number(text: &[u8]) -> Result<u64> {
    ensure!(!text.is_empty() && text.iter().all(u8::is_ascii_digit), "no digits");
    Ok(std::str::from_utf8(text)?.parse()?)
}

/// Decodes a name in which libarchive has encoded characters as `%XX`.
fn unescaped(name: &str) -> Result<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), name.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match (first, behind.split_at_checked(2)) {
            (b'%', Some((digits, behind))) => {
                rest = behind;
                u8::from_str_radix(std::str::from_utf8(digits)?, 16).context("the name of an attribute is damaged")?
            }
            _ => *first,
        });
    }
    Ok(bytes)
}

/// Decodes base64 (RFC 4648), with or without padding.
fn base64(text: &[u8]) -> Result<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for character in text.iter().filter(|character| **character != b'=') {
        let six = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("the value of an attribute is not base64"),
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}

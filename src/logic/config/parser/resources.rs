//! The keys about resource limits (cgroups).

use super::super::isolation::{IoLimit, Resources};
use super::super::keys::KeyId;
use super::super::limits;
use super::super::pools::Pools;
use super::arguments::{Arguments, Reported};
use super::values;
use crate::split::Split;
use crate::text;
use crate::text::Text;

const BYTES: Text = text!("a number of bytes such as 32M or 1G, or max");
const PIDS: Text = text!("a number of processes, or max");
const PERCENT: Text = text!("a percentage of one processor such as 50% or 200%");
const WEIGHT: Text = text!("weight=N from 1 to 10000");
const CPUS: Text = text!("a list of processors such as 0-1,3");
const MEMORY_OPTION: Text = text!("high=, min= or swap= and a number of bytes");
const IO_OPTION: Text = text!("rbps=, wbps=, riops= or wiops= and a number");

impl<'a> Arguments<'_, 'a> {
    /// Reads a key of this file. Returns false if the key belongs elsewhere.
    pub(super) fn resources(&mut self, resources: &mut Resources<'a>, pools: &mut Pools<'a>) -> Result<bool, Reported> {
        match self.key.id {
            KeyId::Memory => {
                resources.memory = Some(self.amount(BYTES)?);
                while self.has_more() {
                    let (which, bytes) = self.take(MEMORY_OPTION, |text| option(text, "high min swap"))?;
                    let places = [&mut resources.memory_high, &mut resources.memory_min, &mut resources.swap];
                    *places[which] = Some(bytes);
                }
            }
            KeyId::Pids => resources.pids = Some(self.amount(PIDS)?),
            KeyId::Cpu => {
                let percent = |text: &str| values::number(text.strip_suffix('%')?).filter(|percent| *percent > 0);
                resources.cpu_percent = Some(self.figure(PERCENT, percent)?);
                let weight = |text| option(text, "weight").filter(|(_, weight)| (1..=10_000).contains(weight));
                if self.has_more() {
                    resources.cpu_weight = Some(self.take(WEIGHT, weight)?.1 as u32);
                }
            }
            KeyId::Cpuset => {
                let list = |text: &'a str| {
                    let is_range = |part: &str| part.parts(b'-').all(|cpu| values::number(cpu).is_some());
                    text.parts(b',').all(is_range).then_some(text)
                };
                resources.cpuset = Some(self.text(CPUS, list)?);
            }
            KeyId::Io => {
                let mut io = IoLimit { device: self.path()?, limits: [None; 4] };
                loop {
                    let (which, amount) = self.take(IO_OPTION, |text| option(text, IoLimit::NAMES))?;
                    io.limits[which] = Some(amount);
                    if !self.has_more() {
                        break;
                    }
                }
                if !pools.push(&mut resources.io, io, limits::DEVICES) {
                    return self.too_many(text!("io lines"), limits::DEVICES);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Parses `NAME=AMOUNT` with one of `names`, in a list with blanks. Returns the index of the name.
fn option(text: &str, names: &str) -> Option<(usize, u64)> {
    let (name, amount) = text.cut(b'=')?;
    Some((names.place_of_word(name)?, values::amount(amount)?))
}

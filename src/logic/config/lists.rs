//! What workloads have several of: one list of each kind for the whole configuration.
//!
//! A workload has room for 32 variables, 4 links, 16 limits and so on, and mostly has none. With that room in each
//! workload, five kilobytes of PID 1's memory were written for every one of them; here they lie one after the other,
//! and a workload knows where its own are.

use super::isolation::{Bind, Device, IoLimit, ResourceLimit, Volume};
use super::limits;
use super::model::Variable;
use super::network::{Publish, WorkloadLink};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use heapless::{Vec, VecView};

/// Where a workload's own items are in the list of their kind.
pub struct Part<T> {
    first: u16,
    count: u8,
    of: PhantomData<fn() -> T>,
}

impl<T> Part<T> {
    /// Nothing.
    pub const NONE: Self = Self { first: 0, count: 0, of: PhantomData };

    /// How many there are.
    pub const fn len(self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Takes one more into it, the next one of a list that has so many; false where there are `limit`.
    #[inline(never)]
    fn grow(&mut self, all: usize, limit: usize) -> bool {
        if self.is_empty() {
            self.first = all as u16;
        }
        let has_room = self.len() < limit;
        self.count += u8::from(has_room);
        has_room
    }

    /// Their places in the list.
    pub(super) const fn range(self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.len()
    }
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<T> {}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self::NONE
    }
}

/// Whether it is the same part of the same configuration, where both are of one.
impl<T> PartialEq for Part<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.first, self.count) == (other.first, other.count)
    }
}

impl<T> Eq for Part<T> {}

impl<T> fmt::Debug for Part<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Part").field("first", &self.first).field("count", &self.count).finish()
    }
}

/// The lists.
#[derive(Debug)]
pub struct Lists<'a> {
    words: Vec<&'a str, { limits::WORKLOADS * (limits::EXEC_WORDS + limits::CHECK_WORDS) }>,
    variables: Vec<Variable<'a>, { limits::WORKLOADS * limits::VARIABLES }>,
    limits: Vec<ResourceLimit, { limits::WORKLOADS * limits::RLIMITS }>,
    devices: Vec<Device<'a>, { limits::WORKLOADS * limits::DEVICES }>,
    io: Vec<IoLimit<'a>, { limits::WORKLOADS * limits::DEVICES }>,
    mounts: Vec<Bind<'a>, { limits::WORKLOADS * limits::MOUNTS }>,
    volumes: Vec<Volume<'a>, { limits::WORKLOADS * limits::VOLUMES }>,
    links: Vec<WorkloadLink<'a>, { limits::WORKLOADS * limits::LINKS }>,
    publish: Vec<Publish, { limits::WORKLOADS * limits::PUBLISHED }>,
}

impl<'a> Lists<'a> {
    /// Nothing at all.
    pub(super) const EMPTY: Self = Self {
        words: Vec::new(),
        variables: Vec::new(),
        limits: Vec::new(),
        devices: Vec::new(),
        io: Vec::new(),
        mounts: Vec::new(),
        volumes: Vec::new(),
        links: Vec::new(),
        publish: Vec::new(),
    };

    /// A workload's own.
    #[inline(never)]
    pub fn of<T: Listed<'a>>(&self, part: Part<T>) -> &[T] {
        // A part of another configuration may not fit.
        T::list(self).get(part.range()).unwrap_or_default()
    }

    /// The same, to be changed.
    pub(super) fn of_mut<T: Listed<'a>>(&mut self, part: Part<T>) -> &mut [T] {
        T::list_mut(self).get_mut(part.range()).unwrap_or_default()
    }

    /// Adds one to those of the workload that is being read, whose items are the last of their kind. Gives whether there
    /// was room: a workload has at most `limit`.
    #[inline(never)]
    pub(super) fn push<T: Listed<'a>>(&mut self, part: &mut Part<T>, item: T, limit: usize) -> bool {
        let list = T::list_mut(self);
        part.grow(list.len(), limit) && list.push(item).is_ok()
    }

    /// Empties them. Lists that are empty are only looked at: their memory was never written.
    pub(super) fn clear(&mut self) {
        fn clear<T>(list: &mut VecView<T>) {
            if !list.is_empty() {
                list.clear();
            }
        }
        clear(&mut self.words);
        clear(&mut self.variables);
        clear(&mut self.limits);
        clear(&mut self.devices);
        clear(&mut self.io);
        clear(&mut self.mounts);
        clear(&mut self.volumes);
        clear(&mut self.links);
        clear(&mut self.publish);
    }
}

/// What there is a list of.
pub trait Listed<'a>: Sized {
    #[doc(hidden)]
    fn list<'l>(lists: &'l Lists<'a>) -> &'l [Self];
    #[doc(hidden)]
    fn list_mut<'l>(lists: &'l mut Lists<'a>) -> &'l mut VecView<Self>;
}

macro_rules! listed {
    ($($kind:ty: $field:ident,)*) => {
        $(impl<'a> Listed<'a> for $kind {
            fn list<'l>(lists: &'l Lists<'a>) -> &'l [Self] {
                &lists.$field
            }

            fn list_mut<'l>(lists: &'l mut Lists<'a>) -> &'l mut VecView<Self> {
                &mut lists.$field
            }
        })*
    };
}

listed! {
    &'a str: words,
    Variable<'a>: variables,
    ResourceLimit: limits,
    Device<'a>: devices,
    IoLimit<'a>: io,
    Bind<'a>: mounts,
    Volume<'a>: volumes,
    WorkloadLink<'a>: links,
    Publish: publish,
}

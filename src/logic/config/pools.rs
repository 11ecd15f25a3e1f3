//! Pools for items of which a workload may have several: one list of each kind for the whole configuration.
//!
//! A workload may have 32 variables, 4 links, 16 limits and so on, and usually has none. If each workload reserved that
//! space, PID 1 would write five kilobytes for each of them. Here all items of a kind are in one list, and a workload
//! keeps the range of its own.

use super::device::Device;
use super::identity::{ResourceLimit, Variable};
use super::isolation::{Bind, IoLimit, Volume};
use super::limits;
use super::network::{Publish, WorkloadLink};
use super::span::Span;
use heapless::{Vec, VecView};

/// The lists.
#[derive(Debug)]
pub struct Pools<'a> {
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

impl<'a> Pools<'a> {
    /// Empty lists.
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

    /// Returns the items of a range.
    #[inline(never)]
    pub fn of<T: Pooled<'a>>(&self, part: Span<T>) -> &[T] {
        // A range of another configuration may be out of bounds.
        T::list(self).get(part.range()).unwrap_or_default()
    }

    /// Returns the items of a range for writing.
    pub(super) fn of_mut<T: Pooled<'a>>(&mut self, part: Span<T>) -> &mut [T] {
        T::list_mut(self).get_mut(part.range()).unwrap_or_default()
    }

    /// Adds an item to the workload that is being read, whose items are the last ones of their kind. Returns whether
    /// there was room: a workload has at most `limit`.
    #[inline(never)]
    pub(super) fn push<T: Pooled<'a>>(&mut self, part: &mut Span<T>, item: T, limit: usize) -> bool {
        let list = T::list_mut(self);
        part.grow(list.len(), limit) && list.push(item).is_ok()
    }

    /// Empties all lists. Empty lists are not written, so memory that was never used stays unused.
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

/// An item that has a pool.
pub trait Pooled<'a>: Sized {
    #[doc(hidden)]
    fn list<'l>(pools: &'l Pools<'a>) -> &'l [Self];
    #[doc(hidden)]
    fn list_mut<'l>(pools: &'l mut Pools<'a>) -> &'l mut VecView<Self>;
}

macro_rules! pooled {
    ($($kind:ty: $field:ident,)*) => {
        $(impl<'a> Pooled<'a> for $kind {
            fn list<'l>(pools: &'l Pools<'a>) -> &'l [Self] {
                &pools.$field
            }

            fn list_mut<'l>(pools: &'l mut Pools<'a>) -> &'l mut VecView<Self> {
                &mut pools.$field
            }
        })*
    };
}

pooled! {
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

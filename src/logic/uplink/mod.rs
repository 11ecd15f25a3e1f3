//! Uplinks: links with a default route. Selects the one in use, and says why the others are not.
//!
//! The order of the `link` lines is the order of preference: the default routes of each link have their own metric. A
//! link without a carrier has no routes. If a link does not answer its `probe`, or its lease is not confirmed since the
//! carrier returned, its routes come after those of all others.

use crate::text;
use crate::text::Text;

/// The metric of the first link's default routes.
const METRIC: u32 = 100;
/// How much is added to the metric of a link with low preference.
const BACK: u32 = 1_000;

/// Returns the metric for default routes of the link at `place`, or `None` for no routes.
pub const fn metric(place: usize, has_carrier: bool, stands_back: bool) -> Option<u32> {
    match (has_carrier, stands_back) {
        (false, _) => None,
        (true, false) => Some(METRIC + place as u32),
        (true, true) => Some(METRIC + BACK + place as u32),
    }
}

/// The state of one link, for one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uplink {
    /// It exists.
    pub is_there: bool,
    /// It has a carrier.
    pub has_carrier: bool,
    /// It has a router.
    pub has_router: bool,
    /// It does not answer its `probe`.
    pub is_silent: bool,
    /// Its router is from a lease that was not confirmed since its carrier returned.
    pub is_unconfirmed: bool,
}

/// Whether a link is used, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is used.
    Used,
    /// The link at this place is preferred.
    After(usize),
    /// It does not exist.
    Gone,
    /// It has no carrier.
    NoCarrier,
    /// It does not answer.
    Silent,
    /// Its lease is not confirmed.
    Unconfirmed,
    /// It has no router.
    NoRouter,
}

impl Standing {
    /// Returns why it is not used, in words.
    pub const fn reason(self) -> Text {
        match self {
            Self::Used => text!(""),
            Self::After(_) => text!("another one comes first"),
            Self::Gone => text!("it is not there"),
            Self::NoCarrier => text!("no carrier"),
            Self::Silent => text!("its probe has no answer"),
            Self::Unconfirmed => text!("its lease is not confirmed since the carrier returned"),
            Self::NoRouter => text!("no router"),
        }
    }
}

/// Returns the standing of the link at `place` among `all`, which are in the order of their lines.
pub fn standing(all: &[Uplink], place: usize) -> Standing {
    let Some(own) = all.get(place).filter(|own| own.is_there) else { return Standing::Gone };
    if !own.has_carrier {
        return Standing::NoCarrier;
    }
    if !own.has_router {
        return Standing::NoRouter;
    }
    let rank = |(place, uplink): (usize, &Uplink)| {
        let metric = metric(place, uplink.has_carrier, uplink.is_silent || uplink.is_unconfirmed);
        metric.filter(|_| uplink.has_router).map(|metric| (metric, place))
    };
    match all.iter().enumerate().filter_map(rank).min() {
        Some((_, first)) if first != place && own.is_silent => Standing::Silent,
        Some((_, first)) if first != place && own.is_unconfirmed => Standing::Unconfirmed,
        Some((_, first)) if first != place => Standing::After(first),
        _ => Standing::Used,
    }
}

#[cfg(test)]
mod tests;

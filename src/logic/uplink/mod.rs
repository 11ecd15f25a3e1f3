//! Uplinks: links with a default route. Which of them packets take, and why the others are not taken.
//!
//! The order of the `link` lines is the order of preference: each link's default routes have a metric of their own. A link
//! without a carrier has none. One that does not answer its `probe`, or whose lease is not confirmed since its carrier
//! returned, has them behind those of all others: it is better than nothing.

/// The metric of the first link's default routes.
const METRIC: u32 = 100;
/// How much higher it is for a link that stands back.
const BACK: u32 = 1_000;

/// Returns the metric of default routes of the link at `place`; `None` for no routes.
pub const fn metric(place: usize, has_carrier: bool, stands_back: bool) -> Option<u32> {
    match (has_carrier, stands_back) {
        (false, _) => None,
        (true, false) => Some(METRIC + place as u32),
        (true, true) => Some(METRIC + BACK + place as u32),
    }
}

/// What is known of one link, in one family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uplink {
    /// It is there.
    pub is_there: bool,
    /// Its wire carries something.
    pub has_carrier: bool,
    /// It has a router.
    pub has_router: bool,
    /// It does not answer its `probe`.
    pub is_silent: bool,
    /// Its router is by a lease that nobody has confirmed since its carrier returned.
    pub is_unconfirmed: bool,
}

/// Whether packets take a link, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They do.
    Used,
    /// The link at this place goes before it.
    After(usize),
    /// It is not there.
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
    /// Why packets do not take it, in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Used => "",
            Self::After(_) => "another one comes first",
            Self::Gone => "it is not there",
            Self::NoCarrier => "no carrier",
            Self::Silent => "its probe has no answer",
            Self::Unconfirmed => "its lease is not confirmed since the carrier returned",
            Self::NoRouter => "no router",
        }
    }
}

/// Returns how the link at `place` stands among `all`, which are in the order of their lines.
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

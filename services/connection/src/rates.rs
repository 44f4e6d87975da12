//! Rates per user and per address, as token buckets.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use natter_ids::UserId;
use natter_protocol::{ErrorBody, ErrorCode};
use natter_telemetry::metrics;

use crate::Config;

/// How often forgotten keys are let go.
pub(crate) const TIDY: Duration = Duration::from_secs(30);

pub(crate) struct Rates {
    users: DefaultKeyedRateLimiter<UserId>,
    /// Absent: nobody is told who is writing.
    typing: Option<DefaultKeyedRateLimiter<UserId>>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

impl Rates {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            users: RateLimiter::keyed(quota(config.user_requests_per_sec, config.user_requests_burst)),
            typing: (config.user_typing_per_sec > 0).then(|| {
                let per_second = config.user_typing_per_sec;
                RateLimiter::keyed(quota(per_second, per_second.saturating_mul(2)))
            }),
            addresses: RateLimiter::keyed(quota(config.address_connects_per_sec, config.address_connects_burst)),
        }
    }

    pub(crate) fn request(&self, user: &UserId) -> Result<(), ErrorBody> {
        check(&self.users, user, "user_requests_per_sec")
    }

    /// Whether the user may tell now that they are writing.
    pub(crate) fn typing(&self, user: &UserId) -> bool {
        self.typing.as_ref().is_some_and(|typing| typing.check_key(user).is_ok())
    }

    pub(crate) fn connect(&self, address: IpAddr) -> Result<(), ErrorBody> {
        check(&self.addresses, &address, "address_connects_per_sec")
    }

    /// Lets go of keys that are at rest, so that memory follows who is active.
    pub(crate) fn tidy(&self) {
        self.users.retain_recent();
        self.users.shrink_to_fit();
        if let Some(typing) = &self.typing {
            typing.retain_recent();
            typing.shrink_to_fit();
        }
        self.addresses.retain_recent();
        self.addresses.shrink_to_fit();
    }
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let nonzero = |value| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(nonzero(per_second)).allow_burst(nonzero(burst))
}

fn check<K: Hash + Eq + Clone>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
    limit: &'static str,
) -> Result<(), ErrorBody> {
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(limiter.clock().now());
        let ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1);
        metrics::CONNECTION_REFUSALS.add(1, [limit.into()]);
        ErrorBody::new(ErrorCode::RateLimited).limit(limit).retry_after_ms(ms)
    })
}

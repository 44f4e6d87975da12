//! Labels, and what bounds the number of their values.

/// A label of a metric. None has a value for each user, conversation, device or connection: the
/// number of series follows from the configuration and from this program alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A service.
    Service,
    /// A partition of the log.
    Partition,
    /// Why a session was closed.
    Code,
    /// A limit that refused something.
    Limit,
    /// A kind of request.
    Request,
    /// How something ended.
    Outcome,
    /// What happened to a connection.
    Event,
    /// What a thing is doing.
    State,
    /// A stage of a message's way.
    Stage,
    /// An address of a NATS server's monitoring.
    Server,
    /// A version of Natter.
    Version,
}

impl Label {
    /// Its name on a series.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Partition => "partition",
            Self::Code => "code",
            Self::Limit => "limit",
            Self::Request => "request",
            Self::Outcome => "outcome",
            Self::Event => "event",
            Self::State => "state",
            Self::Stage => "stage",
            Self::Server => "server",
            Self::Version => "version",
        }
    }

    /// Which values it takes.
    pub const fn values(self) -> &'static str {
        match self {
            Self::Service => "`connection`, `presence`, `delivery`, `storage`, or what runs together in one process",
            Self::Partition => "`0` to `nats.partitions` - 1",
            Self::Code => "the reasons of close codes (docs/protocol.md)",
            Self::Limit => "names of limits and rates (docs/configuration.md)",
            Self::Request => "types of client frames, or of requests to storage",
            Self::Outcome => "`ok`, or the code of a refusal or failure (docs/protocol.md)",
            Self::Event => "`lost`, `restored`, `dropped`",
            Self::State => "`idle`, `used`",
            Self::Stage => "`connect`, `accepted`, `delivered`, `resumed`; of failures also `order`, `double`, `lost`",
            Self::Server => "`durability.monitor_urls`",
            Self::Version => "one value",
        }
    }

    /// All, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Service,
        Self::Partition,
        Self::Code,
        Self::Limit,
        Self::Request,
        Self::Outcome,
        Self::Event,
        Self::State,
        Self::Stage,
        Self::Server,
        Self::Version,
    ];
}

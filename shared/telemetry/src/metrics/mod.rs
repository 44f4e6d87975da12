//! What Natter measures of itself.
//!
//! Every metric is declared once, in the catalogue, with its name, unit, labels and meaning. Code
//! records through these declarations alone, and `docs/operate/metrics.md` is made from them.
//! They go to whoever scrapes `/metrics`, and over OTLP where that is configured.

mod catalogue;
mod export;
mod instrument;
mod labels;
mod table;

pub use catalogue::*;
pub use export::exposition;
pub(crate) use export::provider;
pub use instrument::{Counter, Gauge, Histogram, Kind, Level, Metric};
pub use labels::Label;
pub use table::markdown;

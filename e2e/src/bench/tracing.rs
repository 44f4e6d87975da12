//! What sending traces and metrics costs: two deployments under the same load, one of which has a
//! collector.

use anyhow::{Context, Result, ensure};
use natter_testkit::Collector;

use super::{
    measured::Samples,
    options::Plan,
    process::Natter,
    report::{Bar, Row},
    say, talk,
};

/// Measures processor time, which is the same work however busy the machine is otherwise.
///
/// # Errors
/// A run fails, or the collector gets nothing.
pub(super) async fn measure(plan: &Plan) -> Result<Vec<Row>> {
    let collector = Collector::start().await;
    let (silent, telling) = (Natter::start().await?, Natter::start_telling(collector.url()).await?);
    let rate = plan.tracing_rate;
    say(&format!("tracing at {rate}/s: {} users each with and without a collector", plan.users));
    let (mut without, mut with, mut ratios) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..plan.tracing_rounds {
        // Who comes second finds a larger archive and a warmer machine: they change places.
        let (first, second) = if round % 2 == 0 { (&silent, &telling) } else { (&telling, &silent) };
        let (first, second) = (cost(first, plan).await?, cost(second, plan).await?);
        let (silent, telling) = if round % 2 == 0 { (first, second) } else { (second, first) };
        say(&format!("  CPU per 1,000 delivered: {silent:.4} s without, {telling:.4} s with"));
        without.push(silent);
        with.push(telling);
        ratios.push((telling / silent - 1.0) * 100.0);
    }
    let spans = collector.spans().len();
    ensure!(spans > 0 && !collector.metrics().is_empty(), "the collector was sent nothing");
    say(&format!("  {spans} spans received"));
    let what = format!("CPU per 1,000 delivered at {rate}/s");
    Ok(vec![
        Row::new(format!("{what}, without a collector: natter"), "s", without),
        Row::new(format!("{what}, with a collector: natter"), "s", with),
        Row::new("sending traces and metrics: more CPU", "%", ratios).bar(Bar::AtMost(3.0)),
    ])
}

async fn cost(natter: &Natter, plan: &Plan) -> Result<f64> {
    let (_, cost) = talk::latency(natter, plan, plan.tracing_rate).await.with_context(|| natter.last_words())?;
    Ok(cost.natter)
}

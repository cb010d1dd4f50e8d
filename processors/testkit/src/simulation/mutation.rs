//! Mistakes that the simulation must find. A checker that finds none of them proves nothing by finding nothing.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Commit the watermark without the offsets that are done above it.
    DropMap,
    /// Give partitions back without draining them, and go on committing for them.
    CommitAfterRevoke,
    /// Ask for generation and member when the offsets are sent instead of in the rebalance event.
    FetchMembershipAtCommit,
    /// Send offsets with generation -1.
    NoGeneration,
    /// Claim without fencing the last writer.
    SkipFence,
    /// Claim what an unstable read returned, and fence afterwards.
    ClaimFirst,
    /// Go on with a producer whose commit had no answer.
    ReuseProducer,
    /// After an abort commit the offsets of its results, but not the results again.
    DropLedger,
    /// Commit offsets after the transaction instead of in it.
    OffsetsOutside,
    /// Run the next record of a key before the result of the last one is in the ledger.
    ReleaseLaneEarly,
    /// Replace a producer without sweeping up what brokers left open of it.
    SkipSweep,
    /// Take a commit that had no answer for one that did not happen.
    GuessAborted,
    /// Take each partition without a commit for one that was added.
    GuessAdded,
    /// Do not count offsets without a record at the end of a log as read.
    IgnoreEnds,
    /// Go on behind a record that was not taken because the partition is full.
    ReadOn,
    /// After trouble do not look whether the results of what is committed are visible.
    IgnoreLost,
    /// After trouble do not look whether results are visible that are not committed as done.
    IgnoreVisible,
}

impl Mutation {
    pub const ALL: [Self; 17] = [
        Self::DropMap,
        Self::CommitAfterRevoke,
        Self::FetchMembershipAtCommit,
        Self::NoGeneration,
        Self::SkipFence,
        Self::ClaimFirst,
        Self::ReuseProducer,
        Self::DropLedger,
        Self::OffsetsOutside,
        Self::ReleaseLaneEarly,
        Self::SkipSweep,
        Self::GuessAborted,
        Self::GuessAdded,
        Self::IgnoreEnds,
        Self::ReadOn,
        Self::IgnoreLost,
        Self::IgnoreVisible,
    ];
}

//! What the proof run found out about a policy on real servers: the rows of its `proof.json`.

use serde::{Deserialize, Serialize};

/// What became of one policy, or of a naked copy in its place, on one version of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Row {
    /// Name and version, such as `PostgreSQL 15.18`.
    pub server: String,
    pub capture: Capture,
    /// Whether the hook ran. The copy without one shows what the hook is worth.
    pub hook: bool,
    /// How often the whole way was gone, from the writers to the restored server.
    pub rounds: u32,
    /// In how many of them the restored server had all that it must have.
    pub restored: u32,
    /// Acknowledged writes that were lost, in the worst of the rounds after which the server came up.
    pub lost: u64,
    /// The longest time without an acknowledged write while the hook ran, in milliseconds, in the worst round.
    pub stop_ms: u64,
    /// The same just before the hook.
    pub quiet_ms: u64,
    /// Writes a second during the hook, divided by those before; the median of the rounds.
    pub throughput: f64,
    /// How long the pre hook ran, in seconds; the median of the rounds.
    pub seconds: f64,
    /// How much was captured.
    pub bytes: u64,
    /// When that was, as `2026-11-21`.
    pub date: String,
}

/// What was kept of the server for the restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capture {
    /// What the hook left in the dump volume.
    Dump,
    /// The data directory at one instant, as a snapshot of its volume has it.
    Block,
    /// The data directory, one file after another, while the server writes.
    FileCopy,
}

impl Row {
    /// Whether every round brought back every acknowledged write.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.rounds > 0 && self.restored == self.rounds && self.lost == 0
    }
}

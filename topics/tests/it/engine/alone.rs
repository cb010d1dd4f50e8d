//! Stories whose seconds count. `make test` runs them when nothing else competes for the machine.

use std::time::Duration;

use super::crash::dies_at;

/// The session timeout, and a moment for the rebalance, the fence, the claim and the first run.
const TAKEOVER: Duration = Duration::from_millis(8_500);

/// Brokers would end what the dead one left open after a minute: only the fence can be that quick.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "its seconds count: run it alone, as `make test` does"]
async fn partitions_of_a_dead_member_stall_no_longer_than_its_session_and_a_moment() {
    for point in ["produced:3", "offsets_sent:3"] {
        let stall = dies_at(point, false).await;
        println!("{point}: {stall:?}");
        assert!(stall < TAKEOVER, "{point}: {stall:?}");
    }
}

use testkit::chaos::Crash;

use crate::world::World;

/// What the worker of this name leaves undone when it dies now.
pub fn crash(world: &World, name: &str, point: Option<&str>, map: u64) -> Crash {
    Crash {
        point: point.map(str::to_owned),
        in_flight: world.model.in_flight(name),
        map,
    }
}

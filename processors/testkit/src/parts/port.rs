use std::net::{Ipv4Addr, TcpListener};

use super::PartsError;

/// Below the range that systems take the ports of outgoing connections from, so that none of those gets in between.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// `wanted`, or any free port.
pub fn choose(part: &'static str, wanted: Option<u16>, variable: &'static str) -> Result<u16, PartsError> {
    match wanted {
        Some(port) if is_free(port) => Ok(port),
        Some(port) => Err(PartsError::PortTaken { part, port, variable }),
        None => any(),
    }
}

/// A port of loopback that nothing listens on.
pub fn any() -> Result<u16, PartsError> {
    (0..100)
        .map(|_| rand::random_range(RANGE))
        .find(|port| is_free(*port))
        .ok_or(PartsError::NoPort)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

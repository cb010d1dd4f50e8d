#![cfg(test)]

mod judge;
mod leftovers;
mod manifests;
mod parts;
mod readme;
mod scripted;

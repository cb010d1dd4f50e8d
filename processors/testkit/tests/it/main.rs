#![cfg(test)]

mod leftovers;
mod manifests;
mod parts;
mod readme;
mod scripted;

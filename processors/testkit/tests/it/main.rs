#![cfg(test)]

mod parts;

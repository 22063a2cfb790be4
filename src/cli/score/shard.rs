//! A part of the rows, for one of several machines.

use std::{fmt, str::FromStr};

/// The rows whose number gives a remainder: every row is in one shard of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    /// From 1.
    number: u64,
    of: u64,
}

impl Shard {
    /// Whether the row of this number, from 0 over all inputs, is in it.
    pub(super) fn has(self, row: u64) -> bool {
        row % self.of == self.number - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || "a shard is written I/N, with I from 1 to N".to_owned();
        let (number, of) = text.split_once('/').ok_or_else(fault)?;
        let shard = Self {
            number: number.parse().map_err(|_| fault())?,
            of: of.parse().map_err(|_| fault())?,
        };
        match (1..=shard.of).contains(&shard.number) {
            true => Ok(shard),
            false => Err(fault()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_shard() {
        let shards: Vec<Shard> = (1..=3).map(|n| format!("{n}/3").parse().unwrap()).collect();
        for row in 0..100 {
            assert_eq!(shards.iter().filter(|shard| shard.has(row)).count(), 1);
        }
        assert!("1/1".parse::<Shard>().unwrap().has(7));
        for bad in ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}

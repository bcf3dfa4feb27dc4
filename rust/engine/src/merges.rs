//! The merges of a byte-level BPE: which two tokens become which third, and in what order (Sennrich et al., 2016).

use crate::mmap::Table;
use crate::{TokenId, TokenKind, Vocabulary};

/// One merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Merge {
    /// The token that is merged with the one to its right.
    pub left: TokenId,
    /// That one.
    pub right: TokenId,
    /// The place in the model's order; of all merges that a word allows, the lowest is made first.
    pub rank: u32,
    /// What the two become.
    pub merged: TokenId,
}

/// Merges by the pair that they merge, in a table that lives in the mapped model file or on the heap.
#[derive(Clone, Debug)]
pub struct Merges {
    /// Records of left, right, rank, merged; sorted.
    table: Table<u32>,
}

const RECORD: usize = 4;

impl Merges {
    /// From pairs of pieces, as the bytes they stand for, in order of rank. A merge that starts from or leads to no normal
    /// token is left out: it can never be part of an encoding. Of two of the same pair the first counts.
    pub fn new(vocabulary: &Vocabulary, pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let normal = |bytes: &[u8]| vocabulary.find_kind(bytes, TokenKind::Normal);
        let mut merges: Vec<Merge> = (0..)
            .zip(pairs)
            .filter_map(|(rank, (left, right))| {
                let merged = normal(&[&left[..], &right].concat())?;
                Some(Merge { left: normal(&left)?, right: normal(&right)?, rank, merged })
            })
            .collect();
        merges.sort_unstable();
        merges.dedup_by_key(|merge| (merge.left, merge.right));
        let records = merges.iter().flat_map(|merge| [merge.left, merge.right, merge.rank, merge.merged]);
        Self { table: records.collect::<Vec<u32>>().into() }
    }

    /// From the table of a model file; `None` if it is none of merges of `size` tokens.
    pub(crate) fn from_table(table: Table<u32>, size: usize) -> Option<Self> {
        let (records, rest) = table.as_chunks::<RECORD>();
        let sorted = records.is_sorted_by(|a, b| a[..2] < b[..2]);
        let known =
            records.iter().all(|&[left, right, _, merged]| [left, right, merged].iter().all(|&t| (t as usize) < size));
        (rest.is_empty() && sorted && known).then_some(Self { table })
    }

    /// The table to store.
    pub(crate) fn table(&self) -> &[u32] {
        &self.table
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len() / RECORD
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All of them, in order of the pair.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Merge> {
        self.table.as_chunks::<RECORD>().0.iter().map(|&[left, right, rank, merged]| Merge {
            left,
            right,
            rank,
            merged,
        })
    }

    /// The merge of `left` and `right`, if there is one.
    pub fn get(&self, left: TokenId, right: TokenId) -> Option<Merge> {
        let records = self.table.as_chunks::<RECORD>().0;
        let found = records.binary_search_by_key(&(left, right), |&[left, right, ..]| (left, right)).ok()?;
        let [_, _, rank, merged] = records[found];
        Some(Merge { left, right, rank, merged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_are_found_by_their_pair() {
        let normal = |text: &str| (text.into(), TokenKind::Normal);
        let tokens = [normal("a"), normal("b"), normal("ab"), normal("aba"), ("ba".into(), TokenKind::Control)];
        let vocabulary = Vocabulary::new(tokens).unwrap();
        let pairs = ["ab a", "a b", "b a", "a x", "ab a"].map(|pair| {
            let (left, right) = pair.split_once(' ').unwrap();
            (left.into(), right.into())
        });
        let merges = Merges::new(&vocabulary, pairs);
        let expected =
            [Merge { left: 0, right: 1, rank: 1, merged: 2 }, Merge { left: 2, right: 0, rank: 0, merged: 3 }];
        assert!(merges.iter().eq(expected));
        assert_eq!((merges.get(2, 0), merges.get(0, 2)), (Some(expected[1]), None));
    }

    #[test]
    fn tables_of_something_else_are_refused() {
        let from = |table: &[u32]| Merges::from_table(table.to_vec().into(), 3);
        assert_eq!(from(&[0, 1, 5, 2]).map(|merges| merges.len()), Some(1));
        assert!(from(&[0, 1, 5, 3]).is_none(), "a token that there is not");
        assert!(from(&[0, 1, 5]).is_none(), "half a record");
        assert!(from(&[0, 1, 5, 2, 0, 1, 6, 2]).is_none(), "a pair twice");
        assert!(from(&[1, 1, 5, 2, 0, 1, 6, 2]).is_none(), "not sorted");
    }
}
